#![allow(clippy::unwrap_used)]

mod answers;
mod circuit;
mod key;
mod load;
mod model;
mod shared;
mod slice;
mod undo;

use std::collections::BTreeMap;

use super::slice::{Look, Question, Reply, Slice, Terms};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
/// When the server's clock begins, in nanoseconds: the start of a second and of a minute.
const START: u64 = 1_700_006_400 * SECOND;

/// The script `slice.lua` in Rust, on a server that never forgets.
#[derive(Default)]
struct Server(BTreeMap<u64, u64>);

impl Server {
    /// Answers at `at`, the server's time in nanoseconds.
    fn answer(&mut self, terms: Terms, question: Question, at: u64) -> Reply {
        let (limit, window) = bounds(terms);
        let number = at / window;
        let used = self.0.entry(number).or_default();
        if question.of == number {
            *used = used.saturating_sub(question.back);
        }
        *used += question.spent;
        let left = limit.saturating_sub(*used);
        let share = (left / 2).max(question.least);
        let lent = left.min(question.need.max(question.want.min(share)));
        *used += lent;
        let left = (window - at % window) / 1_000;
        Reply { number, left, used: *used, lent }
    }
}

fn bounds(terms: Terms) -> (u64, u64) {
    match terms {
        Terms::Leased { limit, window } | Terms::Ahead { limit, window, .. } => (limit, window),
    }
}

fn leased(limit: u64, window: u64) -> Terms {
    Terms::Leased { limit, window }
}

fn ahead(limit: u64, window: u64, batch: u64) -> Terms {
    Terms::Ahead { limit, window, batch }
}
