//! A cache is a store like any other: the contract of all stores, held by caches over two of them.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use keygate::store::{Cached, MemoryStore};

mod over_memory {
    use super::{Cached, MemoryStore};

    keygate::conformance!(Cached::new(MemoryStore::new()));
}

/// So small that nearly everything is dropped again, and so patient that nothing else is.
mod tiny {
    use super::{Cached, Duration, MemoryStore};

    keygate::conformance! {
        keys: Cached::new(MemoryStore::new())
            .capacity(1)
            .unknown_capacity(1)
            .fresh_for(Duration::from_secs(3600)),
    }
}

mod over_a_cache {
    use super::{Cached, MemoryStore};

    keygate::conformance!(Cached::new(Cached::new(MemoryStore::new())));
}
