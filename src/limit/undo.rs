//! Giving back what was taken and not used.

use super::algorithm::{State, present, settle};
use super::cell::Counter;
use super::quota::{Algorithm, Quota};
use crate::Timestamp;

/// The state without a cost that was taken at `taken`, as far as time has not given it back: what a
/// window that is over has counted is worth nothing in the next.
pub(crate) fn give_back(quota: &Quota, state: State, now: u64, taken: u64, cost: u64) -> State {
    let (state, at) = present(quota, state, now);
    let (mut state, window) = settle(quota, state, at);
    let start = at - window.elapsed;
    match quota.algorithm() {
        // The clock was set far back since: nobody can tell which window it was.
        _ if taken > at => {}
        Algorithm::Gcra => state = refill(quota, state, at - taken, cost),
        _ if taken >= start => state.used = state.used.saturating_sub(cost),
        Algorithm::SlidingWindow if taken >= start - quota.nanos().min(start) => {
            state.past = state.past.saturating_sub(cost);
        }
        Algorithm::SlidingWindow | Algorithm::FixedWindow | Algorithm::CalendarMonth => {}
    }
    state
}

/// A bucket's state without what has not leaked of `cost` in the time `since` it was taken. All that
/// leaked is taken for a part of it, so that nothing is given back twice.
fn refill(quota: &Quota, state: State, since: u64, cost: u64) -> State {
    let window = u128::from(quota.nanos());
    let leaked = u128::from(since) * u128::from(quota.limit());
    let kept = (u128::from(cost) * window).saturating_sub(leaked);
    let level = u128::from(state.used) * window + u128::from(state.past);
    let level = level.saturating_sub(kept);
    State { used: (level / window) as u64, past: (level % window) as u64, ..state }
}

impl Counter<'_> {
    /// Gives back what was taken at `taken`.
    pub(super) fn give_back(&mut self, quota: &Quota, now: Timestamp, taken: Timestamp, cost: u64) {
        let (now, taken) = (now.as_nanos(), taken.as_nanos());
        self.keep(give_back(quota, self.state(), now, taken, cost));
    }

    /// Takes `cost`, or what is left where that is less.
    pub(super) fn take_up_to(&mut self, quota: &Quota, now: Timestamp, cost: u64) {
        let left = self.take(quota, now, 0).remaining;
        self.take(quota, now, cost.min(left));
    }

    /// The moment up to which it was counted: not before that of the last cost, by whatever clock.
    pub(super) fn last(&self) -> Timestamp {
        Timestamp::from_nanos(self.state().last)
    }
}
