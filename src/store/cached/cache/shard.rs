//! A part of the cache under a lock of its own.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::sync::RwLock;
use super::bounded::{Bounded, Entry};
use super::counts::{Count, Totals};
use super::fence::{Fences, News, Standing};
use super::flight::Flight;
use super::{Digest, Fetched, Hash, Value};

pub(super) struct Shard<V, E> {
    pub(super) table: RwLock<Table<V, E>>,
    /// Beside the lock, whose line a hit has at hand anyway.
    pub(super) hits: Count,
    pub(super) unknown_hits: Count,
}

/// What is known, what is known not to be, and what is being asked.
pub(super) struct Table<V, E> {
    pub(super) known: Bounded<V>,
    /// In a budget of its own: a flood of keys that nobody issued pushes out none that somebody did.
    pub(super) unknown: Bounded<()>,
    flights: HashMap<Digest, Arc<Flight<V, E>>>,
    fences: Fences,
}

/// What became of an answer of the store.
pub(super) enum Settled {
    /// It was put in, and another entry dropped for it or not.
    Kept { evicted: bool },
    /// It may be old: good for those who asked before the question was put, and for nobody else.
    Unkept,
    /// It is older than what was announced.
    Outdated,
}

impl<V: Value, E> Shard<V, E> {
    pub(super) fn new(known: usize, unknown: usize) -> Self {
        let table = Table {
            known: Bounded::new(known),
            unknown: Bounded::new(unknown),
            flights: HashMap::new(),
            fences: Fences::new(known),
        };
        let table = RwLock::new(table);
        Self { table, hits: Count::default(), unknown_hits: Count::default() }
    }

    pub(super) fn add_to(&self, totals: &mut Totals) {
        totals.hits += self.hits.total();
        totals.unknown_hits += self.unknown_hits.total();
        if let Ok(table) = self.table.read() {
            totals.known += table.known.len();
            totals.unknown += table.unknown.len();
        }
    }

    #[inline]
    pub(super) fn count(&self, found: Option<&V>) {
        match found {
            Some(_) => self.hits.add_about(),
            None => self.unknown_hits.add_about(),
        }
    }
}

impl<V: Value, E> Table<V, E> {
    /// What is known of a digest at `now`, from memory.
    #[inline]
    pub(super) fn fresh(&self, hash: u64, digest: &Digest, now: u64) -> Option<Option<V>> {
        if let Some(entry) = self.known.fresh(hash, digest, now) {
            return Some(Some(entry.value.clone()));
        }
        self.unknown.fresh(hash, digest, now).map(|_| None)
    }

    /// The flight under way for a digest, or the one that `new` begins; true if it is new.
    pub(super) fn flight(
        &mut self,
        digest: &Digest,
        new: impl FnOnce() -> Flight<V, E>,
    ) -> (Arc<Flight<V, E>>, bool) {
        if let Some(flight) = self.flights.get(digest) {
            return (Arc::clone(flight), false);
        }
        let flight = Arc::new(new());
        self.flights.insert(*digest, Arc::clone(&flight));
        (flight, true)
    }

    /// Ends a flight's right to put its answer in; true if it had it.
    pub(super) fn release(&mut self, digest: &Digest, flight: &Arc<Flight<V, E>>) -> bool {
        let has_it = self.flights.get(digest).is_some_and(|other| Arc::ptr_eq(other, flight));
        if has_it {
            self.flights.remove(digest);
        }
        has_it
    }

    /// Puts a flight's answer in, if nothing was announced since it began. The right to do so is the
    /// flight itself, standing in the table: whatever is announced takes it out, so that no answer,
    /// however late, undoes an announcement.
    pub(super) fn settle(
        &mut self,
        hash: u64,
        digest: &Digest,
        flight: &Arc<Flight<V, E>>,
        answer: &Fetched<V>,
        born: u64,
        hasher: &impl Hash,
    ) -> Settled {
        let standing = self.fences.judge(hash, digest, answer.found.as_ref(), born);
        if standing == Standing::Outdated {
            return Settled::Outdated;
        }
        if !self.release(digest, flight) || standing == Standing::Doubtful {
            return Settled::Unkept;
        }
        let evicted = self.keep(hash, digest, answer, born, hasher);
        Settled::Kept { evicted }
    }

    fn keep(
        &mut self,
        hash: u64,
        digest: &Digest,
        answer: &Fetched<V>,
        born: u64,
        hasher: &impl Hash,
    ) -> bool {
        let until = born.saturating_add(answer.fresh);
        match answer.found.clone() {
            Some(value) => {
                self.unknown.remove(hash, digest);
                self.known.put(hash, Entry::new(*digest, value, born, until), hasher)
            }
            None => {
                self.known.remove(hash, digest);
                self.unknown.put(hash, Entry::new(*digest, (), born, until), hasher)
            }
        }
    }

    /// Takes an announcement of one key in.
    pub(super) fn announce(
        &mut self,
        hash: u64,
        digest: &Digest,
        news: News,
        now: u64,
        hasher: &impl Hash,
    ) {
        self.flights.remove(digest);
        self.unknown.remove(hash, digest);
        let known = self.known.get(hash, digest).map(|entry| &entry.value);
        let up_to_date = matches!(news, News::Revision(_))
            && known.is_some_and(|value| news.judge(Some(value)) == Standing::UpToDate);
        if !up_to_date {
            self.known.remove(hash, digest);
        }
        self.fences.raise(hash, digest, news, now, hasher);
    }

    /// Drops what `stale` says of values; no flight under way may put its answer in.
    pub(super) fn drop_where(&mut self, stale: impl Fn(&V) -> bool) {
        self.flights.clear();
        self.known.retain(|value| !stale(value));
    }

    /// Drops everything.
    pub(super) fn empty(&mut self) {
        self.flights.clear();
        self.known.clear();
        self.unknown.clear();
    }
}
