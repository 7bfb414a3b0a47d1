//! Waiting for what has to come, on a machine that may be busy or stopped for a while.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a test waits for what has to come. It is no measure of anything: what takes so long does
/// not come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until it is so.
///
/// # Panics
///
/// When it is not so within [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// The same on tokio.
///
/// # Panics
///
/// When it is not so within [`PATIENCE`].
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for the next window of so many seconds by the clock, in which quotas are counted, when this one
/// ends within `needed`.
pub async fn room_in_window(window: u64, needed: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let left = window - now % window;
    if left <= needed {
        tokio::time::sleep(Duration::from_secs(left)).await;
    }
}

/// How long `work` takes at best, of twenty times: what else the machine does in between lengthens
/// some of them.
pub fn quickest<T>(mut work: impl FnMut() -> T) -> Duration {
    let took = (0..20).map(|_| {
        let begun = Instant::now();
        std::hint::black_box(work());
        begun.elapsed()
    });
    took.min().expect("it was done")
}
