//! The core of `keygate::store::Cached`, the fetch of keys that many wait for, and a shard of a limit's
//! counters, compiled from their own files with loom's locks and atomics.
//!
//! ```text
//! cargo test --manifest-path tests/interleavings/Cargo.toml
//! ```

#![allow(dead_code, reason = "a part of the core is used here")]

#[path = "../../../src/limit/algorithm.rs"]
mod algorithm;
#[path = "../../../src/store/cached/cache/mod.rs"]
mod cache;
#[path = "../../../src/limit/calendar.rs"]
mod calendar;
#[path = "../../../src/limit/cell.rs"]
mod cell;
#[path = "../../../src/jwt/remote/flight.rs"]
mod flight;
#[path = "../../../src/limit/latch.rs"]
mod latch;
#[path = "../../../src/limit/quota.rs"]
mod quota;
#[path = "../../../src/limit/rough.rs"]
mod rough;
#[path = "../../../src/limit/shard.rs"]
mod shard;
#[path = "../../../src/limit/slab.rs"]
mod slab;
mod stubs;
mod sync;

use stubs::{ConfigError, Timestamp};

#[cfg(test)]
mod announcements;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod fetches;
#[cfg(test)]
mod flights;
#[cfg(test)]
mod latches;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod room;
#[cfg(test)]
mod world;
