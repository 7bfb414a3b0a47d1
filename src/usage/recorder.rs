//! Counts uses on the requests' way, and writes them beside it.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::table::Table;
use super::writes::Writes;
use super::{Endpoints, UsageLayer};
use crate::signal::Signal;
use crate::store::{StoreError, UsageStore, Use};
use crate::{Clock, ConfigError, Head, KeyId, SystemClock, Timestamp};

/// Rows that wait to be written, at most: about 10 MB.
const ROWS: usize = 100_000;
/// Endpoints that are told apart, at most.
const ENDPOINTS: usize = 1000;
/// Rows that are written at once, at most: few enough for a distant database to take in time.
const BATCH: usize = 100;
/// How often the last uses are tried to be written.
const LAST_ATTEMPTS: usize = 5;

/// Counts what keys are used for, and writes it to a [`UsageStore`]. Clones share the counts.
///
/// See the [module](crate::usage) for how it is set up.
#[derive(Clone)]
pub struct UsageRecorder {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

struct Shared {
    table: Table,
    writes: Writes,
    signal: Signal,
    failed: AtomicU64,
}

impl Default for UsageRecorder {
    fn default() -> Self {
        Self::new()
    }
}

impl UsageRecorder {
    /// A recorder of 100,000 rows, which are keys by endpoints, and 1,000 endpoints.
    pub fn new() -> Self {
        Self::of(ROWS, ENDPOINTS)
    }

    /// A recorder that holds at most `rows` until they are written, and tells at most `endpoints`
    /// apart. Uses that would need another row are [dropped](Self::dropped); those of another
    /// endpoint, or one whose name is longer than 256 bytes, are counted as `other`.
    ///
    /// # Errors
    ///
    /// When either is 0.
    pub fn with_limits(rows: usize, endpoints: usize) -> Result<Self, ConfigError> {
        if rows == 0 || endpoints == 0 {
            return Err(ConfigError::invalid("limits of usage", "0", "room for nothing"));
        }
        Ok(Self::of(rows, endpoints))
    }

    fn of(rows: usize, endpoints: usize) -> Self {
        let (table, signal) = (Table::new(rows, endpoints), Signal::default());
        let writes = Writes::default();
        let shared = Shared { table, writes, signal, failed: AtomicU64::new(0) };
        Self { shared: Arc::new(shared), clock: Arc::new(SystemClock::new()) }
    }

    /// The same counts, with another clock for the layers that are made from it.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// A layer that counts each request of a key that reaches it, by its path's pattern. It stands
    /// behind the gate; a caller with a JWT is not counted.
    pub fn layer(&self, endpoints: Endpoints) -> UsageLayer {
        UsageLayer::new(self.clone(), move |head, count| count(endpoints.label(head)))
    }

    /// The same by a name that `endpoint` gives: the name of a route, never a path, of which there
    /// are as many as callers like.
    ///
    /// ```
    /// use axum::extract::MatchedPath;
    /// use keygate::usage::UsageRecorder;
    ///
    /// let layer = UsageRecorder::new().layer_by(|head| match head.extensions.get::<MatchedPath>() {
    ///     Some(path) => format!("{} {}", head.method, path.as_str()).into(),
    ///     None => "other".into(),
    /// });
    /// # let _ = layer;
    /// ```
    pub fn layer_by(
        &self,
        endpoint: impl for<'r> Fn(Head<'r>) -> Cow<'r, str> + Send + Sync + 'static,
    ) -> UsageLayer {
        UsageLayer::new(self.clone(), move |head, count| count(&endpoint(head)))
    }

    /// Counts one use, without waiting for anything but another thread's count.
    pub fn record(&self, key: &KeyId, endpoint: &str, at: Timestamp) {
        self.shared.table.count(key, endpoint, at);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes to `store` after each `pause`, until [`close`](Self::close) is called and all is
    /// written. Spawn it on the runtime of your choice, with that runtime's sleep of a few seconds
    /// as the pause.
    ///
    /// What can't be written is kept and tried again after the next pause.
    ///
    /// # Errors
    ///
    /// The store's, when the last uses could not be written in five attempts with pauses between
    /// them. They are then counted as [dropped](Self::dropped).
    pub async fn run<S, F>(&self, store: &S, mut pause: impl FnMut() -> F) -> Result<(), StoreError>
    where
        S: UsageStore + ?Sized,
        F: Future<Output = ()>,
    {
        while !self.shared.signal.is_closed() {
            self.shared.signal.closed_or(pause()).await;
            // What failed is kept, and counted.
            let _ = self.flush(store).await;
        }
        self.shared.table.end();
        let mut last = self.flush(store).await;
        for _ in 1..LAST_ATTEMPTS {
            if last.is_ok() {
                break;
            }
            pause().await;
            last = self.flush(store).await;
        }
        self.give_up();
        last
    }

    /// Writes what was counted until now; for whoever has a scheduler and needs no
    /// [`run`](Self::run), and for whoever must read what was counted.
    ///
    /// What another call has taken to write is waited for, and written here if that call gives it
    /// up: after `Ok` all that was counted before is in the store, whoever wrote it. So the other
    /// call must be polled meanwhile, or dropped.
    ///
    /// A future that is dropped while it writes may have written: its batch of up to 100 rows is
    /// written again.
    ///
    /// # Errors
    ///
    /// The store's; what was not written is kept. A batch of which the store reports a failure after
    /// it has written it is written again.
    pub async fn flush<S: UsageStore + ?Sized>(&self, store: &S) -> Result<(), StoreError> {
        let writes = &self.shared.writes;
        loop {
            let given_up = writes.given_up();
            self.write_all(store).await?;
            writes.ended().await;
            if writes.given_up() == given_up {
                return Ok(());
            }
        }
    }

    async fn write_all<S: UsageStore + ?Sized>(&self, store: &S) -> Result<(), StoreError> {
        let mut next = 0;
        loop {
            let mut batch = Batch::take(&self.shared, &mut next);
            if batch.uses.is_empty() {
                return Ok(());
            }
            batch.write(store).await?;
        }
    }

    /// Ends [`run`](Self::run) after all that was counted is written. To be called when the server
    /// has stopped: what is counted after the last write is dropped.
    pub fn close(&self) {
        self.shared.signal.close();
    }

    /// How many rows wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.table.len()
    }

    /// How many uses were not counted, or not written: there was no room, or no store in the end.
    pub fn dropped(&self) -> u64 {
        self.shared.table.dropped()
    }

    /// How often the store has failed to write a batch of up to 100 rows. What it did not write was
    /// kept; what it wrote all the same is counted twice.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    fn give_up(&self) {
        let mut next = 0;
        let mut left = self.shared.take(&mut next);
        while !left.is_empty() {
            self.shared.table.written(left.len());
            left.iter().for_each(|used| self.shared.table.drop_uses(used.count));
            left = self.shared.take(&mut next);
        }
    }
}

impl Shared {
    fn take(&self, next: &mut usize) -> Vec<Use> {
        self.table.take(next, BATCH)
    }
}

/// Uses on their way to the store. What has not arrived goes back, even when the future that writes
/// it is dropped.
struct Batch<'r> {
    shared: &'r Shared,
    number: u64,
    uses: Vec<Use>,
}

impl<'r> Batch<'r> {
    fn take(shared: &'r Shared, next: &mut usize) -> Self {
        let number = shared.writes.begin();
        Self { shared, number, uses: shared.take(next) }
    }

    async fn write<S: UsageStore + ?Sized>(&mut self, store: &S) -> Result<(), StoreError> {
        while !self.uses.is_empty() {
            let start = self.uses.len().saturating_sub(BATCH);
            let written = store.add_uses(&self.uses[start..]).await;
            if written.is_err() {
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
            }
            written?;
            self.shared.table.written(self.uses.len() - start);
            self.uses.truncate(start);
        }
        Ok(())
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let is_given_up = !self.uses.is_empty();
        self.shared.table.put_back(std::mem::take(&mut self.uses));
        self.shared.writes.end(self.number, is_given_up);
    }
}

impl fmt::Debug for UsageRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageRecorder")
            .field("waiting", &self.waiting())
            .field("dropped", &self.dropped())
            .field("failed", &self.failed())
            .finish_non_exhaustive()
    }
}
