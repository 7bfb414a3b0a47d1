//! Whether a server is worth asking.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Failures in a row after which nobody asks any more.
const FAILURES: u32 = 3;

/// Opens after some failures in a row. What closes it again is a probe that is answered in time, which
/// no request waits for.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: AtomicU32,
    open: AtomicBool,
}

impl Circuit {
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a failure; true when this one has opened it, and somebody has to probe.
    #[must_use]
    pub(super) fn fail(&self) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        failures >= FAILURES && !self.open.swap(true, Ordering::Relaxed)
    }

    /// An answer came in time.
    pub(super) fn succeed(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A probe was answered in time.
    pub(super) fn close(&self) {
        self.succeed();
        self.open.store(false, Ordering::Relaxed);
    }
}
