//! The life of keys: issued, listed, changed, rotated, ended, and taken in from elsewhere.
//!
//! [`Keys`] works on any [`KeyAdmin`](crate::store::KeyAdmin). Every change is one atomic write with
//! its [audit event](crate::store::AuditEvent); changes made at the same time are all made, one after
//! the other.
//!
//! # Rotation
//!
//! [`rotate`](KeysBy::rotate) makes the new key before the old one ends. A
//! [`RotationPolicy`](crate::RotationPolicy) says how often; [`Keys::due`] says for which keys it is
//! time. There is no scheduler here: call it from yours.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use std::time::Duration;
//!
//! use keygate::lifecycle::RotationStep;
//! use keygate::store::MemoryStore;
//! use keygate::{KeyFormat, Keys, TenantId};
//!
//! let keys = Keys::new(MemoryStore::new(), KeyFormat::sk());
//! let acme = TenantId::from("acme");
//! for due in keys.due(&acme).await? {
//!     match due.step {
//!         RotationStep::Announce => println!("{} will be replaced", due.key.name()),
//!         RotationStep::Rotate => {
//!             let week = Duration::from_secs(7 * 86_400);
//!             let next = keys.by("rotation job").rotate(&acme, due.key.id(), week).await?;
//!             // Hand `next.token` to whoever uses the key.
//! #           let _ = next;
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keys from elsewhere
//!
//! A key that another system issued works on unchanged, if that system kept SHA-256 digests, or
//! HMAC-SHA-256 with a secret that you have: read the digest, and take the record in.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use keygate::store::MemoryStore;
//! use keygate::{AuthLayer, KeyDigest, KeyFormat, KeyRecord, Keys, ScopeSet, Tenant};
//!
//! let theirs = KeyFormat::existing("old-", 20..=40)?;
//! let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
//! let record = KeyRecord::new("old_17", KeyDigest::from_hex(digest)?, Tenant::new("acme"))
//!     .with_name("from the old system")
//!     .with_access(ScopeSet::new(["read:customers"])?);
//!
//! let store = MemoryStore::new();
//! Keys::new(store.clone(), KeyFormat::sk()).by("migration").import(record).await?;
//! let gate = AuthLayer::new(store).key_formats([KeyFormat::sk(), theirs])?;
//! # let _ = gate;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where its digests were made with a pepper, or where yours are from now on, tell the gate with
//! [`AuthLayer::peppers`](crate::AuthLayer::peppers). [`Upgrades`] keeps old digests anew when their
//! keys are used.

mod by;
mod due;
mod error;
mod keys;
mod new_key;
mod upgrades;

pub use by::KeysBy;
pub use due::{DueRotation, RotationStep};
pub use error::KeysError;
pub use keys::Keys;
pub use new_key::{Issued, NewKey};
pub use upgrades::Upgrades;
