//! A quota in 17 bits: what whoever makes room in a table has to know of it.

use super::algorithm::State;
use super::quota::{Algorithm, Quota};

/// How many bits a number takes, in its rough form.
const NUMBER: u32 = 8;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// A quota's limit, rounded down, and how long a state under it is remembered, rounded up, each by less
/// than a quarter: who is kept for longer than need be, or taken to be at its limit, loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rough {
    limit: u8,
    memory: u8,
    is_sliding: bool,
}

impl Rough {
    /// In bits: 8 of the limit, and 9 of the rest.
    pub(super) fn parts(self) -> (u64, u64) {
        (self.limit.into(), u64::from(self.is_sliding) << NUMBER | u64::from(self.memory))
    }

    pub(super) fn of_parts(limit: u64, rest: u64) -> Self {
        Self { limit: limit as u8, memory: rest as u8, is_sliding: rest >> NUMBER != 0 }
    }

    /// What the state has consumed, in 1/2^20: 0 is as good as new; 2^20 and more is full, or nearly.
    pub(super) fn consumed(self, state: State, now: u64) -> u64 {
        let idle = now.saturating_sub(state.last) / NANOS_PER_MILLI;
        let is_new = state.used == 0 && state.past == 0;
        if is_new || idle >= large(self.memory) {
            return 0;
        }
        // A bucket keeps a part of a permit there, and nobody has the rest of that.
        let past = if self.is_sliding { state.past } else { state.past.min(1) };
        (((state.used + past) << 20) / large(self.limit)).max(1)
    }
}

impl From<&Quota> for Rough {
    fn from(quota: &Quota) -> Self {
        let is_sliding = quota.algorithm() == Algorithm::SlidingWindow;
        // The window before is weighed too.
        let memory = quota.millis() << u32::from(is_sliding);
        let below = small(memory);
        let memory = below + u8::from(large(below) < memory);
        Self { limit: small(quota.limit()), memory, is_sliding }
    }
}

/// A number above 0 by its three leading bits, and where they are; those below are lost.
fn small(number: u64) -> u8 {
    let place = number.max(1).ilog2();
    (place as u8) << 2 | ((number << 2 >> place) & 3) as u8
}

fn large(small: u8) -> u64 {
    (4 | u64::from(small & 3)) << (small >> 2) >> 2
}
