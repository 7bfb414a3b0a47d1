//! A feed inside one process.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;

use super::{Feed, Heard, Invalidation};
use crate::store::StoreError;
use crate::{Clock, SystemClock};

/// Messages that wait for one subscriber at most. One that falls further behind is told that
/// everything has changed.
const WAITING: usize = 1024;

/// Tells all stores of one process what one of them changes. Clones are the same feed. It hears of
/// nothing else: where other processes write to the same database, what follows it must not trust
/// memory for longer than without a feed ([`fresh_for`](crate::store::Cached::fresh_for) 5 s).
///
/// Nobody beats for it: it has no timer. Call [`beat`](Self::beat) about once a second from a task of
/// your own.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use keygate::store::feed::LocalFeed;
/// use keygate::store::{Cached, KeyAdmin, KeyStore, MemoryStore};
/// use keygate::{KeyDigest, KeyRecord, Tenant};
///
/// let (database, feed) = (MemoryStore::new(), LocalFeed::new());
/// let admin = Cached::new(database.clone()).announce_to(feed.clone());
/// let api = Cached::new(database);
/// let following = tokio::spawn(api.follow(feed.subscribe()));
/// feed.beat();
///
/// let digest = KeyDigest::from_bytes([7; 32]);
/// assert!(api.find(&digest).await?.is_none());
/// admin.insert(KeyRecord::new("key_1", digest, Tenant::new("acme"))).await?;
/// # feed.close();
/// # following.await?;
/// assert!(api.find(&digest).await?.is_some(), "not believed to be unknown any more");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LocalFeed {
    queues: Arc<Mutex<Vec<Weak<Queue>>>>,
    clock: Arc<dyn Clock>,
}

/// One subscriber's end of a [`LocalFeed`].
pub struct Subscription {
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    /// After these messages there is nothing more.
    ended: bool,
    waker: Option<Waker>,
}

enum Message {
    /// When it was.
    Beat(Duration),
    Changed(Invalidation),
    Ended,
}

impl Default for LocalFeed {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalFeed {
    /// A feed that nobody follows.
    pub fn new() -> Self {
        Self { queues: Arc::default(), clock: Arc::new(SystemClock::new()) }
    }

    /// The same feed with another clock, by which the age of beats is told.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// An end that hears all from now on.
    pub fn subscribe(&self) -> Subscription {
        let queue = Arc::new(Queue::default());
        let mut queues = lock(&self.queues);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        Subscription { queue, clock: Arc::clone(&self.clock) }
    }

    /// Tells of a change that can be read from the store.
    pub fn publish(&self, what: Invalidation) {
        self.send(|| Message::Changed(what.clone()));
    }

    /// Tells that the feed is alive.
    pub fn beat(&self) {
        let now = self.clock.monotonic();
        self.send(|| Message::Beat(now));
    }

    /// Ends the feed for those who follow it now.
    pub fn close(&self) {
        self.send(|| Message::Ended);
    }

    /// All hear messages in one order. Wakers are called, and queues dropped, when the locks are
    /// free: they may run anything.
    fn send(&self, message: impl Fn() -> Message) {
        let queues = lock(&self.queues);
        let told = queues.iter().filter_map(Weak::upgrade).map(|queue| {
            let waker = queue.push(message());
            (queue, waker)
        });
        let told: Vec<_> = told.collect();
        drop(queues);
        told.into_iter().filter_map(|(_, waker)| waker).for_each(Waker::wake);
    }
}

impl Queue {
    /// Puts a message in; who is to be woken for it.
    fn push(&self, message: Message) -> Option<Waker> {
        let mut waiting = lock(&self.0);
        waiting.put(message);
        waiting.waker.take()
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Message> {
        let mut waiting = lock(&self.0);
        if let Some(message) = waiting.next() {
            return Poll::Ready(message);
        }
        let former = waiting.waker.replace(cx.waker().clone());
        drop(waiting);
        drop(former);
        Poll::Pending
    }
}

impl Waiting {
    fn next(&mut self) -> Option<Message> {
        self.messages.pop_front().or(self.ended.then_some(Message::Ended))
    }

    /// A beat says all that the one just before it does. The end takes no room: it is not lost to
    /// whoever is far behind, and nothing comes after it.
    fn put(&mut self, message: Message) {
        if self.ended {
            return;
        }
        match (message, self.messages.back_mut()) {
            (Message::Ended, _) => self.ended = true,
            (Message::Beat(now), Some(Message::Beat(last))) => *last = now,
            (message, _) => self.queue(message),
        }
    }

    fn queue(&mut self, message: Message) {
        if self.messages.len() >= WAITING {
            self.messages.clear();
            self.messages.push_back(Message::Changed(Invalidation::Everything));
        }
        self.messages.push_back(message);
    }
}

#[async_trait]
impl Feed for Subscription {
    async fn next(&mut self) -> Result<Heard, StoreError> {
        let message = poll_fn(|cx| self.queue.poll(cx)).await;
        Ok(match message {
            Message::Beat(at) => Heard::Alive { age: self.clock.monotonic().saturating_sub(at) },
            Message::Changed(what) => Heard::Changed(what),
            Message::Ended => Heard::Ended,
        })
    }
}

/// A message is put in whole or not at all: a queue is good after a panic elsewhere, too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for LocalFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subscribers = lock(&self.queues).iter().filter(|q| q.strong_count() > 0).count();
        f.debug_struct("LocalFeed").field("subscribers", &subscribers).finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
