//! What a limit's counters synchronise with. `tests/interleavings` puts loom's in its place.

use std::time::Duration;

pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};

/// The first piece of a slab has so many cells, in bits.
pub(super) const FIRST: u32 = 5;

const SPINS: u32 = 64;
const YIELDS: u32 = SPINS + 16;
const NAP: Duration = Duration::from_micros(50);

/// Waits for one who has a few nanoseconds' work to do: at first without giving up the processor, at
/// last asleep, since one that was interrupted at it may need this very processor.
pub(super) fn pause(tries: u32) {
    match tries {
        0..SPINS => std::hint::spin_loop(),
        SPINS..YIELDS => std::thread::yield_now(),
        _ => std::thread::sleep(NAP),
    }
}
