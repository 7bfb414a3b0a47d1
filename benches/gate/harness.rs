//! Interleaved rounds: every case a little in each round, so that a noisy machine is noisy for all.

use std::time::Instant;

use support::allocations;

/// One way to answer one request, again and again.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    run: Box<dyn FnMut()>,
}

impl Case {
    pub(crate) fn new(name: &'static str, run: impl FnMut() + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    pub(crate) fn repeat(&mut self, times: u32) {
        for _ in 0..times {
            (self.run)();
        }
    }

    /// Allocations of one request, when all that is kept beyond a request is there already.
    pub(crate) fn allocations(&mut self) -> u64 {
        self.repeat(500);
        allocations(|| (self.run)()).1
    }

    /// Not from the first request on, which pays for what the case before has left in the caches.
    fn nanos(&mut self, times: u32) -> f64 {
        self.repeat(times / 4);
        let start = Instant::now();
        self.repeat(times);
        start.elapsed().as_nanos() as f64 / f64::from(times)
    }
}

/// What each case took a request in each round.
pub(crate) struct Rounds(Vec<Vec<f64>>);

impl Rounds {
    /// Each round begins with another case, so that none always follows the same one.
    pub(crate) fn run(cases: &mut [Case], rounds: usize, times: u32) -> Self {
        let mut all = Vec::with_capacity(rounds);
        for round in 0..rounds {
            let mut nanos = vec![0.0; cases.len()];
            for step in 0..cases.len() {
                let index = (round + step) % cases.len();
                nanos[index] = cases[index].nanos(times);
            }
            all.push(nanos);
        }
        Self(all)
    }

    /// The median of what `of` makes of a round.
    pub(crate) fn median(&self, of: impl Fn(&[f64]) -> f64) -> f64 {
        let mut values: Vec<_> = self.0.iter().map(|round| of(round)).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }
}
