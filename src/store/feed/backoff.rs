//! How long to wait before connecting again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// Well below a lease, so that a server that is back is soon followed again.
const LONGEST: Duration = Duration::from_secs(2);

/// Waits that double, each between half and all of its time: nodes that lost one server together do
/// not come back to it together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub(super) fn wait(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + random() / 2.0)
    }

    /// It works again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// From 0 to 1. Without random numbers all wait equally long, which is no reason to fail.
fn random() -> f64 {
    getrandom::u32().map_or(1.0, |n| f64::from(n) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..2 {
            for whole in [100, 200, 400, 800, 1600, 2000, 2000] {
                let (wait, whole) = (backoff.wait(), Duration::from_millis(whole));
                assert!(whole / 2 <= wait && wait <= whole, "{wait:?} of {whole:?}");
            }
            (0..100_000).for_each(|_| assert!(backoff.wait() <= LONGEST));
            backoff.reset();
        }
    }

    #[test]
    fn nodes_do_not_wait_equally_long() {
        let waits: std::collections::HashSet<_> =
            (0..20).map(|_| Backoff::default().wait()).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
