//! How many requests of a caller may run at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cell::LimitError;
use super::definition::{checked, of_caller, of_tenant};
use super::identity::Identity;
use super::remote::{self, Desk, Pending, Turn};
use super::running::{Permit, Running};
use super::standing::{LimitName, Standing, Standings};
use crate::{ConfigError, Principal, Tenant, Timestamp};

const MAX: u64 = 1 << 32;
const MAX_LIMITS: usize = 8;
/// Nobody can tell when a request ends that runs now. Most end within a second; and a client that
/// tries once in a second costs next to nothing.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many requests of a tenant or a key may run at a time.
///
/// A request runs until its answer's body has been sent, fails or is dropped, or until its future is
/// dropped: streams count for as long as they last. One that is too many is answered 429, with
/// `Retry-After: 1` by default. What has been upgraded (a WebSocket) no longer runs in this sense.
///
/// It is counted before the [limits](super::Limit) of a gate, and a request that they refuse runs no
/// more. Memory is taken for those callers only that run something. Clones share the count. It is one
/// of this process, unless many machines share it: with the feature `redis`, `Concurrency::shared`.
///
/// The fields of the IETF's draft tell of it, with the quota unit `concurrent-requests` and without a
/// window; `X-RateLimit-*` do not, for they have no words for it.
///
/// ```
/// use keygate::{AuthLayer, Concurrency, store::MemoryStore};
///
/// let gate = AuthLayer::new(MemoryStore::new())
///     .concurrency(Concurrency::per_tenant(10)?.plan("enterprise", 200)?)?
///     .concurrency(Concurrency::per_key(4)?)?;
/// # let _ = gate;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Concurrency {
    running: Arc<Running>,
    name: LimitName,
    sharing: Sharing,
    limit: u64,
    plans: BTreeMap<Box<str>, u64>,
    retry_after: Duration,
    /// Where it is counted besides, if that is not only here.
    pub(super) desk: Option<Arc<Desk>>,
}

#[derive(Clone, Copy, Debug)]
enum Sharing {
    Tenant,
    Caller,
}

impl Concurrency {
    /// All callers of a tenant share `limit`. A caller without a tenant has it for itself.
    ///
    /// # Errors
    ///
    /// When it is 0 or above 2^32.
    pub fn per_tenant(limit: u64) -> Result<Self, ConfigError> {
        Self::new(limit, "tenant-concurrency", Sharing::Tenant)
    }

    /// Each key has `limit` for itself, and each subject of an issuer of JWTs.
    ///
    /// # Errors
    ///
    /// When it is 0 or above 2^32.
    pub fn per_key(limit: u64) -> Result<Self, ConfigError> {
        Self::new(limit, "key-concurrency", Sharing::Caller)
    }

    fn new(limit: u64, name: &'static str, sharing: Sharing) -> Result<Self, ConfigError> {
        Ok(Self {
            running: Arc::default(),
            name: LimitName::from_static(name),
            sharing,
            limit: bounded(limit)?,
            plans: BTreeMap::new(),
            retry_after: RETRY_AFTER,
            desk: None,
        })
    }

    /// Callers whose tenant is on the plan `name` have `limit`, as in [`Limit::plan`](super::Limit::plan).
    ///
    /// # Errors
    ///
    /// When it is 0 or above 2^32.
    pub fn plan(mut self, name: impl Into<Box<str>>, limit: u64) -> Result<Self, ConfigError> {
        self.plans.insert(name.into(), bounded(limit)?);
        Ok(self)
    }

    /// The name under which clients see it, instead of `tenant-concurrency` or `key-concurrency`.
    ///
    /// # Errors
    ///
    /// As [`Limit::name`](super::Limit::name).
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Result<Self, ConfigError> {
        self.name = checked(name.into())?;
        Ok(self)
    }

    /// When one too many is told to come back, instead of after a second: about as long as a request
    /// runs.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = wait;
        self
    }

    /// Lets a request run as far as this process knows, or not, and tells where its caller stands.
    fn enter(
        &self,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<(Option<Permit>, Standing), LimitError> {
        let limit = self.limit_of(principal);
        let (permit, remaining) = self.running.enter(&self.identity(principal), limit)?;
        let standing = Standing::new(self.name.clone(), limit, Duration::ZERO);
        Ok((permit, Standing { remaining, reset: now, ..standing }))
    }

    /// What has to be asked elsewhere for a request that may run here.
    fn turn(&self, principal: &Principal, standing: &Standing) -> Option<Turn> {
        // What belongs to a tenant stays together.
        let who = || (self.identity(principal), of_tenant(principal));
        let turn = |desk| Turn::new(desk, who(), standing.clone(), self.retry_after);
        self.desk.as_ref().map(turn)
    }

    fn identity<'p>(&self, principal: &'p Principal) -> Identity<'p> {
        match self.sharing {
            Sharing::Tenant => of_tenant(principal),
            Sharing::Caller => of_caller(principal),
        }
    }

    #[cfg(test)]
    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    fn limit_of(&self, principal: &Principal) -> u64 {
        let plan = principal.tenant().and_then(Tenant::plan);
        plan.and_then(|plan| self.plans.get(plan)).copied().unwrap_or(self.limit)
    }
}

fn bounded(limit: u64) -> Result<u64, ConfigError> {
    if (1..=MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(ConfigError::invalid("number of concurrent requests", limit, "not 1 to 2^32"))
}

/// All that limit what runs through a gate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concurrencies(Vec<Concurrency>);

/// Why nothing was let run.
pub(crate) enum Busy {
    /// When to try again.
    After(Duration),
    Unknown(LimitError),
}

impl Concurrencies {
    /// # Errors
    ///
    /// More than eight, or two of one name.
    pub(crate) fn with(&self, one: Concurrency) -> Result<Self, ConfigError> {
        if self.0.len() >= MAX_LIMITS {
            let number = self.0.len() + 1;
            return Err(ConfigError::invalid("number of limits", number, "a gate takes at most 8"));
        }
        if self.0.iter().any(|other| other.name == one.name) {
            let reason = "two limits of a gate have it; tell them apart with Concurrency::name";
            return Err(ConfigError::invalid("name of a limit", one.name, reason));
        }
        Ok(Self(self.0.iter().cloned().chain([one]).collect()))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets the request run by all, or by none: what was let is dropped with the list. `Err` in the
    /// answer means that somebody has to be asked first.
    pub(crate) fn enter(
        &self,
        principal: &Principal,
        now: Timestamp,
        standings: &mut Standings,
    ) -> Result<Result<Permits, Pending>, Busy> {
        let (mut here, mut turns) = (Vec::with_capacity(self.0.len()), Vec::new());
        for one in &self.0 {
            let (permit, standing) = one.enter(principal, now).map_err(Busy::Unknown)?;
            let turn = permit.as_ref().and_then(|_| one.turn(principal, &standing));
            if turn.is_none() {
                standings.push(standing);
            }
            here.push(permit.ok_or(Busy::After(one.retry_after))?);
            turns.extend(turn);
        }
        Ok(match turns.is_empty() {
            true => Ok(Permits::new(here, Vec::new())),
            false => Err(remote::enter(turns, here)),
        })
    }
}

/// A request that runs: it does until this is dropped.
///
/// A gate keeps it until the answer's body is at its end. Who uses an
/// [`Authenticator`](crate::Authenticator) without a service keeps it for as long.
#[derive(Default)]
#[must_use]
pub struct Permits(
    // In an `Arc`, of which the end is a call: every answer drops one of these, and most are empty.
    #[expect(dead_code, reason = "is dropped, and does no more")] Option<Arc<Held>>,
);

/// In this process, and on servers.
type Held = (Vec<Permit>, Vec<remote::Permit>);

impl Permits {
    pub(super) fn new(here: Vec<Permit>, there: Vec<remote::Permit>) -> Self {
        Self(Some(Arc::new((here, there))))
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits").finish_non_exhaustive()
    }
}
