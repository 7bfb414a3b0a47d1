//! What a flight synchronises with. `tests/interleavings` puts loom's in its place.

pub(super) use std::sync::Mutex;

/// So many of those who wait are woken to go on. One would do, if it were certain to be polled; all
/// would be thousands for each packet of a slow provider.
pub(super) const FEW: usize = 4;
