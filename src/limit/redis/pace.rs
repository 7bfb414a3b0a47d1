//! How much a node expects to be asked for.

/// What was seen before weighs as much as what is seen in this part of a window.
const MEMORY: u64 = 4;

/// What one count is asked for on this node, admitted or not, in a window.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// As it was at `since`.
    before: u64,
    since: u64,
    /// What was asked for since.
    asked: u64,
}

impl Pace {
    pub(super) fn count(&mut self, cost: u64) {
        self.asked = self.asked.saturating_add(cost);
    }

    /// What was asked for as an estimate, and not spent.
    pub(super) fn forget(&mut self, rest: u64) {
        self.asked = self.asked.saturating_sub(rest);
    }

    /// For a whole window, seen from `now`. A few requests in a moment say little: what is seen counts
    /// by how long it was looked at.
    pub(super) fn per_window(&self, window: u64, now: u64) -> u64 {
        let (window, memory) = (u128::from(window), u128::from(window / MEMORY));
        let sum = u128::from(self.asked) * window + u128::from(self.before) * memory;
        let looked = u128::from(now.saturating_sub(self.since)) + memory;
        u64::try_from(sum / looked.max(1)).unwrap_or(u64::MAX)
    }

    /// Begins to look anew, and remembers what was seen.
    pub(super) fn mark(&mut self, window: u64, now: u64) {
        *self = Self { before: self.per_window(window, now), since: now, asked: 0 };
    }
}
