//! Uses that wait to be written: a bounded number of rows, each a count.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::endpoints::OTHER;
use crate::store::{Month, Use};
use crate::{KeyId, Timestamp};

/// Enough that requests seldom meet.
const SHARDS: usize = 16;
/// A longer name of an endpoint is none, in bytes.
const LONGEST: usize = 256;

/// Rows in shards. Its size counts those that are being written, too.
#[derive(Debug)]
pub(super) struct Table {
    shards: [Mutex<HashTable<Row>>; SHARDS],
    hasher: DefaultHashBuilder,
    labels: Mutex<HashSet<Arc<str>>>,
    most_rows: usize,
    most_labels: usize,
    rows: AtomicUsize,
    dropped: AtomicU64,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Row {
    key: KeyId,
    endpoint: Arc<str>,
    month: Month,
    at: Timestamp,
    count: u64,
}

/// A row as it is looked for.
#[derive(Clone, Copy, Hash, PartialEq, Eq)]
struct Place<'u> {
    key: &'u str,
    endpoint: &'u str,
    month: Month,
}

impl Row {
    fn place(&self) -> Place<'_> {
        Place { key: self.key.as_str(), endpoint: &self.endpoint, month: self.month }
    }

    fn add(&mut self, at: Timestamp, count: u64) {
        self.at = self.at.max(at);
        self.count = self.count.saturating_add(count);
    }
}

impl From<Row> for Use {
    fn from(row: Row) -> Self {
        Self { key: row.key, endpoint: row.endpoint.to_string(), at: row.at, count: row.count }
    }
}

impl Table {
    pub(super) fn new(most_rows: usize, most_labels: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: DefaultHashBuilder::default(),
            labels: Mutex::default(),
            most_rows,
            most_labels,
            rows: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// Counts one use.
    pub(super) fn count(&self, key: &KeyId, endpoint: &str, at: Timestamp) {
        if !self.add(key, endpoint, at, 1, false) {
            self.add(key, OTHER, at, 1, false);
        }
    }

    /// Takes back uses that could not be written; they have their room still.
    pub(super) fn put_back(&self, uses: Vec<Use>) {
        for used in uses {
            if !self.add(&used.key, &used.endpoint, used.at, used.count, true) {
                self.add(&used.key, OTHER, used.at, used.count, true);
            }
        }
    }

    /// False when the endpoint is one too many.
    fn add(&self, key: &KeyId, endpoint: &str, at: Timestamp, count: u64, is_back: bool) -> bool {
        let month = Month::of(at);
        let place = Place { key: key.as_str(), endpoint, month };
        let hash = self.hasher.hash_one(place);
        let mut shard = lock(self.shard(hash));
        if let Some(row) = shard.find_mut(hash, |row| row.place() == place) {
            row.add(at, count);
            if is_back {
                self.written(1);
            }
            return true;
        }
        let Some(endpoint) = self.label(endpoint) else { return false };
        if is_back || self.has_room() {
            let row = Row { key: key.clone(), endpoint, month, at, count };
            shard.insert_unique(hash, row, |row| self.hasher.hash_one(row.place()));
        } else {
            self.drop_uses(count);
        }
        true
    }

    /// Takes at least `count` rows out of the shards from `next` on, as far as there are any.
    pub(super) fn take(&self, next: &mut usize, count: usize) -> Vec<Use> {
        let mut taken = Vec::new();
        while let Some(shard) = self.shards.get(*next)
            && taken.len() < count
        {
            taken.extend(std::mem::take(&mut *lock(shard)).into_iter().map(Use::from));
            *next += 1;
        }
        taken
    }

    /// So many rows are gone, and have left room for others.
    pub(super) fn written(&self, rows: usize) {
        self.rows.fetch_sub(rows, Ordering::Relaxed);
    }

    /// Counts nothing new from now on. Whoever takes rows after this takes all that was counted: a
    /// shard's lock orders them.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(super) fn drop_uses(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    fn has_room(&self) -> bool {
        let more = |rows: usize| (rows < self.most_rows).then_some(rows + 1);
        !self.ended.load(Ordering::SeqCst)
            && self.rows.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// The name of an endpoint as it is kept, if it may be one.
    fn label(&self, endpoint: &str) -> Option<Arc<str>> {
        let mut labels = lock(&self.labels);
        if let Some(known) = labels.get(endpoint) {
            return Some(Arc::clone(known));
        }
        let may_be = endpoint.len() <= LONGEST && labels.len() < self.most_labels;
        if !may_be && endpoint != OTHER {
            return None;
        }
        let label: Arc<str> = endpoint.into();
        labels.insert(Arc::clone(&label));
        Some(label)
    }

    /// The hash's middle: its ends say where in the shard a row is.
    fn shard(&self, hash: u64) -> &Mutex<HashTable<Row>> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

/// A panic elsewhere leaves counts that are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
