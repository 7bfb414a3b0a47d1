//! What the core synchronises with, modelled.

pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
pub(super) use loom::sync::{Mutex, RwLock};

/// The least that may do.
pub(super) const FEW: usize = 1;
