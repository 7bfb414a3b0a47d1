//! A token that was issued.

use std::fmt;

use zeroize::Zeroizing;

use crate::Timestamp;

/// A token that was issued: a secret until it is handed to its owner. `Debug` doesn't show it, and
/// its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct MintedToken {
    pub(super) text: Zeroizing<String>,
    pub(super) id: String,
    pub(super) expires: Timestamp,
}

impl MintedToken {
    /// The token's text.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Its `jti`, by which it can be revoked.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its `exp`.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl fmt::Debug for MintedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintedToken")
            .field("id", &self.id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
