//! Giving back what was taken for nothing: for a request that somebody else refused.

use super::algorithm::{State, present, settle};
use super::cell::Counter;
use super::quota::{Algorithm, Quota};
use crate::Timestamp;

/// The state without a cost that was taken at `taken`, as far as time has not given it back.
pub(super) fn give_back(quota: &Quota, state: State, now: u64, taken: u64, cost: u64) -> State {
    let (state, at) = present(quota, state, now);
    let (mut state, elapsed) = settle(quota, state, at);
    let start = at - elapsed;
    match quota.algorithm() {
        Algorithm::Gcra => state = refill(quota, state, at, taken, cost),
        _ if taken >= start => state.used = state.used.saturating_sub(cost),
        _ if taken >= start.saturating_sub(quota.nanos()) => {
            state.past = state.past.saturating_sub(cost);
        }
        _ => {}
    }
    state
}

/// A bucket's state without what has not leaked of `cost` since it was taken.
fn refill(quota: &Quota, state: State, at: u64, taken: u64, cost: u64) -> State {
    let window = u128::from(quota.nanos());
    let leaked = u128::from(at.saturating_sub(taken)) * u128::from(quota.limit());
    let kept = (u128::from(cost) * window).saturating_sub(leaked);
    let level = u128::from(state.used) * window + u128::from(state.past);
    let level = level.saturating_sub(kept);
    State { used: (level / window) as u64, past: (level % window) as u64, ..state }
}

impl Counter {
    /// Gives back what was taken at `taken`.
    pub(super) fn give_back(&mut self, quota: &Quota, now: Timestamp, taken: Timestamp, cost: u64) {
        let (now, taken) = (now.as_nanos(), taken.as_nanos());
        self.keep(give_back(quota, self.state(), now, taken, cost));
    }
}
