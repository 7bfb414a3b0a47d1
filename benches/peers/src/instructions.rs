//! Instructions by the processor's own counters.
//!
//! Unlike valgrind's, the count has what valgrind's processor lacks: SHA instructions.

use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

/// What this thread executes outside the kernel.
pub(crate) struct Instructions(Option<Counter>);

impl Instructions {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Hardware::INSTRUCTIONS).build().ok())
    }

    /// What one of `times` pieces of `work` takes.
    pub(crate) fn of(&mut self, work: impl FnOnce(), times: u32) -> Option<f64> {
        let counter = self.0.as_mut()?;
        counter.reset().ok()?;
        counter.enable().ok()?;
        work();
        counter.disable().ok()?;
        Some(counter.read().ok()? as f64 / f64::from(times))
    }
}
