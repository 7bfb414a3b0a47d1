//! The text of a key, which exists in memory for a moment only.

use std::fmt;

use zeroize::Zeroizing;

use super::KeyDigest;

/// A key's whole text: a secret. Shown once, to the person it is issued to.
///
/// `Debug` is redacted, there is no `Display`, and the memory is zeroed on drop.
#[derive(Clone)]
pub struct KeyToken(Zeroizing<String>);

impl KeyToken {
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The secret. Whoever calls this is responsible for where it goes.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What a store keeps in its place.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.0)
    }
}

impl fmt::Debug for KeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyToken([redacted])")
    }
}

/// Why no key could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The format describes keys that were made elsewhere; it can't promise their randomness.
    #[error("the format {prefix:?} describes existing keys and issues none")]
    #[non_exhaustive]
    ExistingOnly {
        /// The format's prefix.
        prefix: String,
    },
    /// The operating system's generator failed.
    #[error("the operating system gave no random numbers")]
    Random(#[source] getrandom::Error),
}
