//! Where keys are kept, and how to keep them in a database of your own.
//!
//! A store answers one question: what is the record of this digest? The rules (expiry, status,
//! environment, addresses) are judged above it, for every store alike. It is asked once for each
//! request with a well-formed key: not for a malformed one, a wrong checksum or the wrong
//! environment. Only with [`Peppers`](crate::Peppers) of former times it may be asked again, for each
//! digest under which the key may be kept.
//!
//! | trait | needed for | |
//! | --- | --- | --- |
//! | [`KeyStore`] | the gate | one method |
//! | [`TenantDirectory`] | suspension and plans of JWT callers | one method |
//! | [`KeyAdmin`] | issuing and managing keys | a read-only backend need not have it |
//! | [`UsageStore`] | use by month and endpoint | |
//!
//! | store | feature | keeps keys | for |
//! | --- | --- | --- | --- |
//! | [`MemoryStore`] | | until the process ends | tests, keys that come from elsewhere |
//! | `SqliteStore` | `sqlite` | in a file | one machine, no server |
//! | `PostgresStore` | `postgres` | on a server | many machines |
//!
//! Each is all four. Those on a database make their tables themselves, when they are opened: they are
//! named `keygate_…`, and many nodes may start at once.
//!
//! A store of your own can be held to the same contract: the feature `conformance` brings
//! `store::conformance`, some fifty tests in one line.
//!
//! [`Cached`] puts memory in front of a store that is slow, and [`feed`] keeps that memory true when
//! another node changes the store: `PostgresFeed` for a `PostgresStore`.
//!
//! # A store of your own
//!
//! A failing backend must say so: `Err` becomes a 503, `Ok(None)` a 401. Answering `Ok(None)` for a
//! database that is away would tell good clients that their keys are gone. It must also bound its own
//! wait: the gate has no timer, and a call that hangs holds its request for as long.
//!
//! [`KeyRecord::new`](crate::KeyRecord::new) is an active live key that never expires: a store reads
//! status, expiry and environment too, or it admits keys that were ended.
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::{Arc, RwLock};
//!
//! use async_trait::async_trait;
//! use keygate::store::{KeyStore, StoreError};
//! use keygate::{AuthLayer, Environment, KeyDigest, KeyFormat, KeyRecord, Tenant};
//!
//! /// Stands for your database: one row a key, found by the digest.
//! #[derive(Default)]
//! struct Rows(RwLock<HashMap<[u8; 32], Row>>);
//!
//! #[derive(Clone)]
//! struct Row {
//!     id: String,
//!     tenant: String,
//! }
//!
//! #[async_trait]
//! impl KeyStore for Rows {
//!     async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
//!         // SELECT id, tenant FROM api_keys WHERE digest = $1
//!         let rows = self.0.read().map_err(|e| StoreError::unavailable(e.to_string()))?;
//!         let row = rows.get(digest.as_bytes()).cloned();
//!         Ok(row.map(|row| Arc::new(KeyRecord::new(
//!             row.id.as_str(),
//!             *digest,
//!             Tenant::new(row.tenant.as_str()),
//!         ))))
//!     }
//! }
//!
//! let key = KeyFormat::sk().generate(Environment::Live)?;
//! let rows = Rows::default();
//! let row = Row { id: "1".into(), tenant: "acme".into() };
//! rows.0.write().unwrap().insert(*key.digest().as_bytes(), row);
//! let gate = AuthLayer::new(rows);
//! # let _ = gate;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admin;
mod cached;
mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod feed;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;

pub use admin::{KeyAdmin, KeyFilter, KeyPage};
pub use cached::{CacheStats, Cached};
pub use change::{Action, AuditEvent, Change, Commit};
pub use error::StoreError;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresFeed, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use usage::{Month, Usage, UsageStore, Use};

use crate::{KeyDigest, KeyRecord, Tenant, TenantId};

/// Finds the records of keys: all that a gate needs of a store. The [module](self) has a whole one.
///
/// What is not there is `Ok(None)`, and only what can't be told is `Err`: a gate answers the one with
/// 401, the other with 503.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The record of the key with this digest; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the store can't tell. The request is then refused with 503.
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError>;

    /// The same for a key that may have come here since it was looked for: after
    /// [`find`](Self::find) did not find this digest, former ones of the same key were asked for, and
    /// were not found either. Keys move to the digest of now, so that this one must have been looked
    /// for last.
    ///
    /// A store that answers from memory must not answer with what `find` has put there, only with
    /// what this has; all others need not have this method. A store that passes calls on to another
    /// passes this on, too.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    async fn find_again(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.find(digest).await
    }

    /// As [`find`](Self::find), for a store that has the answer in memory, without a future; `None` means that
    /// [`find`](Self::find) must be asked, which is what a store on a network answers.
    fn peek(&self, digest: &KeyDigest) -> Option<Result<Option<Arc<KeyRecord>>, StoreError>> {
        let _ = digest;
        None
    }
}

/// Knows tenants. With a directory, a JWT whose tenant is unknown or suspended is refused, and
/// limits know its plan.
#[async_trait]
pub trait TenantDirectory: Send + Sync + 'static {
    /// The tenant of that name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the directory can't tell. The request is then refused with 503.
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError>;

    /// The same without a future, for a directory that has the answer in memory.
    fn peek_tenant(&self, id: &TenantId) -> Option<Result<Option<Arc<Tenant>>, StoreError>> {
        let _ = id;
        None
    }
}

#[async_trait]
impl<S: KeyStore + ?Sized> KeyStore for Arc<S> {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        (**self).find(digest).await
    }

    async fn find_again(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        (**self).find_again(digest).await
    }

    fn peek(&self, digest: &KeyDigest) -> Option<Result<Option<Arc<KeyRecord>>, StoreError>> {
        (**self).peek(digest)
    }
}

#[async_trait]
impl<S: TenantDirectory + ?Sized> TenantDirectory for Arc<S> {
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        (**self).tenant(id).await
    }

    fn peek_tenant(&self, id: &TenantId) -> Option<Result<Option<Arc<Tenant>>, StoreError>> {
        (**self).peek_tenant(id)
    }
}
