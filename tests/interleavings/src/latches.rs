//! Of those who have a counter's latch none sees a half of what another has written, and nothing of what
//! they count is lost.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::latch::Latch;
use crate::world::every_order;

/// A counter in three words, as a cell has it: the bits of the latch and two that it guards.
#[derive(Default)]
struct Counter {
    latch: Latch,
    words: [AtomicU64; 2],
}

impl Counter {
    /// Counts one, and gives what it was.
    fn count(&self) -> u64 {
        let bits = self.latch.acquire();
        let seen = [&self.words[0], &self.words[1]].map(|word| word.load(Ordering::Relaxed));
        assert_eq!(seen, [bits; 2], "half of it is another's");
        for word in &self.words {
            word.store(bits + 1, Ordering::Relaxed);
        }
        self.latch.release(bits + 1);
        bits
    }
}

#[test]
fn two_who_count_at_a_time_count_two() {
    every_order(None, || {
        let counter = Arc::new(Counter::default());
        let other = Arc::clone(&counter);
        let counting = thread::spawn(move || other.count());
        let mut seen = [counter.count(), counting.join().unwrap()];
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        assert_eq!(counter.count(), 2);
    });
}

#[test]
fn three_who_count_at_a_time_count_three() {
    every_order(Some(2), || {
        let counter = Arc::new(Counter::default());
        let counting = [0; 2].map(|_| {
            let other = Arc::clone(&counter);
            thread::spawn(move || other.count())
        });
        let mut seen = counting.map(|counting| counting.join().unwrap()).to_vec();
        seen.push(counter.count());
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    });
}

#[test]
fn who_only_peeks_never_sees_the_lock() {
    every_order(None, || {
        let counter = Arc::new(Counter::default());
        let other = Arc::clone(&counter);
        let counting = thread::spawn(move || other.count());
        assert!(counter.latch.peek() <= 1);
        counting.join().unwrap();
        assert_eq!(counter.latch.peek(), 1);
    });
}
