//! How a limit is shared by many machines.

use std::sync::Arc;

use super::counters::RedisCounters;
use super::key::{Digest, Key};
use super::link::Link;
use super::slice::Terms;
use super::slot::{Account, Slot};
use super::slots::Slots;
use crate::ConfigError;
use crate::limit::cell::LimitError;
use crate::limit::identity::Identity;
use crate::limit::quota::{Algorithm, Quota};
use crate::limit::{Limit, LimitName};

/// Shorter windows than this, in nanoseconds, pass before a slice is worth its round trip.
const SHORTEST: u64 = 1_000_000_000;

/// What becomes of a request whose limit can't be counted, since the server is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Away {
    /// It is refused with 503. This is the default: only who runs a service knows what it costs to
    /// let everything through, and whatever can't be decided is refused throughout this crate.
    #[default]
    Refuse,
    /// It passes this limit uncounted.
    Allow,
    /// It is counted in memory, against this node's share of the quota: one part in so many, rounded
    /// down, at least 1. Clients are told what is left of that. What was used before the server went
    /// away is not known to it: in the window in which that happens, a caller may get the limit once
    /// more.
    ///
    /// 0 is taken for 1.
    Share {
        /// How many nodes share the limit.
        nodes: u32,
    },
}

/// Where and how a limit is counted that many machines share; made by
/// [`exact`](RedisCounters::exact), [`leased`](RedisCounters::leased) and
/// [`approximate`](RedisCounters::approximate).
#[derive(Clone, Debug)]
#[must_use]
pub struct Shared {
    counters: RedisCounters,
    mode: Mode,
    away: Away,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Exact,
    Leased,
    Approximate { nodes: u32, percent: u8 },
}

impl Mode {
    /// How a node counts by itself under `quota`; `None` where the server decides each request.
    fn terms(self, quota: &Quota) -> Option<Terms> {
        let (limit, window) = (quota.limit(), quota.nanos());
        if quota.algorithm() != Algorithm::FixedWindow || window < SHORTEST {
            return None;
        }
        match self {
            Self::Exact => None,
            Self::Leased => Some(Terms::Leased { limit, window }),
            Self::Approximate { nodes, percent } => {
                Some(Terms::Ahead { limit, window, batch: batch(limit, nodes, percent) })
            }
        }
    }
}

/// What a node may spend before it has told, so that all together stay within `percent`.
fn batch(limit: u64, nodes: u32, percent: u8) -> u64 {
    (limit * u64::from(percent) / 100 / u64::from(nodes)).max(1)
}

impl Shared {
    pub(super) fn new(counters: &RedisCounters, mode: Mode) -> Self {
        Self { counters: counters.clone(), mode, away: Away::default() }
    }

    pub(super) fn approximate(
        counters: &RedisCounters,
        nodes: u32,
        percent: u8,
    ) -> Result<Self, ConfigError> {
        if nodes == 0 {
            return Err(ConfigError::invalid("number of nodes", nodes, "not 1 or more"));
        }
        if !(1..=100).contains(&percent) {
            let reason = "not 1 to 100 percent";
            return Err(ConfigError::invalid("overshoot of a limit", percent, reason));
        }
        Ok(Self::new(counters, Mode::Approximate { nodes, percent }))
    }

    /// What becomes of requests while the server is away; [`Away::Refuse`] unless this is called.
    pub fn when_away(mut self, away: Away) -> Self {
        self.away = away;
        self
    }

    /// By how much all nodes together may exceed `quota` in a window: 0 unless the limit is
    /// approximate.
    ///
    /// Each node spends at most a batch before it has told the server, which is the percentage of the
    /// limit divided by the number of nodes, rounded down, at least 1. A node that hears that the
    /// limit is reached stops; so when it is reached, what the others can have spent or may spend yet
    /// is a batch for each, and the last to tell may have gone over by another. That is `nodes`
    /// batches, and holds however long the server takes to answer, and for any load.
    ///
    /// It does not hold when there are more nodes than were configured, when the server loses what
    /// it knew, nor while it is away and [`Away`] lets requests pass.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), keygate::ConfigError> {
    /// use keygate::Quota;
    /// use keygate::limit::redis::RedisCounters;
    ///
    /// let redis = RedisCounters::open("redis://localhost/")?;
    /// let shared = redis.approximate(4, 10)?;
    /// assert_eq!(shared.overshoot(&Quota::per_minute(1_000)?), 100);
    /// assert_eq!(redis.leased().overshoot(&Quota::per_minute(1_000)?), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn overshoot(&self, quota: &Quota) -> u64 {
        match (self.mode, self.mode.terms(quota)) {
            (Mode::Approximate { nodes, .. }, Some(Terms::Ahead { batch, .. })) => {
                batch * u64::from(nodes)
            }
            _ => 0,
        }
    }
}

impl Limit {
    /// Counts on a server that many machines share, instead of in this process.
    ///
    /// All limits of one [name](Self::name) and quota that are counted there under one
    /// [prefix](super::RedisSetup::prefix) are one limit, on whatever machine and in whatever gate; where
    /// two of a service are to count apart, give them names.
    /// A clone under another name counts apart, too.
    ///
    /// Its quotas are not per calendar month: a gate refuses that when it is built, and a request whose
    /// own quota is a calendar month's later. It may be [settled later](Limit::settle_later); the
    /// [module](super#estimates) tells how.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), keygate::ConfigError> {
    /// use keygate::limit::redis::{Away, RedisCounters};
    /// use keygate::{Limit, Quota};
    ///
    /// let redis = RedisCounters::open("redis://localhost/")?;
    /// // A million a day, never one more: each request asks.
    /// let daily = Limit::per_tenant(Quota::per_day(1_000_000)?)
    ///     .name("daily")?
    ///     .shared(redis.exact());
    /// // Never one more either, and of those who send much one request in 50 asks at most.
    /// let minute = Limit::per_key(Quota::per_minute(10_000)?)
    ///     .shared(redis.leased().when_away(Away::Share { nodes: 4 }));
    /// # let _ = (daily, minute);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn shared(self, shared: Shared) -> Self {
        let slots = Arc::<Slots>::default();
        shared.counters.keeper().add(&slots);
        let Shared { counters, mode, away } = shared;
        let mut shared = self;
        shared.remote = Some(Counter { counters, mode, away, slots }.into());
        shared
    }
}

/// A limit's counts on a server, and its slices of them.
#[derive(Debug)]
pub(crate) struct Counter {
    counters: RedisCounters,
    mode: Mode,
    pub(super) away: Away,
    slots: Arc<Slots>,
}

/// Where one request is counted by one limit.
pub(crate) enum Count {
    Here(Arc<Slot>),
    There(Key),
}

impl Counter {
    pub(super) fn link(&self) -> &Arc<Link> {
        self.counters.link()
    }

    /// Where `owner` is counted under `quota`, beside the other counts of `tag`.
    pub(crate) fn count(
        &self,
        owner: &Identity<'_>,
        tag: &Identity<'_>,
        quota: &Quota,
        limit: &LimitName,
    ) -> Result<Count, LimitError> {
        let key = || {
            let (tag, owner) = (Digest::of(tag.parts()), Digest::of(owner.parts()));
            Key::new(&self.link().prefix, tag, owner, quota, limit)
        };
        let Some(terms) = self.mode.terms(quota) else { return Ok(Count::There(key())) };
        let digest = owner.digest();
        let parts = digest.as_ref().unwrap_or(owner).parts();
        let account = Account { owner: parts, quota, limit };
        let slot = self.slots.slot(&account, || Slot::new(&account, terms, key()))?;
        Ok(slot.map_or_else(|| Count::There(key()), Count::Here))
    }
}

/// What a caller is counted by when the server is away: this node's part of `quota`.
pub(super) fn share(quota: &Quota, nodes: u32) -> Quota {
    let limit = (quota.limit() / u64::from(nodes.max(1))).max(1);
    quota.with_limit(limit)
}
