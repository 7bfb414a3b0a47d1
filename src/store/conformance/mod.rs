//! A suite of tests for stores of your own: one named test for each clause of the traits' contracts.
//!
//! Give the macro an expression for a fresh, empty store, which may `.await`; it becomes some fifty tests,
//! each with a store of its own:
//!
//! ```
//! use keygate::store::MemoryStore;
//!
//! async fn fresh_store() -> MemoryStore {
//!     MemoryStore::new() // A temporary folder or a schema of its own, for yours.
//! }
//!
//! keygate::conformance!(fresh_store().await);
//! ```
//!
//! A store that implements only some of the traits names what it has. With `outage` comes an
//! expression for a store whose backend is away, of which the suite asks that it says so:
//!
//! ```
//! # use keygate::store::MemoryStore;
//! # async fn fresh_store() -> MemoryStore { MemoryStore::new() }
//! # async fn store_of_a_stopped_server() -> MemoryStore { MemoryStore::new() }
//! keygate::conformance! {
//!     keys: fresh_store().await,
//!     outage: store_of_a_stopped_server().await,
//! }
//! ```
//!
//! | group | needs | |
//! | --- | --- | --- |
//! | `keys` | [`KeyAdmin`](super::KeyAdmin) | [`finding`], [`writing`], [`committing`], [`listing`], [`telling`] |
//! | `tenants` | and [`TenantDirectory`](super::TenantDirectory) | [`tenants`] |
//! | `usage` | [`UsageStore`](super::UsageStore) | [`usage`] |
//! | `outage` | [`KeyAdmin`](super::KeyAdmin) | [`outage`] |
//!
//! Each test is a plain `#[test]` that brings a multi-threaded tokio runtime with it: your crate
//! needs no test macro, and pools that need tokio have it; futures of other runtimes run on it too.
//! A clause that takes longer than a minute fails. Where tests are data (libtest-mimic), [`all`],
//! [`keys_of`], [`tenants_of`], [`usage_of`] and [`outage_of`] give the same as a list:
//!
//! ```
//! use keygate::store::{MemoryStore, conformance};
//!
//! for clause in conformance::all(async || MemoryStore::new()) {
//!     println!("{}", clause.name());
//!     clause.run();
//! }
//! ```
//!
//! The feature `conformance` is for `[dev-dependencies]`.

pub mod committing;
pub mod finding;
pub mod listing;
mod macros;
pub mod outage;
mod run;
mod sample;
pub mod telling;
pub mod tenants;
pub mod usage;
pub mod writing;

pub use run::{Clause, all, check, keys_of, outage_of, tenants_of, usage_of};
