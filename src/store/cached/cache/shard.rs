//! A part of the cache's books under a lock of its own.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::super::sync::Mutex;
use super::counts::Totals;
use super::entry::Entry;
use super::fence::{Fences, News, Standing};
use super::flight::Flight;
use super::ring::Ring;
use super::{Asked, Digest, Entries, Fetched, Hash, Poisoned, Value};

/// Whatever changes an entry holds the lock of its shard; whoever reads one does not.
pub(super) struct Shard<V, E>(Mutex<Table<V, E>>);

/// What has a place, what is being asked, and what was announced.
pub(super) struct Table<V, E> {
    known: Ring,
    /// In a budget of its own: a flood of keys that nobody issued pushes out none that somebody did.
    unknown: Ring,
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

/// An answer of the store, and the question.
pub(super) struct Landing<'f, V: Value, E> {
    pub(super) digest: &'f Digest,
    pub(super) hash: u64,
    pub(super) flight: &'f Arc<Flight<V, E>>,
    pub(super) answer: &'f Fetched<V>,
    pub(super) asked: Asked,
    pub(super) born: u64,
}

impl<V: Value, E> Shard<V, E> {
    pub(super) fn new(known: usize, unknown: usize) -> Self {
        Self(Mutex::new(Table {
            known: Ring::new(known),
            unknown: Ring::new(unknown),
            flights: HashMap::new(),
            fences: Fences::new(known),
        }))
    }

    /// For whatever asks or puts something in: not after a panic.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Table<V, E>) -> T) -> Result<T, Poisoned> {
        Ok(work(&mut *self.0.lock()?))
    }

    pub(super) fn add_to(&self, totals: &mut Totals) {
        let count = |table: &mut Table<V, E>| {
            totals.known += table.known.len();
            totals.unknown += table.unknown.len();
        };
        // After a panic the count is a guess.
        let _ = self.purge(count);
    }

    /// For whatever takes something out: after a panic, too.
    pub(super) fn purge(&self, work: impl FnOnce(&mut Table<V, E>)) -> Result<(), Poisoned> {
        let locked = self.0.lock();
        let is_sound = locked.is_ok();
        work(&mut *locked.unwrap_or_else(PoisonError::into_inner));
        is_sound.then_some(()).ok_or(Poisoned)
    }
}

impl<V: Value, E> Table<V, E> {
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
    pub(super) fn settle(&mut self, entries: &Entries<V>, landing: &Landing<'_, V, E>) -> Settled {
        let Landing { digest, hash, flight, answer, born, .. } = *landing;
        let standing = self.fences.judge(hash, digest, answer.found.as_ref(), born);
        if standing == Standing::Outdated {
            return Settled::Outdated;
        }
        if !self.release(digest, flight) || standing == Standing::Doubtful {
            return Settled::Unkept;
        }
        Settled::Kept { evicted: self.keep(entries, landing) }
    }

    fn keep(&mut self, entries: &Entries<V>, landing: &Landing<'_, V, E>) -> bool {
        let Landing { digest, answer, asked, born, .. } = *landing;
        self.forget(entries, digest);
        let ring = if answer.found.is_some() { &mut self.known } else { &mut self.unknown };
        let (place, evicted) = ring.take_place(entries, digest, born);
        entries.put(*digest, Entry::new(answer, asked, born, place));
        evicted
    }

    /// Takes an announcement of one key in. What is in doubt goes first, before anything that could
    /// panic.
    pub(super) fn announce(
        &mut self,
        entries: &Entries<V>,
        hash: u64,
        digest: &Digest,
        news: News,
        now: u64,
        hasher: &impl Hash,
    ) {
        self.flights.remove(digest);
        let known = |found: &V| news.judge(Some(found)) == Standing::UpToDate;
        let up_to_date = matches!(news, News::Revision(_))
            && entries.read(digest, |kept| kept.found.as_ref().is_some_and(known)) == Some(true);
        if !up_to_date {
            self.forget(entries, digest);
        }
        self.fences.raise(hash, digest, news, now, hasher);
    }

    /// Drops an entry.
    pub(super) fn forget(&mut self, entries: &Entries<V>, digest: &Digest) {
        let kept = entries.read(digest, |entry| (entry.found.is_some(), entry.place()));
        if let Some((is_known, place)) = kept {
            entries.remove(digest);
            let ring = if is_known { &mut self.known } else { &mut self.unknown };
            ring.leave(entries, digest, place);
        }
    }

    /// No flight under way may put its answer in.
    pub(super) fn recall(&mut self) {
        self.flights.clear();
    }

    /// Drops everything.
    pub(super) fn empty(&mut self, entries: &Entries<V>) {
        self.recall();
        self.known.empty(entries);
        self.unknown.empty(entries);
    }
}
