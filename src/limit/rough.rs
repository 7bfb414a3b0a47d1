//! A quota in 18 bits: what whoever makes room in a table has to know of it.

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
    past: Past,
}

/// What of a state's `past` counts as consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Nothing = 0,
    /// The window before.
    All = 1,
    /// A part of a permit, of which nobody has the rest.
    One = 2,
}

impl Rough {
    /// In bits: 9 of the limit and of what is past, and 9 of the rest.
    pub(super) fn parts(self) -> (u64, u64) {
        let past = self.past as u64;
        (past >> 1 << NUMBER | u64::from(self.limit), (past & 1) << NUMBER | u64::from(self.memory))
    }

    pub(super) fn of_parts(limit: u64, rest: u64) -> Self {
        let past = match (limit >> NUMBER, rest >> NUMBER) {
            (0, 0) => Past::Nothing,
            (0, _) => Past::All,
            _ => Past::One,
        };
        Self { limit: limit as u8, memory: rest as u8, past }
    }

    /// What the state has consumed, in 1/2^20: 0 is as good as new; 2^20 and more is full, or nearly.
    pub(super) fn consumed(self, state: State, now: u64) -> u64 {
        let idle = now.saturating_sub(state.last) / NANOS_PER_MILLI;
        let past = match self.past {
            Past::Nothing => 0,
            Past::All => state.past,
            Past::One => state.past.min(1),
        };
        match state.used + past {
            0 => 0,
            _ if idle >= large(self.memory) => 0,
            consumed => ((consumed << 20) / large(self.limit)).max(1),
        }
    }
}

impl From<&Quota> for Rough {
    fn from(quota: &Quota) -> Self {
        let past = match quota.algorithm() {
            Algorithm::FixedWindow | Algorithm::CalendarMonth => Past::Nothing,
            Algorithm::SlidingWindow => Past::All,
            Algorithm::Gcra => Past::One,
        };
        // The window before is weighed, too, where it counts.
        let memory = quota.millis() << u32::from(past == Past::All);
        let below = small(memory);
        let memory = below + u8::from(large(below) < memory);
        Self { limit: small(quota.limit()), memory, past }
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
