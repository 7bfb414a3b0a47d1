//! A lock, and part of what it guards, in one word.
//!
//! The usual lock takes two atomic instructions and bytes of its own; this one takes one, since it is
//! released by a store, and a bit. It is for a few instructions that can't fail, with nothing to wait
//! for among them: whoever finds it held waits on the spot. It can't be poisoned: whoever holds it
//! says what the word shall be, and until then it is what it was.
//!
//! `tests/interleavings` compiles this file against loom, and those of the cell and of the shard.

use super::sync::{AtomicU64, Ordering, pause};

const HELD: u64 = 1 << 63;

/// 63 bits and a lock.
#[derive(Debug, Default)]
pub(crate) struct Latch(AtomicU64);

impl Latch {
    /// The bits as they are now, whoever holds it.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        self.0.load(Ordering::Relaxed) & !HELD
    }

    /// Waits until nobody holds it, and gives the bits. All that was written before the last
    /// [`release`](Self::release) is seen.
    #[inline]
    pub(crate) fn acquire(&self) -> u64 {
        let free = self.peek();
        match self.try_acquire(free) {
            true => free,
            false => self.wait(),
        }
    }

    #[inline]
    fn try_acquire(&self, free: u64) -> bool {
        let held = free | HELD;
        self.0.compare_exchange(free, held, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) -> u64 {
        let mut tries = 0;
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            if seen & HELD == 0 && self.try_acquire(seen) {
                return seen;
            }
            pause(tries);
            tries = tries.saturating_add(1);
        }
    }

    /// Ends what [`acquire`](Self::acquire) began, and leaves `bits`.
    #[inline]
    pub(crate) fn release(&self, bits: u64) {
        self.0.store(bits & !HELD, Ordering::Release);
    }
}
