//! Why a key could not be issued, changed or ended.

use http::StatusCode;

use crate::KeyId;
use crate::key::GenerateError;
use crate::store::StoreError;

/// Why a key could not be issued, changed or ended.
///
/// Its text may be shown to whoever asked for the change, with [`status`](Self::status). Its source,
/// which names the database's own troubles, is for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The tenant has no key of that name; another tenant may.
    #[error("there is no such key")]
    NotFound,
    /// The key has ended for good.
    #[error("the key is revoked")]
    Revoked,
    /// The key is switched off.
    #[error("the key is inactive")]
    Inactive,
    /// The key's time has passed, or would have before it was issued.
    #[error("the key has expired")]
    Expired,
    /// The key has a successor already.
    #[error("the key was rotated already; its successor is {successor}")]
    #[non_exhaustive]
    AlreadyRotated {
        /// The key to rotate instead.
        successor: KeyId,
    },
    /// A key of that name or digest exists, of this tenant or another.
    #[error("such a key exists already")]
    Exists(#[source] StoreError),
    /// Others changed the key again and again while this change was tried. Nothing was changed; the
    /// same call may succeed later.
    #[error("the key is being changed by others")]
    Contended(#[source] StoreError),
    /// No key could be made.
    #[error("no key could be made")]
    Generate(#[from] GenerateError),
    /// The store failed. Whether the change was made is not known: read the key before trying again.
    #[error("the keys can't be reached")]
    Store(#[source] StoreError),
}

impl KeysError {
    /// The HTTP status that tells a client as much.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Revoked
            | Self::Inactive
            | Self::Expired
            | Self::AlreadyRotated { .. }
            | Self::Exists(_) => StatusCode::CONFLICT,
            Self::Generate(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Contended(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) if error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// True when the store is away.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_unavailable())
    }
}
