//! The core of `keygate::store::Cached`, the fetch of keys that many wait for, and the latch of a limit's
//! counter, compiled from their own files with loom's locks and atomics.
//!
//! ```text
//! cargo test --manifest-path tests/interleavings/Cargo.toml
//! ```

#![allow(dead_code, reason = "a part of the core is used here")]

#[path = "../../../src/store/cached/cache/mod.rs"]
mod cache;
#[path = "../../../src/jwt/remote/flight.rs"]
mod flight;
#[path = "../../../src/limit/latch.rs"]
mod latch;
mod sync;

#[cfg(test)]
mod announcements;
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
