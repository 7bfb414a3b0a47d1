//! The keys of one issuer, and which of them a token is checked with.

use super::algorithm::{Algorithm, Family};
use super::error::{JwtError, JwtErrorKind};
use super::header::MAX_KID;
use super::key::JwtKey;
use super::ring::End;
use crate::ConfigError;

/// Keys among which every token finds at most one.
#[derive(Clone, Debug)]
pub(crate) struct KeySet(Vec<JwtKey>);

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
        Ok(Self(keys))
    }

    /// The other keys; `None` when no other is left.
    pub(crate) fn without(&self, ended: &[End]) -> Option<Self> {
        let is_kept = |key: &&JwtKey| !ended.iter().any(|end| end.key == key.print());
        let kept: Vec<_> = self.0.iter().filter(is_kept).cloned().collect();
        (!kept.is_empty()).then_some(Self(kept))
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
        let named = kid.and_then(|kid| self.0.iter().find(|key| key.kid() == Some(kid)));
        match named {
            Some(key) if key.algorithm() == algorithm => Ok(key),
            Some(_) => Err(JwtError::new(JwtErrorKind::Algorithm, "alg is not that of the key")),
            None => self.only(kid.is_some(), algorithm),
        }
    }

    fn only(&self, nameless: bool, algorithm: Algorithm) -> Result<&JwtKey, JwtError> {
        if !self.0.iter().any(|key| key.algorithm() == algorithm) {
            return Err(JwtError::new(JwtErrorKind::Algorithm, "alg is not that of any key"));
        }
        let fits =
            |key: &&JwtKey| key.algorithm() == algorithm && !(nameless && key.kid().is_some());
        let mut keys = self.0.iter().filter(fits);
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
