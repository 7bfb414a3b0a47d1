//! One gate for many threads.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::gate::Gate;

/// Of more threads, some share a count.
const COUNTS: usize = 32;

/// A gate, and who holds on to it for an answer to come. Counted in one place, that would be a line of
/// memory for which all threads wait twice a request; so each thread counts in a place of its own.
#[derive(Clone)]
pub(crate) struct SharedGate(Arc<Counts>);

struct Counts {
    gate: Arc<Gate>,
    held: [OnceLock<Arc<Held>>; COUNTS],
}

/// The gate, held. It stands with its count in lines of memory of its own, of which processors like to
/// read two.
#[repr(align(128))]
pub(crate) struct Held(Arc<Gate>);

impl SharedGate {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        let held = std::array::from_fn(|_| OnceLock::new());
        Self(Arc::new(Counts { gate, held }))
    }

    /// Holds on to the gate, whatever becomes of the service meanwhile.
    #[inline]
    pub(crate) fn hold(&self) -> Arc<Held> {
        let Counts { gate, held } = &*self.0;
        Arc::clone(held[place()].get_or_init(|| Arc::new(Held(Arc::clone(gate)))))
    }
}

/// Where this thread counts.
#[inline]
fn place() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % COUNTS;
    }
    PLACE.with(|place| *place)
}

impl Deref for SharedGate {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0.gate
    }
}

impl Deref for Held {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0
    }
}

impl fmt::Debug for SharedGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::store::MemoryStore;
    use crate::{AuthLayer, service::Auth};
    use tower_layer::Layer;

    fn shared() -> SharedGate {
        let service: Auth<()> = AuthLayer::new(MemoryStore::new()).layer(());
        service.gate().clone()
    }

    #[test]
    fn a_thread_counts_in_one_place_and_others_elsewhere() {
        let gate = shared();
        let here = gate.hold();
        assert!(Arc::ptr_eq(&here, &gate.hold()));
        let there = thread::scope(|scope| scope.spawn(|| gate.hold()).join()).ok();
        assert!(there.is_some_and(|there| !Arc::ptr_eq(&here, &there)));
    }

    #[test]
    fn more_threads_than_places_hold_the_gate_all_the_same() {
        let gate = shared();
        for _ in 0..2 * COUNTS + 1 {
            let held = thread::scope(|scope| scope.spawn(|| gate.hold()).join()).ok();
            assert!(held.is_some_and(|held| std::ptr::eq(&raw const **held, &raw const *gate)));
        }
    }

    #[test]
    fn a_gate_is_there_for_as_long_as_somebody_holds_it_and_no_longer() {
        let gate = shared();
        let weak = Arc::downgrade(&gate.0.gate);
        let held = gate.hold();
        drop(gate);
        assert!(weak.upgrade().is_some());
        drop(held);
        assert!(weak.upgrade().is_none());
    }
}
