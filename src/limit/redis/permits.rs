//! How a number of requests that run at a time is shared by many machines.

use std::time::Duration;

use super::counters::RedisCounters;
use super::desk::Desk;
use super::shared::Away;
use crate::{Concurrency, ConfigError};

const LEASE: Duration = Duration::from_secs(10);
const LEASES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));

/// Where and how it is counted what many machines run at a time; made by
/// [`RedisCounters::permits`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SharedPermits {
    counters: RedisCounters,
    away: Away,
    lease: Duration,
}

impl SharedPermits {
    pub(super) fn new(counters: &RedisCounters) -> Self {
        Self { counters: counters.clone(), away: Away::default(), lease: LEASE }
    }

    /// How long a request of a node that was killed goes on being counted, 10 s by default. It is
    /// counted for as long as it runs, however long that is: a task renews it after a third of this.
    ///
    /// So long the server may be away, too, and still know what runs. If it is away for longer, it
    /// forgets, and counts what runs again when nodes renew it, up to a third of the lease later: in
    /// between, new requests may be let in beside those.
    ///
    /// # Errors
    ///
    /// Unless it is 1 s to 1 hour.
    pub fn lease(mut self, lease: Duration) -> Result<Self, ConfigError> {
        if !(LEASES.0..=LEASES.1).contains(&lease) {
            let given = format!("{lease:?}");
            return Err(ConfigError::invalid("lease of a permit", given, "not 1 s to 1 hour"));
        }
        self.lease = lease;
        Ok(self)
    }

    /// What becomes of requests while the server is away; [`Away::Refuse`] unless this is called.
    ///
    /// What this node runs it knows itself: with [`Away::Allow`] it runs up to the whole number, with
    /// [`Away::Share`] its part of it, what it has run since before included. The server hears of
    /// these when it is back.
    pub fn when_away(mut self, away: Away) -> Self {
        self.away = away;
        self
    }
}

impl Concurrency {
    /// Counts what runs on all machines that share a server, instead of in this process.
    ///
    /// A request is let in by the server, in one round trip for all such limits of its gate, and runs
    /// no more as soon as its answer's end has been told, by a task. While the server is there, all
    /// nodes together never run more. All of one [name](Self::name) that are counted there under one
    /// [prefix](super::RedisSetup::prefix) are one, in whatever gate.
    ///
    /// A node that is killed frees what it ran after the [lease](SharedPermits::lease). A node that the
    /// server does not hear of for so long, while it lives, loses the count of what it runs until it
    /// is heard again.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), keygate::ConfigError> {
    /// use std::time::Duration;
    /// use keygate::Concurrency;
    /// use keygate::limit::redis::{Away, RedisCounters};
    ///
    /// let redis = RedisCounters::open("redis://localhost/")?;
    /// let permits = redis.permits().when_away(Away::Share { nodes: 4 });
    /// let ten = Concurrency::per_tenant(10)?.shared(permits.lease(Duration::from_secs(30))?);
    /// # let _ = ten;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn shared(self, permits: SharedPermits) -> Self {
        let SharedPermits { counters, away, lease } = permits;
        let desk = Desk::new(counters.link(), away, lease);
        let mut shared = self;
        shared.desk = Some(desk);
        shared
    }
}
