//! What the core synchronises with, modelled.

pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
pub(super) use loom::sync::{Mutex, RwLock};
