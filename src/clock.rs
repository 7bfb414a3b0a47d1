//! Points in time, and where they come from.
//!
//! Nothing in this crate reads the wall clock on its own: the gate asks its [`Clock`] once a request
//! and passes the [`Timestamp`] down. Tests put a [`ManualClock`] in its place.
//!
//! ```
//! use std::time::Duration;
//! use keygate::{Clock, ManualClock, Timestamp};
//!
//! let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
//! clock.advance(Duration::from_secs(60));
//! assert_eq!(clock.now().as_secs(), 1_700_000_060);
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A point in time: nanoseconds since the Unix epoch, from 1970 to 2554.
///
/// All arithmetic saturates: no token and no database row can make it overflow.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// The last point in time that can be told.
    pub const MAX: Self = Self(u64::MAX);

    /// From whole seconds since the epoch; beyond the year 2554, [`Timestamp::MAX`].
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / NANOS_PER_SEC
    }

    /// Whole seconds since the epoch, rounded up: the first second at which `self` has passed.
    pub const fn as_secs_ceil(self) -> u64 {
        self.0.div_ceil(NANOS_PER_SEC)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// `self` plus `duration`.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// `self` minus `duration`.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl From<SystemTime> for Timestamp {
    /// Times before 1970 become the epoch.
    fn from(time: SystemTime) -> Self {
        Self(nanos(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_nanos(time.0)
    }
}

/// Tells what time it is.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now, as people tell it. It may jump, backwards too.
    fn now(&self) -> Timestamp;

    /// How long some moment has passed: time that never goes back, for whatever must end after a
    /// while although somebody puts the clock back.
    ///
    /// By default the operating system's coarse monotonic clock, whatever [`now`](Self::now) says:
    /// it may lag by 10 ms and costs a fifth of an exact one. The time for which a machine slept,
    /// which that clock does not count, is taken from the system's wall clock.
    fn monotonic(&self) -> Duration {
        static STEADY: Steady = Steady::new();
        let ticks = coarsetime::Instant::now_without_cache_update().as_ticks();
        let monotonic = coarsetime::Duration::from_ticks(ticks).as_nanos();
        Duration::from_nanos(STEADY.read(monotonic, || SystemTime::now().into()))
    }

    /// The same without the lag, at the cost of an exact clock: for what must end on the millisecond
    /// because another machine goes by it, as a slice of a shared limit does. Its beginning may be
    /// another than that of [`monotonic`](Self::monotonic).
    ///
    /// By default the operating system's, whatever the other two say. Whoever passes these on to
    /// another clock passes this on too.
    fn monotonic_exact(&self) -> Duration {
        static STEADY: Steady = Steady::new();
        static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        let monotonic = nanos(ORIGIN.elapsed());
        Duration::from_nanos(STEADY.read(monotonic, || SystemTime::now().into()))
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        self.as_ref().now()
    }

    fn monotonic(&self) -> Duration {
        self.as_ref().monotonic()
    }

    fn monotonic_exact(&self) -> Duration {
        self.as_ref().monotonic_exact()
    }
}

/// A monotonic clock that is compared with the wall clock now and then.
///
/// By how much that is ahead grows when the machine sleeps, and when the clock is put forward; time
/// that is believed to have passed and has not makes things end early, which harms nobody.
struct Steady {
    ahead: AtomicU64,
    compared: AtomicU64,
}

/// How often the clocks are compared: an exact clock costs five times what a coarse one does.
const COMPARED: u64 = NANOS_PER_SEC / 100;
/// They are not read at the same moment, and the coarse one lags.
const JITTER: u64 = NANOS_PER_SEC / 10;

impl Steady {
    const fn new() -> Self {
        Self { ahead: AtomicU64::new(0), compared: AtomicU64::new(0) }
    }

    #[inline]
    fn read(&self, monotonic: u64, wall: impl FnOnce() -> Timestamp) -> u64 {
        let mut ahead = self.ahead.load(Ordering::Relaxed);
        let compared = self.compared.load(Ordering::Relaxed);
        if ahead == 0 || monotonic.saturating_sub(compared) >= COMPARED {
            ahead = self.compare(monotonic, wall());
        }
        monotonic.saturating_add(ahead)
    }

    #[cold]
    fn compare(&self, monotonic: u64, wall: Timestamp) -> u64 {
        self.compared.fetch_max(monotonic, Ordering::Relaxed);
        let ahead = wall.as_nanos().saturating_sub(monotonic);
        let most = self.ahead.load(Ordering::Relaxed);
        if ahead <= most.saturating_add(JITTER) {
            return most;
        }
        self.ahead.fetch_max(ahead, Ordering::Relaxed).max(ahead)
    }
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The system's wall clock.
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that moves only when told to. Clones share the time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug, Default)]
struct Hands {
    now: AtomicU64,
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Hands { now: AtomicU64::new(now.0), monotonic: AtomicU64::new(0) }))
    }

    /// Moves the clock forward, its monotonic time too.
    pub fn advance(&self, by: Duration) {
        self.0.now.fetch_add(nanos(by), Ordering::SeqCst);
        self.0.monotonic.fetch_add(nanos(by), Ordering::SeqCst);
    }

    /// Puts the clock to `now`, backwards too. No time passes by that: its monotonic time stays.
    pub fn set(&self, now: Timestamp) {
        self.0.now.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.monotonic.load(Ordering::SeqCst))
    }

    fn monotonic_exact(&self) -> Duration {
        self.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * NANOS_PER_SEC;
    const START: u64 = 1_800_000_000 * NANOS_PER_SEC;

    fn read(steady: &Steady, monotonic: u64, wall: u64) -> u64 {
        steady.read(monotonic, || Timestamp::from_nanos(wall))
    }

    #[test]
    fn steady_time_passes_as_the_monotonic_clock_says() {
        let steady = Steady::new();
        let start = read(&steady, HOUR, START);
        assert_eq!(read(&steady, HOUR + 5, START + 5) - start, 5);
        let mut passed = 0;
        for jitter in [0, JITTER, JITTER / 2] {
            passed += COMPARED;
            let wall = START + passed + jitter;
            assert_eq!(read(&steady, HOUR + passed, wall) - start, passed, "jitter is no sleep");
        }
    }

    #[test]
    fn steady_time_does_not_stop_when_the_clock_is_put_back() {
        let steady = Steady::new();
        let start = read(&steady, HOUR, START);
        assert_eq!(read(&steady, HOUR + COMPARED, START - 24 * HOUR) - start, COMPARED);
        assert_eq!(read(&steady, 2 * HOUR, 0) - start, HOUR);
    }

    #[test]
    fn steady_time_counts_sleep() {
        let steady = Steady::new();
        let start = read(&steady, HOUR, START);
        let woken = HOUR + COMPARED;
        assert_eq!(read(&steady, woken, START + HOUR) - start, HOUR);
        assert_eq!(read(&steady, woken + 1, START + HOUR) - start, HOUR + 1, "once");
        assert_eq!(read(&steady, woken + COMPARED, START + HOUR) - start, HOUR + COMPARED);
    }

    #[test]
    fn the_systems_steady_time_goes_on_and_never_back() {
        let clock = SystemClock::new();
        let (start, exact) = (clock.monotonic(), Instant::now());
        let mut last = start;
        while last - start < Duration::from_millis(50) {
            let next = clock.monotonic();
            assert!(next >= last);
            last = next;
        }
        assert!(exact.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn exact_time_never_goes_back_and_lags_by_less_than_a_millisecond() {
        let clock = SystemClock::new();
        let (start, exact) = (clock.monotonic_exact(), Instant::now());
        let mut last = start;
        for _ in 0..10_000 {
            let before = exact.elapsed();
            let next = clock.monotonic_exact();
            assert!(next >= last);
            assert!(next - start >= before, "it was read later");
            last = next;
        }
        let shared: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::EPOCH));
        assert_eq!(shared.monotonic_exact(), Duration::ZERO, "a manual clock passes no time");
    }

    #[test]
    fn a_manual_clock_passes_time_only_when_it_advances() {
        let clock = ManualClock::new(Timestamp::from_secs(100));
        clock.set(Timestamp::from_secs(7));
        assert_eq!(clock.monotonic(), Duration::ZERO);
        clock.clone().advance(Duration::from_secs(3));
        assert_eq!((clock.now().as_secs(), clock.monotonic()), (10, Duration::from_secs(3)));
    }
}
