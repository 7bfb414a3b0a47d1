//! Interleaved rounds: every case a little in each round, so that a noisy machine is noisy for all.

use std::time::Instant;

use support::allocations;

use crate::instructions::Instructions;

/// How long one case may take in one round, in nanoseconds.
const SLICE: f64 = 150_000.0;
/// Requests before anything is counted, several of each credential: caches are filled, counters at hand.
const WARM_UP: u32 = 300;

/// One way to answer one kind of request.
pub(crate) struct Case {
    /// What is asked, as a row of the table.
    pub(crate) what: String,
    /// Who answers.
    pub(crate) who: &'static str,
    /// The [`who`](Self::who) of the bare service with the same body.
    pub(crate) bare: &'static str,
    step: Box<dyn FnMut()>,
}

impl Case {
    pub(crate) fn new(
        what: impl Into<String>,
        who: &'static str,
        bare: &'static str,
        step: impl FnMut() + 'static,
    ) -> Self {
        Self { what: what.into(), who, bare, step: Box::new(step) }
    }

    pub(crate) fn repeat(&mut self, times: u32) {
        for _ in 0..times {
            (self.step)();
        }
    }

    fn nanos(&mut self, times: u32) -> f64 {
        let start = Instant::now();
        self.repeat(times);
        start.elapsed().as_nanos() as f64 / f64::from(times)
    }
}

/// What one request costs in one case.
pub(crate) struct Cost {
    pub(crate) allocations: i64,
    /// `None` where the processor's counters are out of reach.
    pub(crate) instructions: Option<f64>,
    /// In each round.
    pub(crate) nanos: Vec<f64>,
}

/// Each round begins with another case, so that none always follows the same one.
pub(crate) fn measure(cases: &mut [Case], rounds: usize) -> Vec<Cost> {
    let mut counter = Instructions::new();
    let mut times = Vec::new();
    let mut costs: Vec<_> = cases
        .iter_mut()
        .map(|case| {
            case.repeat(WARM_UP);
            let fitting = (SLICE / case.nanos(WARM_UP)).clamp(2.0, 1_000.0) as u32;
            times.push(fitting);
            let allocations = allocations(|| case.repeat(1)).1 as i64;
            let instructions = counter.of(|| case.repeat(fitting), fitting);
            Cost { allocations, instructions, nanos: Vec::with_capacity(rounds) }
        })
        .collect();
    for round in 0..rounds {
        for step in 0..cases.len() {
            let index = (round + step) % cases.len();
            // Untimed, so that no case finds what it needs in the caches only because the one before it
            // needed the same.
            cases[index].repeat(times[index].div_ceil(4));
            let nanos = cases[index].nanos(times[index]);
            costs[index].nanos.push(nanos);
        }
    }
    costs
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
