//! The arithmetic of all algorithms: pure, on integers, defined for every input.
//!
//! Each algorithm is three functions over one [`State`]: `settle` brings the state to a point in
//! time, `room` tells what may still be taken there, `wait` how long until a cost fits if nobody
//! else takes. [`decide`] is the same for all.
//!
//! Time is in nanoseconds. A state seen in the future means that the clock was set back, or that
//! another thread read it a moment later. Up to a window (or a second, if that is longer) the state
//! is waited for, so that no window is counted twice; beyond that the count moves to the present,
//! so that nobody is locked out until the old time comes again.

use super::calendar;
use super::quota::{Algorithm, Quota};

const PATIENCE: u64 = 1_000_000_000;

/// What is remembered of one caller under one quota. All zeros is a caller never seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// When it was last settled.
    pub(crate) last: u64,
    /// Permits taken: in the window of `last`, or for GCRA those not yet given back.
    pub(crate) used: u64,
    /// Sliding: permits taken in the window before. GCRA: the part of one more permit that is not
    /// yet given back, in `1 / window`. Fixed and month: how far into its window `last` is, in nanoseconds.
    pub(crate) past: u64,
}

/// What a decision says of the caller, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    Admitted,
    /// Not now; the same cost is admitted after so many nanoseconds if nobody else takes.
    After(u64),
    /// The cost is above the limit.
    Never,
}

/// Where a moment is in its window, in nanoseconds: both together are the window's length. Zeros
/// where there are no windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) elapsed: u64,
    pub(super) left: u64,
}

impl Window {
    #[inline]
    fn aligned(quota: &Quota, at: u64) -> Self {
        let elapsed = at % quota.nanos();
        Self { elapsed, left: quota.nanos() - elapsed }
    }
}

/// Where the caller stands after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) answer: Answer,
    /// What is left after this.
    pub(crate) remaining: u64,
    /// Nanoseconds until the whole quota is back; in a fixed window always the window's end.
    pub(crate) reset: u64,
}

/// Takes `cost` at `now` if it fits. The new state is to be kept even when it does not: it holds
/// what the clock has done, without the cost. A cost of 0 only looks, and is always admitted.
///
/// The road of most is kept free of what the others need: it is shorter for the processor to read.
#[inline(always)]
pub(crate) fn decide(quota: &Quota, state: State, now: u64, cost: u64) -> (State, Decision) {
    match quota.algorithm() {
        Algorithm::FixedWindow => decide_by(&quota.by(Algorithm::FixedWindow), state, now, cost),
        Algorithm::Gcra => decide_by_gcra(quota, state, now, cost),
        _ => decide_by_others(quota, state, now, cost),
    }
}

#[inline(never)]
fn decide_by_gcra(quota: &Quota, state: State, now: u64, cost: u64) -> (State, Decision) {
    decide_by(&quota.by(Algorithm::Gcra), state, now, cost)
}

#[inline(never)]
fn decide_by_others(quota: &Quota, state: State, now: u64, cost: u64) -> (State, Decision) {
    decide_by(quota, state, now, cost)
}

/// As [`decide`], without its fork: where the compiler knows the algorithm, it leaves the others out.
#[inline(always)]
pub(super) fn decide_by(quota: &Quota, state: State, now: u64, cost: u64) -> (State, Decision) {
    let (state, at) = present(quota, state, now);
    let (mut state, window) = settle(quota, state, at);
    let room = room(quota, state, window);
    let ahead = at - now;
    let (answer, taken) = if cost <= room {
        (Answer::Admitted, cost)
    } else if cost > quota.limit() {
        (Answer::Never, 0)
    } else {
        (Answer::After(ahead.saturating_add(wait(quota, state, window, cost))), 0)
    };
    state.used += taken;
    let reset = ahead.saturating_add(wait(quota, state, window, quota.limit()));
    (state, Decision { answer, remaining: room - taken, reset })
}

/// The state, and the time at which to look at it, when the clock says `now`.
#[inline]
pub(super) fn present(quota: &Quota, state: State, now: u64) -> (State, u64) {
    if state.last.saturating_sub(now) > quota.nanos().max(PATIENCE) {
        (brought_to(quota, state, now), now)
    } else {
        (state, now.max(state.last))
    }
}

/// A state that takes along what it has counted to another time.
#[cold]
fn brought_to(quota: &Quota, state: State, at: u64) -> State {
    let past = match quota.algorithm() {
        Algorithm::FixedWindow => Window::aligned(quota, at).elapsed,
        Algorithm::CalendarMonth | Algorithm::SlidingWindow | Algorithm::Gcra => state.past,
    };
    State { last: at, past, ..state }
}

/// The state at `at`, and where that is in its window, which is found once: it takes the longest of
/// all steps. GCRA has no windows.
#[inline(always)]
pub(super) fn settle(quota: &Quota, state: State, at: u64) -> (State, Window) {
    match quota.algorithm() {
        Algorithm::FixedWindow => fixed::settle(quota, state, at),
        Algorithm::CalendarMonth => fixed::settle_in(quota, state, at, calendar::month(at)),
        Algorithm::SlidingWindow => sliding::settle(quota, state, at),
        Algorithm::Gcra => (gcra::settle(quota, state, at), Window::default()),
    }
}

#[inline]
fn room(quota: &Quota, state: State, window: Window) -> u64 {
    match quota.algorithm() {
        Algorithm::FixedWindow | Algorithm::CalendarMonth => quota.limit() - state.used,
        Algorithm::SlidingWindow => sliding::room(quota, state, window),
        Algorithm::Gcra => gcra::room(quota, state),
    }
}

/// `cost` is at most the limit.
#[inline]
fn wait(quota: &Quota, state: State, window: Window, cost: u64) -> u64 {
    match quota.algorithm() {
        Algorithm::FixedWindow | Algorithm::CalendarMonth => window.left,
        Algorithm::SlidingWindow => sliding::wait(quota, state, window, cost),
        Algorithm::Gcra => gcra::wait(quota, state, cost),
    }
}

/// Windows that begin anew: those of the Unix clock, and months.
mod fixed {
    use super::{Quota, State, Window};

    /// Most requests come in the window of the one before, where nothing has to be divided.
    #[inline(always)]
    pub(super) fn settle(quota: &Quota, state: State, at: u64) -> (State, Window) {
        let elapsed = at - state.last.saturating_sub(state.past);
        if elapsed >= quota.nanos() {
            return settle_in(quota, state, at, Window::aligned(quota, at));
        }
        let state = State { last: at, used: state.used.min(quota.limit()), past: elapsed };
        (state, Window { elapsed, left: quota.nanos() - elapsed })
    }

    #[inline(never)]
    pub(super) fn settle_in(
        quota: &Quota,
        state: State,
        at: u64,
        window: Window,
    ) -> (State, Window) {
        let is_same = state.last >= at - window.elapsed;
        let used = if is_same { state.used.min(quota.limit()) } else { 0 };
        (State { last: at, used, past: window.elapsed }, window)
    }
}

/// Two cells: this window, and the one before weighted by what a window's length back still covers.
mod sliding {
    use super::{Quota, State, Window};

    #[inline]
    pub(super) fn settle(quota: &Quota, state: State, at: u64) -> (State, Window) {
        let window = Window::aligned(quota, at);
        let start = at - window.elapsed;
        let (used, past) = if state.last >= start {
            (state.used, state.past)
        } else if state.last >= start - quota.nanos() {
            (0, state.used)
        } else {
            (0, 0)
        };
        let state =
            State { last: at, used: used.min(quota.limit()), past: past.min(quota.limit()) };
        (state, window)
    }

    #[inline]
    pub(super) fn room(quota: &Quota, state: State, window: Window) -> u64 {
        let past = scale(state.past, window.left, quota.nanos());
        quota.limit().saturating_sub(state.used + past)
    }

    #[inline]
    pub(super) fn wait(quota: &Quota, state: State, window: Window, cost: u64) -> u64 {
        let room = quota.limit() - cost;
        if state.used <= room {
            let fits_at = fits_at(quota.nanos(), state.past, room - state.used);
            return fits_at.saturating_sub(window.elapsed);
        }
        window.left.saturating_add(fits_at(quota.nanos(), state.used, room))
    }

    /// How far into a window the `past` one weighs at most `room`: where
    /// `floor(past * left / window) <= room`, thus `past * left < (room + 1) * window`.
    fn fits_at(window: u64, past: u64, room: u64) -> u64 {
        if past <= room {
            return 0;
        }
        let left = (u128::from(room + 1) * u128::from(window) - 1) / u128::from(past);
        window - (left as u64).min(window)
    }

    /// `floor(count * part / whole)`, without 128-bit division for all but extreme quotas.
    #[inline]
    fn scale(count: u64, part: u64, whole: u64) -> u64 {
        match count.checked_mul(part) {
            Some(product) => product / whole,
            None => (u128::from(count) * u128::from(part) / u128::from(whole)) as u64,
        }
    }
}

/// A bucket that leaks `limit` permits a window. Its level is counted in `1 / window` of a permit,
/// which makes every step exact: `level = used * window + past`, and a nanosecond leaks `limit`.
mod gcra {
    use super::{Quota, State};

    #[inline]
    pub(super) fn settle(quota: &Quota, state: State, at: u64) -> State {
        let leaked = u128::from(at - state.last) * u128::from(quota.limit());
        let (used, past) = split(level(quota, state).saturating_sub(leaked), quota.nanos());
        State { last: at, used, past }
    }

    #[inline]
    pub(super) fn room(quota: &Quota, state: State) -> u64 {
        quota.limit() - state.used - u64::from(state.past > 0)
    }

    #[inline]
    pub(super) fn wait(quota: &Quota, state: State, cost: u64) -> u64 {
        let missing = u128::from(quota.limit() - cost) * u128::from(quota.nanos());
        let level = u128::from(state.used) * u128::from(quota.nanos()) + u128::from(state.past);
        let excess = level.saturating_sub(missing);
        match u64::try_from(excess) {
            Ok(excess) => excess.div_ceil(quota.limit()),
            Err(_) => excess.div_ceil(u128::from(quota.limit())) as u64,
        }
    }

    fn full(quota: &Quota) -> u128 {
        u128::from(quota.limit()) * u128::from(quota.nanos())
    }

    fn level(quota: &Quota, state: State) -> u128 {
        let used = u128::from(state.used) * u128::from(quota.nanos());
        used.saturating_add(u128::from(state.past)).min(full(quota))
    }

    /// Whole permits and the rest. Most callers owe less than one: a division takes as long as all else.
    #[inline]
    fn split(level: u128, window: u64) -> (u64, u64) {
        match u64::try_from(level) {
            Ok(level) if level < window => (0, level),
            Ok(level) => (level / window, level % window),
            Err(_) => ((level / u128::from(window)) as u64, (level % u128::from(window)) as u64),
        }
    }
}
