//! Where a verifier's keys come from: its configuration, or the issuer.

use super::algorithm::Algorithm;
use super::error::JwtError;
use super::key::JwtKey;
use super::keys::KeySet;
use super::remote::RemoteKeys;
use super::ring::KeyRing;
use super::verifier::Attempt;
use crate::{ConfigError, Timestamp};

#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Own(KeyRing),
    Remote(RemoteKeys),
}

impl KeySource {
    pub(crate) fn new(
        ring: Option<KeyRing>,
        fixed: Vec<JwtKey>,
        remote: Option<RemoteKeys>,
        issuer: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let Some(keys) = remote else { return ring_of(ring, fixed).map(Self::Own) };
        if ring.is_some() || !fixed.is_empty() {
            let reason = "fixed keys beside published ones; give them a verifier each";
            return Err(ConfigError::unusable("JWT keys", reason));
        }
        match keys.issuer() {
            Some(own) if issuer != Some(own) => {
                let reason = "its keys are for a verifier of the same issuer";
                Err(ConfigError::invalid("issuer of the keys", own, reason))
            }
            _ => Ok(Self::Remote(keys)),
        }
    }

    /// The one key for a token; see [`KeySet::find`].
    pub(crate) fn find(&self, kid: Option<&str>, alg: Algorithm) -> Result<JwtKey, JwtError> {
        match self {
            Self::Own(ring) => ring.find(kid, alg),
            Self::Remote(keys) => keys.at_hand()?.find(kid, alg).cloned(),
        }
    }

    /// A number that rises whenever keys that were trusted are so no more. None while none of them may
    /// be used: nothing is to be remembered under it.
    pub(crate) fn generation(&self, now: Timestamp) -> Option<u64> {
        match self {
            Self::Own(ring) => Some(ring.generation(now)),
            Self::Remote(keys) => keys.generation(),
        }
    }

    /// What to do about `error`, which other keys might mend.
    pub(crate) fn ask(&self, error: JwtError) -> Attempt {
        match self {
            Self::Own(_) => Attempt::Ended(Err(error)),
            Self::Remote(keys) => keys.ask(error),
        }
    }
}

fn ring_of(ring: Option<KeyRing>, fixed: Vec<JwtKey>) -> Result<KeyRing, ConfigError> {
    match ring {
        None => KeySet::new(fixed).map(KeyRing::new),
        Some(ring) if fixed.is_empty() => Ok(ring),
        Some(_) => Err(ConfigError::unusable("JWT keys", "an issuer of one's own has its own")),
    }
}
