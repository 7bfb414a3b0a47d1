//! The core of `keygate::store::Cached`, and the fetch of keys that many wait for, compiled from their
//! own files with loom's locks and atomics.
//!
//! ```text
//! cargo test --manifest-path tests/interleavings/Cargo.toml
//! ```

#![allow(dead_code, reason = "a part of the core is used here")]

#[path = "../../../src/store/cached/cache/mod.rs"]
mod cache;
#[path = "../../../src/jwt/remote/flight.rs"]
mod flight;
mod sync;

#[cfg(test)]
mod announcements;
#[cfg(test)]
mod fetches;
#[cfg(test)]
mod flights;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod room;
#[cfg(test)]
mod world;
