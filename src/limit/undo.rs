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
        Algorithm::Gcra => state.used -= kept(quota, at, taken, cost).min(state.used),
        _ if taken >= start => state.used = state.used.saturating_sub(cost),
        _ if taken >= start.saturating_sub(quota.nanos()) => {
            state.past = state.past.saturating_sub(cost);
        }
        _ => {}
    }
    state
}

/// What of `cost` has not leaked from a bucket since it was taken, rounded down.
fn kept(quota: &Quota, at: u64, taken: u64, cost: u64) -> u64 {
    let passed = at.saturating_sub(taken).min(quota.nanos());
    let leaked = u128::from(passed) * u128::from(quota.limit());
    cost.saturating_sub(leaked.div_ceil(u128::from(quota.nanos())) as u64)
}

impl Counter {
    /// Gives back what was taken at `taken`.
    pub(super) fn give_back(&mut self, quota: &Quota, now: Timestamp, taken: Timestamp, cost: u64) {
        let (now, taken) = (now.as_nanos(), taken.as_nanos());
        self.keep(give_back(quota, self.state(), now, taken, cost));
    }
}
