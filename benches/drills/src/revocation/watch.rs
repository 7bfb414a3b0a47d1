//! How soon revocations are felt, and who asks meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::fleet::{Answer, Fleet, Key, NODES, Node};
use crate::report::{Table, seconds};

/// Whoever is let in for longer than this is let in for ever.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// Requests that each node is always busy with.
const REQUESTS: usize = 3;

/// How a revocation was felt, counted from when it was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Felt {
    /// When the last request was made that a node let in.
    pub(crate) let_in: Duration,
    /// When the last node had refused for the first time.
    pub(crate) refused: Duration,
}

/// A key that was revoked, and when that was acknowledged.
pub(crate) struct Revocation {
    pub(crate) nodes: [Node; NODES],
    pub(crate) key: Key,
    pub(crate) acknowledged: Instant,
}

impl Revocation {
    /// Asks all nodes for the key, each again and again after `pause`, until it refuses.
    pub(crate) async fn felt(self, pause: Duration) -> Felt {
        let [a, b, c] = self.nodes.each_ref().map(|node| self.felt_on(node, pause));
        let (a, b, c) = tokio::join!(a, b, c);
        a.and(b).and(c)
    }

    async fn felt_on(&self, node: &Node, pause: Duration) -> Felt {
        let mut felt = Felt::default();
        while felt.refused < GIVEN_UP {
            let asked = self.acknowledged.elapsed();
            let answer = node.ask(&self.key).await;
            felt.refused = self.acknowledged.elapsed();
            match answer {
                Answer::LetIn => felt.let_in = asked,
                Answer::Refused => return felt,
                Answer::Away => {}
            }
            sleep(pause).await;
        }
        Felt { let_in: GIVEN_UP, ..felt }
    }
}

impl Felt {
    /// Asked again without a pause.
    pub(crate) const AT_ONCE: Duration = Duration::ZERO;
    /// Asked again with a pause that leaves others their turn.
    pub(crate) const NOW_AND_THEN: Duration = Duration::from_millis(25);

    /// The later of both.
    pub(crate) fn and(self, other: Self) -> Self {
        let (let_in, refused) = (self.let_in.max(other.let_in), self.refused.max(other.refused));
        Self { let_in, refused }
    }
}

/// A table of how revocations were felt.
pub(crate) struct Times(Table);

impl Times {
    pub(crate) fn new() -> Self {
        let header = ["", "revocations", "median", "99 %", "worst", "last let in"];
        Self(Table::new(header))
    }

    /// A row; what was worst.
    pub(crate) fn add(&mut self, name: &str, felt: &[Felt]) -> Felt {
        let mut refused: Vec<_> = felt.iter().map(|felt| felt.refused).collect();
        refused.sort();
        let at = |share: f64| {
            let index = (refused.len() as f64 * share) as usize;
            refused.get(index.min(refused.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        let worst = felt.iter().copied().fold(Felt::default(), Felt::and);
        self.0.row([
            name.to_owned(),
            felt.len().to_string(),
            seconds(at(0.5)),
            seconds(at(0.99)),
            seconds(worst.refused),
            seconds(worst.let_in),
        ]);
        worst
    }

    pub(crate) fn print(self) {
        self.0.print("Revocations, from the acknowledgement until all nodes have refused");
    }
}

/// Requests that go on beside a trial.
pub(crate) struct Crowd {
    seen: Arc<Seen>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    has_ended: AtomicBool,
    requests: AtomicU64,
    wrongly_refused: AtomicU64,
    away: AtomicU64,
    came_back: AtomicU64,
    revoked: Mutex<Vec<Key>>,
}

/// What the crowd has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// Good keys that were refused as if they were bad.
    pub(crate) wrongly_refused: u64,
    /// Good keys for which a node could not tell.
    pub(crate) away: u64,
    /// Revoked keys that were let in after they had been refused everywhere.
    pub(crate) came_back: u64,
}

impl Crowd {
    /// Good keys on all nodes, as fast as they answer; beside them keys that are [revoked](Self::revoked).
    pub(crate) fn gather(fleet: &Fleet, good: &[Key]) -> Self {
        let (seen, mut tasks) = (Arc::new(Seen::default()), JoinSet::new());
        for node in &fleet.nodes {
            for first in 0..REQUESTS {
                let (node, good) = (node.clone(), good.to_vec());
                let seen = Arc::clone(&seen);
                tasks.spawn(async move { seen.use_good(&node, &good, first).await });
            }
            let (node, seen) = (node.clone(), Arc::clone(&seen));
            tasks.spawn(async move { seen.try_revoked(&node).await });
        }
        Self { seen, tasks }
    }

    /// This key was refused everywhere, and must be from now on.
    pub(crate) fn revoked(&self, key: Key) {
        self.seen.revoked().push(key);
    }

    /// Waits for the last answers.
    pub(crate) async fn disperse(self) -> Tally {
        self.seen.has_ended.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally {
            requests: count(&self.seen.requests),
            wrongly_refused: count(&self.seen.wrongly_refused),
            away: count(&self.seen.away),
            came_back: count(&self.seen.came_back),
        }
    }
}

impl Seen {
    async fn use_good(&self, node: &Node, good: &[Key], first: usize) {
        for key in good.iter().cycle().skip(first) {
            if self.has_ended.load(Ordering::Relaxed) {
                return;
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            match node.ask(key).await {
                Answer::LetIn => {}
                Answer::Refused => drop(self.wrongly_refused.fetch_add(1, Ordering::Relaxed)),
                Answer::Away => {
                    self.away.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    async fn try_revoked(&self, node: &Node) {
        let mut next = 0;
        while !self.has_ended.load(Ordering::Relaxed) {
            let key = self.revoked().iter().cycle().nth(next).cloned();
            if let Some(key) = key {
                next = (next + 7) % self.revoked().len();
                let let_in = node.ask(&key).await == Answer::LetIn;
                self.came_back.fetch_add(u64::from(let_in), Ordering::Relaxed);
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn revoked(&self) -> std::sync::MutexGuard<'_, Vec<Key>> {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            wrongly_refused: self.wrongly_refused + other.wrongly_refused,
            away: self.away + other.away,
            came_back: self.came_back + other.came_back,
        }
    }
}
