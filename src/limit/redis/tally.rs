//! Failed authentications that many machines count together: beside the answers, never before them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::counters::RedisCounters;
use super::key::{Digest, Key};
use super::link::Link;
use super::script::{Call, taken};
use crate::ConfigError;
use crate::limit::FailureBudget;
use crate::limit::algorithm::{self, Answer};
use crate::limit::identity::Identity;
use crate::limit::quota::{Algorithm, Quota};

/// Limits have names, so none is ever counted under this one.
const NAME: &str = "";
const WITHIN: Duration = Duration::from_secs(1);
/// What is told to one that fails while nobody knows whether it may: answers take less.
const AGAIN: Duration = Duration::from_secs(1);
/// By how much a node's clock may lag behind the server's, in nanoseconds and in parts of a wait.
const LAG: (u64, u64) = (15_000_000, 1_000);
/// So much of a budget a node may answer while the server is being told, and one at least.
const PART: u64 = 16;
/// How many that fail, or have used up their budgets, are remembered; the server knows all.
const CAPACITY: usize = 100_000;

/// What a node knows of the failures on all nodes.
pub(crate) struct Tally {
    link: Arc<Link>,
    /// By their counts' names. All others may fail once more.
    known: Mutex<HashMap<Arc<str>, Known>>,
}

enum Known {
    /// The server is being told of so many failures.
    Telling(u64),
    /// Until then, by the node's monotonic clock.
    UsedUp(u64),
}

impl Tally {
    fn new(link: &Arc<Link>) -> Arc<Self> {
        Arc::new(Self { link: Arc::clone(link), known: Mutex::default() })
    }

    /// Counts a failure, and tells after how long the next one is within the budget, if this was not.
    pub(crate) fn fail(self: &Arc<Self>, who: &Identity<'_>, quota: &Quota) -> Option<Duration> {
        let (key, now) = (self.key(who, quota), self.link.now());
        let mut known = self.known();
        let telling = match known.get(&key.name) {
            Some(Known::UsedUp(until)) if *until > now => {
                return Some(Duration::from_nanos(*until - now));
            }
            Some(Known::Telling(failures)) => *failures,
            Some(Known::UsedUp(_)) | None => 0,
        };
        make_room(&mut known, now);
        let most = (quota.limit() / PART).max(1);
        let is_full = telling == 0 && known.len() >= CAPACITY;
        if telling >= most || is_full || self.link.circuit.is_open() {
            self.link.counts.refused.add(1);
            return Some(AGAIN);
        }
        known.insert(Arc::clone(&key.name), Known::Telling(telling + 1));
        let (tally, token, quota) = (Arc::clone(self), Arc::clone(&self.link.told), *quota);
        self.link.runtime.spawn(async move {
            tally.tell(key, quota).await;
            drop(token);
        });
        None
    }

    /// How long the budget is known to be used up for. Counts nothing.
    pub(crate) fn used_up(&self, who: &Identity<'_>, quota: &Quota) -> Option<Duration> {
        let (known, now) = (self.known(), self.link.now());
        if known.is_empty() {
            return None;
        }
        match known.get(&self.key(who, quota).name) {
            Some(Known::UsedUp(until)) if *until > now => Some(Duration::from_nanos(*until - now)),
            _ => None,
        }
    }

    async fn tell(&self, key: Key, quota: Quota) {
        let call = Call::take([(&key, quota, 1)]);
        let answer = self.link.call(&call, Instant::now() + WITHIN).await;
        if answer.is_err() {
            self.link.counts.unsettled.add(1);
        }
        let wait = answer.ok().and_then(|answer| wait(&answer, quota));
        self.learn(key.name, wait);
    }

    fn learn(&self, name: Arc<str>, wait: Option<u64>) {
        let (mut known, now) = (self.known(), self.link.now());
        make_room(&mut known, now);
        let is_new = match (known.remove(&name), wait) {
            (_, Some(wait)) => Known::UsedUp(now.saturating_add(wait)),
            (Some(Known::Telling(failures @ 2..)), None) => Known::Telling(failures - 1),
            (Some(used_up @ Known::UsedUp(_)), None) => used_up,
            (Some(Known::Telling(_)) | None, None) => return,
        };
        if known.len() < CAPACITY {
            known.insert(name, is_new);
        }
    }

    fn key(&self, who: &Identity<'_>, quota: &Quota) -> Key {
        let who = Digest::of(who.parts());
        Key::new(&self.link.prefix, who, who, quota, NAME)
    }

    /// Nothing panics while it holds the lock.
    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what is over, where there is too much: otherwise those would be refused for ever of whom
/// nothing is known.
fn make_room(known: &mut HashMap<Arc<str>, Known>, now: u64) {
    if known.len() >= CAPACITY {
        known.retain(|_, known| !matches!(known, Known::UsedUp(until) if *until <= now));
    }
}

/// How long nobody may fail any more, by what the server has answered.
fn wait(answer: &[u64], quota: Quota) -> Option<u64> {
    let taken = taken(answer, &[quota])?;
    let state = *taken.states.first()?;
    let (_, decision) = algorithm::decide(&quota, state, taken.now.saturating_mul(1_000), 1);
    match decision.answer {
        Answer::After(nanos) => Some(nanos.saturating_add(nanos / LAG.1).saturating_add(LAG.0)),
        Answer::Admitted | Answer::Never => None,
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("link", &self.link).finish_non_exhaustive()
    }
}

impl FailureBudget {
    /// Counts failures on all machines that share a server, besides on each. A budget
    /// [per prefix](Self::per_prefix) is counted there too if it is set before this is.
    ///
    /// No request waits for it, good or bad: a task tells the server, and until it has answered the
    /// node answers at most a 16th of the quota to one address or prefix, and one failure at least. So
    /// all nodes together answer at most **a 16th of the quota for each node more**, however fast
    /// failures come: what they answer while the server says that it was too many. A node that has not
    /// seen an address fail doesn't ask for it: [`before_verification`](Self::before_verification)
    /// refuses it there after its first failure.
    ///
    /// While the server is away, a failure is answered 429 at once, as what can't be counted; good
    /// credentials are let in as before. A failure of which the server could not be told (until three
    /// in a row show that it is away) counts on its node only. Each node counts by itself all the time,
    /// so it never answers more than the quota.
    ///
    /// Budgets of one quota under one [prefix](super::RedisSetup::prefix) of the server's are one.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), keygate::ConfigError> {
    /// use keygate::limit::redis::RedisCounters;
    /// use keygate::{FailureBudget, Quota};
    ///
    /// let redis = RedisCounters::open("redis://localhost/")?;
    /// let budget = FailureBudget::new(Quota::per_minute(20)?)
    ///     .per_prefix(Quota::per_hour(100)?)
    ///     .shared(&redis)?;
    /// # let _ = budget;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When a quota is per calendar month.
    pub fn shared(mut self, redis: &RedisCounters) -> Result<Self, ConfigError> {
        for count in std::iter::once(&mut self.addresses).chain(&mut self.prefixes) {
            if count.quota.algorithm() == Algorithm::CalendarMonth {
                let (what, limit) = ("quota of a failure budget", count.quota.limit());
                let reason = "shared by many machines, it can't be counted by calendar month";
                return Err(ConfigError::invalid(what, limit, reason));
            }
            count.tally = Some(Tally::new(redis.link()));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_makes_room_for_those_of_whom_nothing_is_known() {
        let name = |n: usize| Arc::<str>::from(n.to_string());
        let mut known: HashMap<_, _> =
            (0..CAPACITY).map(|n| (name(n), Known::UsedUp(1 + n as u64 % 2))).collect();
        make_room(&mut known, 0);
        assert_eq!(known.len(), CAPACITY, "nothing is over");
        known.insert(name(CAPACITY), Known::Telling(1));
        make_room(&mut known, 1);
        assert_eq!(known.len(), CAPACITY / 2 + 1);
    }
}
