//! A limit: who shares it, how much, and what a request costs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::caller::Caller;
use super::cell::{LimitError, Tag};
use super::identity::Identity;
use super::plans::Plans;
use super::quota::{Algorithm, Quota};
use super::reach::Reach;
use super::remote::Remote;
use super::single::{Owner, Plain};
use super::standing::LimitName;
use super::table::{Lead, Place, Table};
use crate::{ConfigError, KeyRecord, Principal, Tenant, Timestamp};

const DEFAULT_CAPACITY: u32 = 100_000;
const MAX_CAPACITY: u32 = 1 << 30;
const MAX_NAME: usize = 64;
pub(super) const IPV6_PREFIX: u8 = 64;

type Classify = dyn for<'c> Fn(&'c Caller<'_>) -> Option<Cow<'c, str>> + Send + Sync;
type Weigh = dyn Fn(&Caller<'_>) -> u64 + Send + Sync;

/// Who shares a [`Quota`], how much of it a request costs, and where that is counted.
///
/// Each limit made by a constructor counts by itself. Clones share the counters, whatever else is
/// then set on them: `limit.clone().cost(10)` is the same limit for a route that costs more.
///
/// A limit is for all requests, or [`on`](Self::on) routes or [`for_scope`](Self::for_scope) only;
/// routes may [cost](Self::cost_on) more than others. [`plans`](Self::plans) change without a
/// restart, and a cost may be [`settled later`](Self::settle_later). How many requests run at a time
/// is limited by [`Concurrency`](super::Concurrency).
///
/// At most [`capacity`](Self::capacity) identities are counted at a time, in memory, in this
/// process. When there is no room, those go first that were idle for a whole window or a little longer,
/// then of a sample the one that has consumed least; a caller at its limit stays, unless hundreds in a
/// row, or all in their part of a small table, are at theirs. Whoever had to go begins anew.
///
/// A count belongs to one identity under one quota (limit, window and algorithm). A caller whose
/// quota changes (another plan, another key quota, a clone with other plans) starts a new count,
/// and finds the old one when it changes back: at worst it gets the sum of its quotas in one window.
/// A key starts a new one, too, when its digest is renewed under another [pepper](crate::Peppers).
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
    shared_plans: Option<Plans>,
    prefers_key: bool,
    cost: Cost,
    /// None for most limits, which are for all requests.
    reach: Option<Arc<Reach>>,
    settled_later: bool,
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
            table: default_table(),
            name: LimitName::from_static(name),
            sharing,
            quota,
            plans: BTreeMap::new(),
            shared_plans: None,
            prefers_key: false,
            cost: Cost::Fixed(1),
            reach: None,
            settled_later: false,
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

    /// Looks plans up in `plans` first, which may change while the service runs; those that are not
    /// there in what [`plan`](Self::plan) has told. A quota that is set there later and is smaller
    /// than the cost of a request always refuses it.
    #[must_use]
    pub fn plans(mut self, plans: &Plans) -> Self {
        self.shared_plans = Some(plans.clone());
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

    /// Takes the cost for an estimate, which the request settles: a [`Reservation`](super::Reservation)
    /// among its extensions is told the real cost, and what was reserved beyond it is given back.
    ///
    /// A request that settles nothing has cost nothing, be it cancelled, refused by a policy or served
    /// by a handler that knows of no reservation: set this for routes that settle, and another limit
    /// on how many requests there may be. Rate-limit headers count the estimate. So does a server
    /// where the limit is [shared](Limit#method.shared), until the request is settled: that is done
    /// beside it.
    ///
    /// ```
    /// use keygate::{Limit, Quota};
    ///
    /// // A million tokens a day; a request holds 4,000 until it is known what it has used.
    /// let tokens = Limit::per_tenant(Quota::per_day(1_000_000)?)
    ///     .cost(4_000)
    ///     .settle_later()
    ///     .name("tokens")?;
    /// # let _ = tokens;
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    #[must_use]
    pub fn settle_later(mut self) -> Self {
        self.settled_later = true;
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
        self.name = checked(name.into())?;
        Ok(self)
    }

    /// How many identities are counted at most, 100,000 by default; one counts once for each of its
    /// quotas. Each takes 45 bytes when there are so many, however long its text: a keyed hash
    /// stands for it. Memory is taken as it is needed, but for a part of it at once, which for the largest
    /// capacity is 28 MiB. This limit then counts by itself, apart from those that it was cloned from.
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

    pub(super) fn is_settled_later(&self) -> bool {
        self.settled_later
    }

    pub(super) fn reaching(
        mut self,
        change: impl FnOnce(&mut Reach) -> Result<(), ConfigError>,
    ) -> Result<Self, ConfigError> {
        change(Arc::make_mut(self.reach.get_or_insert_default()))?;
        Ok(self)
    }

    /// What counts requests with keys, if that is kept here and depends on nothing but whose the key is.
    pub(super) fn plain(&self) -> Option<Plain> {
        if self.reach.is_some() || self.settled_later || self.remote.is_some() {
            return None;
        }
        let owner = match self.sharing {
            Sharing::Tenant => Owner::Tenant,
            Sharing::Caller => Owner::Key,
            Sharing::Address { .. } | Sharing::Custom(_) => return None,
        };
        let Cost::Fixed(cost) = self.cost else { return None };
        let (table, name) = (Arc::clone(&self.table), self.name.clone());
        self.has_one_quota().then(|| Plain { table, owner, quota: self.quota, cost, name })
    }

    fn has_one_quota(&self) -> bool {
        !self.prefers_key && self.has_no_plans()
    }

    #[inline]
    fn has_no_plans(&self) -> bool {
        self.plans.is_empty() && self.shared_plans.is_none()
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(super) fn shown_name(&self) -> &LimitName {
        &self.name
    }

    /// Refuses a cost that no caller on some quota could ever pay.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let shared = self.shared_plans.as_ref().and_then(Plans::smallest);
        let quotas = self.plans.values().chain([&self.quota]).map(Quota::limit);
        let smallest = quotas.chain(shared).min();
        let usual = if let Cost::Fixed(cost) = self.cost { cost } else { 0 };
        let cost = usual.max(self.reach.as_ref().map_or(0, |reach| reach.dearest()));
        if Some(cost) > smallest {
            return Err(ConfigError::invalid("cost of a limit", cost, "above one of its quotas"));
        }
        self.check_shared()
    }

    /// Refuses what a limit that many machines share can't do.
    fn check_shared(&self) -> Result<(), ConfigError> {
        let monthly = |quota: &Quota| quota.algorithm() == Algorithm::CalendarMonth;
        if self.remote.is_none() {
            return Ok(());
        }
        if self.plans.values().chain([&self.quota]).any(monthly) {
            let reason = "shared by many machines, it can't be counted by calendar month";
            return Err(ConfigError::invalid("limit", &self.name, reason));
        }
        Ok(())
    }

    /// What the caller asks of this limit; `None` if it does not apply to it.
    pub(super) fn claim<'a>(
        &'a self,
        caller: &Caller<'a>,
        now: Timestamp,
    ) -> Result<Option<Claim<'a>>, LimitError> {
        let mut shared = None;
        let account = self.account(caller, &mut shared);
        let Some((tag, quota)) = account else { return Ok(None) };
        let place = self.table.place_of(tag, quota.into(), now)?;
        Ok(Some(Claim { limit: self, place, quota: *quota, cost: self.cost_of(caller) }))
    }

    /// The way to the counter of a key of which nothing but the digest is known, if there is one.
    pub(super) fn lead(&self) -> Option<Lead> {
        let by_key = matches!(self.sharing, Sharing::Caller) && self.remote.is_none();
        let lead = || Lead { table: Arc::clone(&self.table), quota: self.quota };
        (by_key && self.has_one_quota()).then(lead)
    }

    /// The account on which the caller is counted, and its quota, to which `shared` gives a place if
    /// it may change at any time; `None` if the limit is not for the caller.
    #[inline(always)]
    pub(super) fn account<'c>(
        &'c self,
        caller: &'c Caller<'_>,
        shared: &'c mut Option<Quota>,
    ) -> Option<(Tag, &'c Quota)> {
        let Terms { quota, by_itself } = self.terms(caller, shared)?;
        Some((Tag::new(self.hash(caller, by_itself)?, quota), quota))
    }

    #[inline(always)]
    pub(super) fn terms<'c>(
        &'c self,
        caller: &'c Caller<'_>,
        shared: &'c mut Option<Quota>,
    ) -> Option<Terms<'c>> {
        if self.reach.as_ref().is_some_and(|reach| !reach.holds(caller)) {
            return None;
        }
        let own = self.own_quota(caller.principal());
        let quota = match own {
            Some(own) => own,
            None if self.has_no_plans() => &self.quota,
            None => self.plan_quota(caller.principal(), shared),
        };
        Some(Terms { quota, by_itself: own.is_some() })
    }

    /// The hash of whom the caller is counted for. What a record brings along needs not be hashed again.
    #[inline(always)]
    fn hash(&self, caller: &Caller<'_>, by_itself: bool) -> Option<u64> {
        let principal = caller.principal();
        match (&self.sharing, principal.key(), principal.tenant()) {
            (Sharing::Tenant, _, Some(tenant)) if !by_itself => Some(tenant.name_hash()),
            (Sharing::Tenant | Sharing::Caller, Some(record), _) => {
                Some(self.table.key().of_key(record.digest()))
            }
            // Hashed where it stands: in an identity it would be moved first.
            (Sharing::Custom(classify), ..) => {
                classify(caller).map(|text| self.table.key().of_text(&text))
            }
            _ => self.hash_of_name(caller, by_itself),
        }
    }

    #[inline(never)]
    fn hash_of_name(&self, caller: &Caller<'_>, by_itself: bool) -> Option<u64> {
        self.identity(caller, by_itself).map(|identity| self.table.key().of(&identity))
    }

    /// Whom the caller is counted for, by name.
    #[inline]
    pub(super) fn identity<'c>(
        &self,
        caller: &'c Caller<'_>,
        by_itself: bool,
    ) -> Option<Identity<'c>> {
        match &self.sharing {
            Sharing::Tenant if !by_itself => Some(of_tenant(caller.principal())),
            Sharing::Tenant | Sharing::Caller => Some(of_caller(caller.principal())),
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

    #[inline(never)]
    fn plan_quota<'c>(&'c self, principal: &Principal, shared: &'c mut Option<Quota>) -> &'c Quota {
        let Some(plan) = principal.tenant().and_then(Tenant::plan) else { return &self.quota };
        *shared = self.shared_plans.as_ref().and_then(|plans| plans.get(plan));
        shared.as_ref().or_else(|| self.plans.get(plan)).unwrap_or(&self.quota)
    }

    #[inline(always)]
    pub(super) fn cost_of(&self, caller: &Caller<'_>) -> u64 {
        match (&self.cost, &self.reach) {
            (Cost::Fixed(cost), None) => *cost,
            _ => self.weigh(caller),
        }
    }

    #[inline(never)]
    fn weigh(&self, caller: &Caller<'_>) -> u64 {
        let usual = match &self.cost {
            Cost::Fixed(cost) => *cost,
            Cost::By(weigh) => weigh(caller),
        };
        self.reach.as_ref().map_or(usual, |reach| reach.cost(caller.head(), usual))
    }
}

/// Under which quota a caller is counted, and whether that is its key's own, so that it has it for
/// itself.
pub(super) struct Terms<'a> {
    pub(super) quota: &'a Quota,
    pub(super) by_itself: bool,
}

/// What one request asks of one limit.
pub(super) struct Claim<'a> {
    pub(super) limit: &'a Limit,
    pub(super) place: Place,
    pub(super) quota: Quota,
    pub(super) cost: u64,
}

pub(super) fn of_tenant(principal: &Principal) -> Identity<'_> {
    match principal.tenant_id() {
        Some(tenant) => Identity::Tenant(tenant.as_str()),
        None => of_caller(principal),
    }
}

pub(super) fn of_caller(principal: &Principal) -> Identity<'_> {
    match (principal.key_id(), principal.token()) {
        (None, Some(token)) => Identity::Subject {
            issuer: token.issuer().unwrap_or_default(),
            subject: token.subject(),
        },
        _ => Identity::Key(principal.subject()),
    }
}

/// A name that can stand in a header.
pub(super) fn checked(name: Arc<str>) -> Result<LimitName, ConfigError> {
    let plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name.into());
    }
    let reason = "not 1 to 64 printable ASCII characters without \" and \\";
    Err(ConfigError::invalid("name of a limit", name, reason))
}

pub(super) fn table(capacity: usize) -> Result<Arc<Table>, ConfigError> {
    match u32::try_from(capacity) {
        Ok(capacity @ 1..=MAX_CAPACITY) => Ok(Arc::new(Table::new(capacity))),
        _ => Err(ConfigError::invalid("capacity of a limit", capacity, "not 1 to 2^30")),
    }
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
            .field("shared_plans", &self.shared_plans)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}
