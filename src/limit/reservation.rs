//! Costs that are known only afterwards: reserved at the gate, settled later.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::cell::{Counter, LimitError};
use super::quota::Quota;
use super::remote::Settling;
use super::table::{Place, Table};
use crate::{Clock, Timestamp};

/// What the limits of a gate that are [settled later](super::Limit::settle_later) have taken for a
/// request: among its extensions, and with the feature `axum` an extractor. Clones are the same.
///
/// When the last of them is gone, the request pays what was [spent](Self::spend) by then, and gets
/// the rest of its estimate back: nothing was spent by a request that was cancelled before it began,
/// and a stream that is cut off pays for what it has sent. [`commit`](Self::commit) settles at once.
///
/// A rest is only given back into the window that it was taken from, or into what that one weighs in
/// a sliding window or a bucket. What was spent beyond the estimate is taken when it is settled, as
/// far as the quota goes: what a caller has left is never negative.
///
/// ```
/// use http::Request;
/// use keygate::limit::Reservation;
///
/// async fn answer(request: Request<String>) -> String {
///     let reservation = request.extensions().get::<Reservation>().cloned();
///     let (text, tokens) = ("forty-two".to_owned(), 512);
///     if let Some(reservation) = reservation {
///         reservation.commit(tokens);
///     }
///     text
/// }
/// # let _ = answer;
/// ```
#[derive(Clone)]
pub struct Reservation(Arc<Ledger>);

struct Ledger {
    holds: Holds,
    /// What a gate outside of this one has reserved for the same request.
    outer: Option<Reservation>,
    spent: AtomicU64,
    settled: AtomicBool,
    clock: Arc<dyn Clock>,
}

impl Reservation {
    pub(crate) fn new(holds: Holds, clock: &Arc<dyn Clock>) -> Self {
        Self(Arc::new(Ledger {
            holds,
            outer: None,
            spent: AtomicU64::new(0),
            settled: AtomicBool::new(false),
            clock: Arc::clone(clock),
        }))
    }

    /// The same, settled together with what an outer gate has reserved.
    pub(crate) fn within(mut self, outer: Option<Self>) -> Self {
        if let Some(ledger) = Arc::get_mut(&mut self.0) {
            ledger.outer = outer;
        }
        self
    }

    /// The most that a limit has reserved.
    pub fn estimate(&self) -> u64 {
        self.0.holds.costs().max().unwrap_or(0)
    }

    /// Adds `cost` to what the request has spent, to be settled when the last clone is gone: for
    /// answers that cost more the longer they get. After [`commit`](Self::commit) it does nothing.
    pub fn spend(&self, cost: u64) {
        // Saturates: the closure always gives a value.
        let add = |spent: u64| Some(spent.saturating_add(cost));
        let _ = self.0.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        self.0.outer.iter().for_each(|outer| outer.spend(cost));
    }

    /// Settles: the request has cost `cost` in all. The rest is given back at once, or what is
    /// missing is taken. Only the first call of all clones does anything.
    pub fn commit(self, cost: u64) {
        self.0.settle(cost);
        self.0.outer.iter().for_each(|outer| outer.clone().commit(cost));
    }
}

impl Ledger {
    fn settle(&self, cost: u64) {
        if !self.settled.swap(true, Ordering::Relaxed) {
            self.holds.settle(self.clock.now(), cost);
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let spent = *self.spent.get_mut();
        self.settle(spent);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("estimate", &self.estimate()).finish_non_exhaustive()
    }
}

/// What the limits of one gate hold of a request's estimate.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    pub(super) here: Vec<Hold>,
    /// Where many machines count.
    pub(super) there: Option<Settling>,
}

impl Holds {
    pub(super) fn is_empty(&self) -> bool {
        self.here.is_empty() && self.there.is_none()
    }

    fn costs(&self) -> impl Iterator<Item = u64> {
        let there = self.there.iter().flat_map(Settling::costs);
        self.here.iter().map(|hold| hold.cost).chain(there)
    }

    /// A counter that can't be used lets nobody in any more: nothing is owed to it.
    fn settle(&self, now: Timestamp, cost: u64) {
        self.here.iter().for_each(|hold| drop(hold.settle(now, cost)));
        self.there.iter().for_each(|there| there.settle(cost));
    }
}

/// What one limit has taken, and where.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) table: Arc<Table>,
    pub(super) place: Place,
    pub(super) quota: Quota,
    /// The moment for which the counter has counted it.
    pub(super) taken: Timestamp,
    pub(super) cost: u64,
}

impl Hold {
    fn settle(&self, now: Timestamp, cost: u64) -> Result<(), LimitError> {
        match cost.checked_sub(self.cost) {
            None => self.give_back(now, self.cost - cost),
            Some(0) => Ok(()),
            Some(missing) => self.take(now, missing),
        }
    }

    /// To the very counter that it was taken from: one that came in its place knows nothing of it.
    fn give_back(&self, now: Timestamp, rest: u64) -> Result<(), LimitError> {
        let give_back = |mut counter: Counter<'_>| {
            counter.give_back(&self.quota, now, self.taken, rest);
        };
        self.table.settle(&self.place, give_back)
    }

    fn take(&self, now: Timestamp, missing: u64) -> Result<(), LimitError> {
        let mut place = self.place;
        loop {
            if let Some(mut counter) = self.table.lock(&place)? {
                counter.take_up_to(&self.quota, now, missing);
                return Ok(());
            }
            place = self.table.readmit(&place, now)?;
        }
    }
}
