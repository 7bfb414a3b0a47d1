//! A limit: who shares it, how much, and what a request costs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::caller::Caller;
use super::cell::LimitError;
use super::identity::Identity;
use super::quota::Quota;
use super::remote::Remote;
use super::seats::{self, Held};
use super::standing::LimitName;
use super::table::Table;
use crate::{ConfigError, KeyRecord, Principal, Tenant, Timestamp};

const DEFAULT_CAPACITY: usize = 100_000;
const MAX_CAPACITY: usize = 1 << 30;
const MAX_NAME: usize = 64;
pub(super) const IPV6_PREFIX: u8 = 64;

type Classify = dyn for<'c> Fn(&'c Caller<'_>) -> Option<Cow<'c, str>> + Send + Sync;
type Weigh = dyn Fn(&Caller<'_>) -> u64 + Send + Sync;

/// Who shares a [`Quota`], how much of it a request costs, and where that is counted.
///
/// Each limit made by a constructor counts by itself. Clones share the counters, whatever else is
/// then set on them: `limit.clone().cost(10)` is the same limit for a route that costs more.
///
/// At most [`capacity`](Self::capacity) identities are counted at a time, in memory, in this
/// process. When there is no room, those whose quota is whole again go first, then of a sample the
/// one that has consumed least; a caller at its limit stays.
///
/// A count belongs to one identity under one quota (limit, window and algorithm). A caller whose
/// quota changes (another plan, another key quota, a clone with other plans) starts a new count,
/// and finds the old one when it changes back: at worst it gets the sum of its quotas in one window.
///
/// Only requests with a [`Principal`] are counted. Those that pass without one are not: on public
/// routes, where authentication is [optional](crate::AuthLayer::optional), and CORS preflights.
///
/// ```
/// use keygate::{Limit, Quota};
///
/// // 500 an hour for each key, more on the better plan, and what the key itself was given first.
/// let hourly = Limit::per_key(Quota::per_hour(500)?)
///     .plan("professional", Quota::per_hour(5_000)?)
///     .prefer_key_quota();
/// // A search costs ten times as much, of the same quota.
/// let search = hourly.clone().cost(10);
/// // And no address sends more than 50 a second, with whatever keys and tokens.
/// let burst = Limit::per_address(Quota::per_second(50)?.gcra()).name("burst")?;
/// # let _ = (search, burst);
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Limit {
    table: Arc<Table>,
    name: LimitName,
    pub(super) sharing: Sharing,
    quota: Quota,
    plans: BTreeMap<Box<str>, Quota>,
    prefers_key: bool,
    cost: Cost,
    /// Where it is counted, if that is not in its table.
    pub(super) remote: Option<Remote>,
}

#[derive(Clone)]
pub(super) enum Sharing {
    Tenant,
    Caller,
    Address { ipv6_prefix: u8 },
    Custom(Arc<Classify>),
}

#[derive(Clone)]
enum Cost {
    Fixed(u64),
    By(Arc<Weigh>),
}

impl Limit {
    /// All callers of a tenant share the quota. A caller without a tenant has it for itself.
    pub fn per_tenant(quota: Quota) -> Self {
        Self::new(quota, "tenant", Sharing::Tenant)
    }

    /// Each key has the quota for itself; a caller with a JWT is counted by its issuer and subject,
    /// apart from any key with the same name.
    pub fn per_key(quota: Quota) -> Self {
        Self::new(quota, "key", Sharing::Caller)
    }

    /// Counts as [`per_key`](Self::per_key) does, under the name that fits where callers hold JWTs:
    /// each issuer's subject has the quota for itself, and each key.
    pub fn per_subject(quota: Quota) -> Self {
        Self::new(quota, "subject", Sharing::Caller)
    }

    /// Each client address has the quota for itself: an IPv4 address, or an IPv6 network of
    /// [64 bits](Self::ipv6_prefix). All callers whose address is not known share one, so this is
    /// one quota for everybody unless the gate is told how the address is found:
    /// [`ClientAddress::peer_from`](crate::policy::ClientAddress::peer_from).
    pub fn per_address(quota: Quota) -> Self {
        Self::new(quota, "address", Sharing::Address { ipv6_prefix: IPV6_PREFIX })
    }

    /// Callers for whom `identity` gives the same text share the quota; for `None` the limit does
    /// not apply.
    ///
    /// Take the identity from [`Caller::principal`], which is proved. What the request says besides
    /// is the caller's own choice: counted by a header, it gets a new quota with each value it sends.
    ///
    /// ```
    /// use keygate::{Limit, Quota};
    ///
    /// // All that come with tokens of one issuer share; keys are not counted here.
    /// let per_issuer = Limit::by(Quota::per_minute(100)?, |caller| {
    ///     let issuer = caller.principal().token()?.issuer()?;
    ///     Some(issuer.into())
    /// });
    /// # let _ = per_issuer;
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    pub fn by<F>(quota: Quota, identity: F) -> Self
    where
        F: for<'c> Fn(&'c Caller<'_>) -> Option<Cow<'c, str>> + Send + Sync + 'static,
    {
        Self::new(quota, "custom", Sharing::Custom(Arc::new(identity)))
    }

    fn new(quota: Quota, name: &'static str, sharing: Sharing) -> Self {
        Self {
            table: Arc::new(Table::new(DEFAULT_CAPACITY)),
            name: LimitName::from_static(name),
            sharing,
            quota,
            plans: BTreeMap::new(),
            prefers_key: false,
            cost: Cost::Fixed(1),
            remote: None,
        }
    }

    /// Callers whose tenant is on the plan `name` have `quota`; those on no plan, or on one that is
    /// not named here, have the limit's own.
    ///
    /// A key's record holds its tenant with the plan. The plan of a JWT's tenant is known only with
    /// [`AuthLayer::tenants`](crate::AuthLayer::tenants): without it such callers have the limit's
    /// own quota, and are counted under that one, apart from the keys of their tenant.
    #[must_use]
    pub fn plan(mut self, name: impl Into<Box<str>>, quota: Quota) -> Self {
        self.plans.insert(name.into(), quota);
        self
    }

    /// A key with a [quota of its own](KeyRecord::with_quota) has that one instead of its plan's. In
    /// a limit per tenant such a key is counted by itself, so that it takes nothing from the others.
    #[must_use]
    pub fn prefer_key_quota(mut self) -> Self {
        self.prefers_key = true;
        self
    }

    /// What a request costs, instead of 1. One that costs 0 is not counted, and never refused. That
    /// no quota of the limit is smaller than the cost is checked when the gate is built; a key whose
    /// [own quota](Self::prefer_key_quota) is smaller is always refused.
    #[must_use]
    pub fn cost(mut self, cost: u64) -> Self {
        self.cost = Cost::Fixed(cost);
        self
    }

    /// The same, told by the request. A cost above the quota is always refused: 429 without
    /// `Retry-After`, since no wait would help.
    #[must_use]
    pub fn cost_by(mut self, cost: impl Fn(&Caller<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.cost = Cost::By(Arc::new(cost));
        self
    }

    /// The name under which clients see it in rate-limit headers. Without one it is `tenant`, `key`,
    /// `subject`, `address` or `custom`, by the constructor.
    ///
    /// # Errors
    ///
    /// Unless it is 1 to 64 printable ASCII characters other than `"` and `\`, which can stand in a
    /// string of RFC 8941 as they are.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Result<Self, ConfigError> {
        let name: Arc<str> = name.into();
        let plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(plain) {
            let reason = "not 1 to 64 printable ASCII characters without \" and \\";
            return Err(ConfigError::invalid("name of a limit", name, reason));
        }
        self.name = name.into();
        Ok(self)
    }

    /// How many identities are counted at most, 100,000 by default; one counts once for each of its
    /// quotas. Each takes about 100 bytes and its text, of which a digest is kept if it is longer
    /// than 64 bytes. This limit then counts by itself, apart from those that it was cloned from.
    ///
    /// # Errors
    ///
    /// When it is 0 or above 2^30.
    pub fn capacity(mut self, identities: usize) -> Result<Self, ConfigError> {
        self.table = table(identities)?;
        Ok(self)
    }

    /// How many leading bits of an IPv6 address make a network that shares one counter in a limit
    /// [per address](Self::per_address), 64 by default; without effect on other limits.
    ///
    /// # Errors
    ///
    /// When it is 0 or above 128.
    pub fn ipv6_prefix(mut self, bits: u8) -> Result<Self, ConfigError> {
        let bits = ipv6_prefix(bits)?;
        if let Sharing::Address { ipv6_prefix } = &mut self.sharing {
            *ipv6_prefix = bits;
        }
        Ok(self)
    }

    /// True when the client's address may matter to it.
    pub(super) fn looks_at_address(&self) -> bool {
        matches!(self.sharing, Sharing::Address { .. } | Sharing::Custom(_))
            || matches!(self.cost, Cost::By(_))
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(super) fn shown_name(&self) -> &LimitName {
        &self.name
    }

    /// Refuses a cost that no caller on some quota could ever pay.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let smallest = self.plans.values().chain([&self.quota]).map(Quota::limit).min();
        match self.cost {
            Cost::Fixed(cost) if Some(cost) > smallest => {
                Err(ConfigError::invalid("cost of a limit", cost, "above one of its quotas"))
            }
            _ => Ok(()),
        }
    }

    /// What the caller asks of this limit; `None` if it does not apply to it.
    ///
    /// On the road of most requests, where a call and what it hands over cost as much as the work.
    #[inline(always)]
    pub(super) fn claim<'a>(
        &'a self,
        caller: &Caller<'a>,
        now: Timestamp,
    ) -> Result<Option<Claim<'a>>, LimitError> {
        let Some((identity, quota)) = self.account(caller) else { return Ok(None) };
        let cell = self.cell(caller.principal(), &identity, quota, now)?;
        Ok(Some(Claim { limit: self, cell, quota: *quota, cost: self.cost_of(caller) }))
    }

    /// Whom the caller is counted for, and under which quota.
    #[inline(always)]
    pub(super) fn account<'c>(
        &'c self,
        caller: &'c Caller<'_>,
    ) -> Option<(Identity<'c>, &'c Quota)> {
        let own = self.own_quota(caller.principal());
        let identity = self.identity(caller, own.is_some())?;
        Some((identity, own.unwrap_or_else(|| self.plan_quota(caller.principal()))))
    }

    #[inline(always)]
    fn cell<'a>(
        &self,
        principal: &'a Principal,
        identity: &Identity<'_>,
        quota: &Quota,
        now: Timestamp,
    ) -> Result<Held<'a>, LimitError> {
        match (principal.key(), &self.sharing) {
            (Some(record), Sharing::Tenant | Sharing::Caller) => {
                seats::cell(record, &self.table, identity, quota, now)
            }
            _ => self.table.cell(identity, quota, now).map(Held::Own),
        }
    }

    #[inline(always)]
    fn identity<'c>(&self, caller: &'c Caller<'_>, by_itself: bool) -> Option<Identity<'c>> {
        let principal = caller.principal();
        match &self.sharing {
            Sharing::Tenant if !by_itself => Some(of_tenant(principal)),
            Sharing::Tenant | Sharing::Caller => Some(of_caller(principal)),
            Sharing::Address { ipv6_prefix } => {
                Some(Identity::network(caller.address(), *ipv6_prefix))
            }
            Sharing::Custom(classify) => classify(caller).map(Identity::Text),
        }
    }

    #[inline]
    fn own_quota<'a>(&self, principal: &'a Principal) -> Option<&'a Quota> {
        if self.prefers_key { principal.key().and_then(KeyRecord::quota) } else { None }
    }

    #[inline]
    fn plan_quota(&self, principal: &Principal) -> &Quota {
        if self.plans.is_empty() {
            return &self.quota;
        }
        let plan = principal.tenant().and_then(Tenant::plan);
        plan.and_then(|plan| self.plans.get(plan)).unwrap_or(&self.quota)
    }

    #[inline]
    pub(super) fn cost_of(&self, caller: &Caller<'_>) -> u64 {
        match &self.cost {
            Cost::Fixed(cost) => *cost,
            Cost::By(weigh) => weigh(caller),
        }
    }
}

/// What one request asks of one limit.
pub(super) struct Claim<'a> {
    pub(super) limit: &'a Limit,
    pub(super) cell: Held<'a>,
    pub(super) quota: Quota,
    pub(super) cost: u64,
}

#[inline]
pub(super) fn of_tenant(principal: &Principal) -> Identity<'_> {
    match principal.tenant_id() {
        Some(tenant) => Identity::Tenant(tenant.as_str()),
        None => of_caller(principal),
    }
}

#[inline]
fn of_caller(principal: &Principal) -> Identity<'_> {
    match (principal.key_id(), principal.token()) {
        (None, Some(token)) => Identity::Subject {
            issuer: token.issuer().unwrap_or_default(),
            subject: token.subject(),
        },
        _ => Identity::Key(principal.subject()),
    }
}

pub(super) fn table(capacity: usize) -> Result<Arc<Table>, ConfigError> {
    if (1..=MAX_CAPACITY).contains(&capacity) {
        return Ok(Arc::new(Table::new(capacity)));
    }
    Err(ConfigError::invalid("capacity of a limit", capacity, "not 1 to 2^30"))
}

pub(super) fn default_table() -> Arc<Table> {
    Arc::new(Table::new(DEFAULT_CAPACITY))
}

pub(super) fn ipv6_prefix(bits: u8) -> Result<u8, ConfigError> {
    if (1..=128).contains(&bits) {
        return Ok(bits);
    }
    Err(ConfigError::invalid("IPv6 prefix of a limit", bits, "not 1 to 128"))
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("name", &self.name)
            .field("quota", &self.quota)
            .field("plans", &self.plans)
            .finish_non_exhaustive()
    }
}
