//! How a change that is made on one node becomes known on the others.
//!
//! A [`Feed`] tells a [`Cached`](super::Cached) store what has changed, and that it is still there.
//! The second is the more important one: a cache holds a **lease** on its feed, and trusts its memory
//! only while the feed was heard within [`Cached::lease`](super::Cached::lease), 5 s by default.
//!
//! # A feed of your own
//!
//! It tells of every change **in order**: an [alive](Heard::Alive) with age `a` says that all changes
//! that could be read from the store `a` ago have been told before it. So it must come on the same
//! road as the changes, and from beyond whatever may fail: a round trip to the server that sends
//! them, not a timer of one's own. Of Postgres, `PostgresFeed` (feature `postgres`) is one.
//!
//! ```
//! use std::time::Instant;
//!
//! use async_trait::async_trait;
//! use keygate::store::StoreError;
//! use keygate::store::feed::{Feed, Heard, Invalidation};
//!
//! /// Stands for a connection that listens, such as one to Postgres.
//! struct Listener;
//!
//! impl Listener {
//!     /// A message, or `None` if there was none for a second.
//!     async fn message(&mut self) -> Result<Option<String>, std::io::Error> {
//!         Ok(None)
//!     }
//!     /// Asks the server for a sign of life.
//!     async fn ping(&mut self) -> Result<(), std::io::Error> {
//!         Ok(())
//!     }
//! }
//!
//! #[async_trait]
//! impl Feed for Listener {
//!     async fn next(&mut self) -> Result<Heard, StoreError> {
//!         match self.message().await.map_err(StoreError::unavailable)? {
//!             Some(text) => Ok(Heard::Changed(Invalidation::read(&text))),
//!             None => {
//!                 let asked = Instant::now();
//!                 self.ping().await.map_err(StoreError::unavailable)?;
//!                 Ok(Heard::Alive { age: asked.elapsed() })
//!             }
//!         }
//!     }
//! }
//! ```

#[cfg(any(feature = "postgres", feature = "redis"))]
mod backoff;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod connection;
mod local;
#[cfg(feature = "redis")]
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

#[cfg(any(feature = "postgres", feature = "redis"))]
use self::backoff::Backoff;
#[cfg(feature = "postgres")]
pub(super) use self::connection::{Connection, Line};
pub use self::local::{LocalFeed, Subscription};
#[cfg(feature = "redis")]
pub use self::redis::RedisFeed;
use super::StoreError;
use super::cached::News;
use crate::{KeyDigest, KeyId, TenantId};

/// Tells what has changed in a store, whoever changed it.
#[async_trait]
pub trait Feed: Send + 'static {
    /// Waits for the next message.
    ///
    /// A call that is dropped while it waits must lose no message.
    ///
    /// # Errors
    ///
    /// When messages may have been lost, once for each time: a connection that broke, or one that
    /// could not be made. The cache is not trusted any more until the feed is [alive](Heard::Alive)
    /// again, and then starts empty. The next call connects again, and waits before it does as long
    /// as is polite.
    async fn next(&mut self) -> Result<Heard, StoreError>;
}

/// What a feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// All changes were told that could be read from the store at least `age` ago.
    Alive {
        /// At most how long ago: from before the sign of life was asked for until now.
        age: Duration,
    },
    /// Something was changed, and can be read from the store.
    Changed(Invalidation),
    /// There will be nothing more.
    Ended,
}

/// What has changed. As JSON, with tags in snake case, it has less than 500 bytes besides a tenant's
/// name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Invalidation {
    /// One key.
    Key {
        /// Its digest. A key that gets another digest is two changes: the old one is gone.
        digest: KeyDigest,
        /// What is known of it now.
        state: KeyState,
    },
    /// One key, whatever its digest. To find it is a walk through all that is kept: a tenth
    /// of a second for a million keys, for which no hit waits.
    Id(KeyId),
    /// A tenant, and so all of its keys: such a walk, too.
    Tenant(TenantId),
    /// Anything.
    Everything,
}

/// What is known of a key after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyState {
    /// Nothing.
    Unknown,
    /// It has this [revision](crate::KeyRecord::revision). An older record that the store answers
    /// with later is not believed.
    Revision(u64),
    /// It was put in, with this revision, usually 0. What was known of an earlier key with the same
    /// digest counts no more.
    Inserted(u64),
    /// There is no key with this digest. A record that the store answers with later is not believed,
    /// until the key is said to be there again.
    Gone,
}

impl Invalidation {
    /// A message as it comes from elsewhere. What can't be read may be anything, and is taken for
    /// [everything](Self::Everything): nodes of a later version may tell what this one does not know.
    ///
    /// ```
    /// use keygate::store::feed::Invalidation;
    ///
    /// assert_eq!(Invalidation::read(r#"{"tenant":"acme"}"#), Invalidation::Tenant("acme".into()));
    /// assert_eq!(Invalidation::read("?"), Invalidation::Everything);
    /// ```
    pub fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or(Self::Everything)
    }

    /// The key was put in with this revision.
    pub const fn inserted(digest: KeyDigest, revision: u64) -> Self {
        Self::Key { digest, state: KeyState::Inserted(revision) }
    }

    /// The key has this revision now.
    pub const fn changed(digest: KeyDigest, revision: u64) -> Self {
        Self::Key { digest, state: KeyState::Revision(revision) }
    }

    /// There is no such key any more.
    pub const fn gone(digest: KeyDigest) -> Self {
        Self::Key { digest, state: KeyState::Gone }
    }

    /// Something about the key has changed.
    pub const fn key(digest: KeyDigest) -> Self {
        Self::Key { digest, state: KeyState::Unknown }
    }
}

impl From<KeyState> for News {
    fn from(state: KeyState) -> Self {
        match state {
            KeyState::Unknown => Self::Changed,
            KeyState::Inserted(revision) => Self::Inserted(revision),
            KeyState::Revision(revision) => Self::Revision(revision),
            KeyState::Gone => Self::Gone,
        }
    }
}
