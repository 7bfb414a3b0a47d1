//! What the cache's core synchronises with. `tests/interleavings` puts loom's in its place.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Mutex, RwLock};
