//! A store of one key, a cache over it, and a way to let threads loose on both.

use std::future::Future;
use std::sync::Arc;

use loom::future::block_on;
use loom::model::Builder;
use loom::sync::Mutex;

use crate::cache::{Answer, Asked, Core, Digest, Fetched, News, Value};

pub(crate) const KEY: Digest = [7; 32];
/// Nothing here takes time, except where a test says so.
pub(crate) const NOW: u64 = 1_000;
const FRESH: u64 = 1_000_000;

/// A key as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) revision: u64,
    pub(crate) revoked: bool,
}

impl Value for Record {
    fn revision(&self) -> u64 {
        self.revision
    }
}

pub(crate) const GOOD: Record = Record { revision: 1, revoked: false };
pub(crate) const REVOKED: Record = Record { revision: 2, revoked: true };

pub(crate) type Cache = Core<Record, &'static str>;

pub(crate) struct World {
    pub(crate) cache: Cache,
    /// What a query reads in one step; its answer may be on the way for long.
    pub(crate) store: Mutex<Result<Option<Record>, &'static str>>,
    /// How often it was asked; no thread waits for it.
    pub(crate) queries: std::sync::atomic::AtomicUsize,
}

impl World {
    pub(crate) fn of(record: Option<Record>) -> Arc<Self> {
        let (cache, store) = (Core::new(4, 4), Mutex::new(Ok(record)));
        Arc::new(Self { cache, store, queries: Default::default() })
    }

    async fn query(&self) -> Result<Fetched<Record>, &'static str> {
        self.queries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let found = (*self.store.lock().unwrap())?;
        Ok(Fetched { found, fresh: FRESH })
    }

    pub(crate) async fn resolve(&self) -> Answer<Record, &'static str> {
        self.cache.resolve(&KEY, Asked::Once, || NOW, || self.query()).await
    }

    /// A request: from memory, or by the store.
    pub(crate) fn ask(&self) -> Option<Record> {
        match self.cache.peek(&KEY, NOW) {
            Some(found) => found,
            None => block_on(self.resolve()).expect("an answer"),
        }
    }

    pub(crate) fn write(&self, record: Option<Record>) {
        *self.store.lock().unwrap() = Ok(record);
    }

    pub(crate) fn announce(&self, news: News) {
        self.cache.announce(&KEY, news, NOW).unwrap();
    }

    pub(crate) fn queries(&self) -> usize {
        self.queries.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Starts a thread of the model.
pub(crate) fn go<T: 'static>(
    world: &Arc<World>,
    work: impl FnOnce(&World) -> T + 'static,
) -> loom::thread::JoinHandle<T> {
    let world = Arc::clone(world);
    loom::thread::spawn(move || work(&world))
}

/// Walks through every order. With a bound, those in which threads are interrupted at most so often,
/// where they need not wait.
pub(crate) fn every_order(
    bound: impl Into<Option<usize>>,
    model: impl Fn() + Sync + Send + 'static,
) {
    let mut builder = Builder::new();
    builder.preemption_bound = bound.into();
    builder.max_branches = 100_000;
    builder.check(model);
}

/// A future that is polled a few times and then dropped, as by a client that hangs up.
pub(crate) fn poll_and_drop(future: impl Future, polls: usize) {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..polls {
        if future.as_mut().poll(&mut cx).is_ready() {
            return;
        }
    }
}
