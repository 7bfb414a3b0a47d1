//! What runs on this node by a server's leave: renewed while it runs, told when it has ended.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::key::Key;
use super::link::Link;
use super::script::{Call, Entrance};
use super::shared::Away;

/// A permit is renewed after this part of its lease, so that two attempts may fail.
const RENEWED: u32 = 3;
/// Between two looks for what is to be renewed: this part of the lease, up to a second.
const LOOKS: u32 = 12;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How many permits one script renews; the server does nothing else meanwhile.
const AT_ONCE: usize = 64;
const WITHIN: Duration = Duration::from_secs(1);

/// The requests of one [`Concurrency`](crate::Concurrency) that run on this node.
pub(crate) struct Desk {
    pub(super) link: Arc<Link>,
    pub(super) away: Away,
    lease: Duration,
    /// Tells this desk's permits from all others.
    node: u64,
    next: AtomicU64,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    running: HashMap<u64, Run>,
    /// By the keys' names: ended here, when, and not known to have been told.
    ended: HashMap<Arc<str>, Vec<(u64, Instant)>>,
}

impl Books {
    fn forget_old(&mut self, lease: Duration) {
        self.ended.retain(|_, ended| {
            ended.retain(|(_, at)| at.elapsed() < lease);
            !ended.is_empty()
        });
    }

    fn forget_ended(&mut self, name: &Arc<str>, number: u64) {
        let Some(ended) = self.ended.get_mut(name) else { return };
        ended.retain(|(other, _)| *other != number);
        if ended.is_empty() {
            self.ended.remove(name);
        }
    }
}

struct Run {
    key: Key,
    /// When it was last asked for; `None` if the server has never heard of it.
    told: Option<Instant>,
}

impl Desk {
    pub(super) fn new(link: &Arc<Link>, away: Away, lease: Duration) -> Arc<Self> {
        let desk = Arc::new(Self {
            link: Arc::clone(link),
            away,
            lease,
            // Keyed at random by the system.
            node: RandomState::new().hash_one(lease),
            next: AtomicU64::new(0),
            books: Mutex::default(),
        });
        link.runtime.spawn(keep(Arc::downgrade(&desk)));
        desk
    }

    /// A permit that the server has not been asked for.
    pub(super) fn permit(self: &Arc<Self>, key: &Key) -> Permit {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Permit { desk: Arc::clone(self), key: key.clone(), number, is_asked: false }
    }

    /// Nothing panics while it holds the lock, and what runs must be able to end.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the server that a permit has ended. Until it knows, each question for the same key says
    /// so too, up to the end of the lease, which ends the permit in any case.
    fn leave(self: &Arc<Self>, key: &Key, number: u64) {
        let (desk, name) = (Arc::clone(self), Arc::clone(&key.name));
        let ended = (number, Instant::now());
        self.books().ended.entry(Arc::clone(&name)).or_default().push(ended);
        let telling = self.link.telling(Call::leave([(key, self.node, number)]));
        self.link.runtime.spawn(async move {
            if telling.await {
                desk.books().forget_ended(&name, number);
            }
        });
    }

    /// Renews what is due. What fails is due again at the next look.
    async fn renew(self: &Arc<Self>) {
        self.books().forget_old(self.lease);
        let mut due = self.due();
        due.sort_by_key(|(_, key)| key.tag);
        let is_cluster = self.link.is_cluster;
        for group in due.chunk_by(|(_, one), (_, other)| !is_cluster || one.tag == other.tag) {
            for some in group.chunks(AT_ONCE) {
                self.renew_all(some).await;
            }
        }
    }

    async fn renew_all(self: &Arc<Self>, some: &[(u64, Key)]) {
        let (asked, lease) = (Instant::now(), micros(self.lease));
        let call = Call::renew(some.iter().map(|(number, key)| (key, lease, self.node, *number)));
        if self.link.call(&call, asked + WITHIN).await.is_err() {
            return;
        }
        // The server may have been told of these before it was told to renew them.
        for (number, key) in self.gone(some, asked) {
            self.leave(key, *number);
        }
    }

    /// Those that run, and were not renewed for long.
    fn due(&self) -> Vec<(u64, Key)> {
        let now = Instant::now();
        let is_due = |told: Instant| now.duration_since(told) >= self.lease / RENEWED;
        let books = self.books();
        let due = books.running.iter().filter(|(_, run)| run.told.is_none_or(is_due));
        due.map(|(number, run)| (*number, run.key.clone())).collect()
    }

    /// Those that have ended since; the others are good for another lease.
    fn gone<'a>(&self, renewed: &'a [(u64, Key)], asked: Instant) -> Vec<&'a (u64, Key)> {
        let mut books = self.books();
        let has_gone = |(number, _): &&(u64, Key)| match books.running.get_mut(number) {
            Some(run) => {
                run.told = Some(asked);
                false
            }
            None => true,
        };
        renewed.iter().filter(has_gone).collect()
    }
}

async fn keep(desk: Weak<Desk>) {
    let mut pause = Duration::ZERO;
    loop {
        sleep(pause).await;
        let Some(desk) = desk.upgrade() else { return };
        pause = (desk.lease / LOOKS).min(LONGEST_PAUSE);
        desk.renew().await;
    }
}

fn micros(lease: Duration) -> u64 {
    u64::try_from(lease.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Desk");
        shown.field("link", &self.link).field("away", &self.away).field("lease", &self.lease);
        shown.finish_non_exhaustive()
    }
}

/// A request that runs by the server's leave, until this is dropped.
pub(crate) struct Permit {
    desk: Arc<Desk>,
    key: Key,
    number: u64,
    /// The server may have granted it.
    is_asked: bool,
}

impl Permit {
    /// The question for it, where so many may run.
    pub(super) fn ask(&mut self, limit: u64) -> Entrance<'_> {
        self.is_asked = true;
        let Self { desk, key, number, .. } = self;
        let books = desk.books();
        let ended = books.ended.get(&key.name).into_iter().flatten();
        let ended = ended.map(|(number, _)| *number).collect();
        Entrance { key, limit, lease: micros(desk.lease), node: desk.node, number: *number, ended }
    }

    /// It was not granted.
    pub(super) fn refuse(mut self) {
        self.is_asked = false;
    }

    /// It runs from now on, and is renewed. What the server was asked for at no time it hears of when
    /// it is there again.
    pub(super) fn runs(self, told: Option<Instant>) -> Self {
        let run = Run { key: self.key.clone(), told };
        self.desk.books().running.insert(self.number, run);
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let ran = self.desk.books().running.remove(&self.number);
        if self.is_asked || ran.is_some_and(|run| run.told.is_some()) {
            self.desk.leave(&self.key, self.number);
        }
    }
}
