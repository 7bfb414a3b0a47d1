//! The keys of one issuer, and which of them a token is checked with.

use super::algorithm::{Algorithm, Family};
use super::error::{JwtError, JwtErrorKind};
use super::header::MAX_KID;
use super::key::JwtKey;
use super::known::KnownHeaders;
use super::ring::End;
use crate::ConfigError;

/// Keys among which every token finds at most one.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<JwtKey>,
    /// What a token may be signed with, whether a key for it is at hand or not.
    algorithms: Vec<Algorithm>,
    /// Of tokens that these keys have signed.
    pub(crate) headers: KnownHeaders,
}

impl KeySet {
    pub(crate) fn new(keys: Vec<JwtKey>) -> Result<Self, ConfigError> {
        if keys.is_empty() {
            return Err(refused("no key"));
        }
        if keys.iter().filter_map(JwtKey::kid).any(|kid| kid.is_empty() || kid.len() > MAX_KID) {
            return Err(refused("a kid has 1 to 256 bytes"));
        }
        if keys.iter().enumerate().any(|(i, key)| keys[..i].iter().any(|other| clash(key, other))) {
            return Err(refused("a kid occurs twice, or two keys of one algorithm have none"));
        }
        if mixes_secrets(&keys) {
            return Err(refused("a secret beside public keys; give them a verifier each"));
        }
        Ok(Self::of(keys))
    }

    /// The keys that an issuer publishes. There may be none; one `kid` may have several algorithms.
    pub(crate) fn published(keys: Vec<JwtKey>, algorithms: Vec<Algorithm>) -> Self {
        Self { keys, algorithms, headers: KnownHeaders::default() }
    }

    fn of(keys: Vec<JwtKey>) -> Self {
        let algorithms = keys.iter().map(JwtKey::algorithm).collect();
        Self::published(keys, algorithms)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The other keys; `None` when no other is left.
    pub(crate) fn without(&self, ended: &[End]) -> Option<Self> {
        let is_kept = |key: &&JwtKey| !ended.iter().any(|end| end.key == key.print());
        let kept: Vec<_> = self.keys.iter().filter(is_kept).cloned().collect();
        (!kept.is_empty()).then(|| Self::of(kept))
    }

    /// The one key for a token, which is never tried with several.
    ///
    /// A `kid` that no key has may be a key's that was configured without one. A token without `kid`
    /// is checked with the key of its algorithm, if there is only one.
    pub(crate) fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&JwtKey, JwtError> {
        let mut named = self.keys.iter().filter(|key| kid.is_some() && key.kid() == kid).peekable();
        if named.peek().is_none() {
            return self.only(kid.is_some(), algorithm);
        }
        named
            .find(|key| key.algorithm() == algorithm)
            .ok_or(JwtError::new(JwtErrorKind::Algorithm, "alg is not that of the key"))
    }

    fn only(&self, nameless: bool, algorithm: Algorithm) -> Result<&JwtKey, JwtError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(JwtError::new(JwtErrorKind::Algorithm, "alg is not that of any key"));
        }
        let fits =
            |key: &&JwtKey| key.algorithm() == algorithm && !(nameless && key.kid().is_some());
        let mut keys = self.keys.iter().filter(fits);
        match (keys.next(), keys.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(JwtError::new(
                JwtErrorKind::UnknownKey,
                "kid is unknown, or absent though needed",
            )),
        }
    }
}

fn refused(reason: &'static str) -> ConfigError {
    ConfigError::unusable("JWT keys", reason)
}

fn clash(a: &JwtKey, b: &JwtKey) -> bool {
    a.kid() == b.kid() && (a.kid().is_some() || a.algorithm() == b.algorithm())
}

/// An issuer that shares a secret has no use for public keys: such a set is a mistake, and the
/// ground of algorithm confusion (RFC 8725 section 3.1).
fn mixes_secrets(keys: &[JwtKey]) -> bool {
    let secrets = keys.iter().filter(|key| key.algorithm().family() == Family::Hmac).count();
    secrets != 0 && secrets != keys.len()
}
