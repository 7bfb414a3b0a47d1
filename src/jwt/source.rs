//! Where a verifier's keys come from: its configuration, or the issuer.

use std::ops::Deref;
use std::sync::Arc;

use super::error::JwtError;
use super::key::JwtKey;
use super::keys::KeySet;
use super::remote::RemoteKeys;
use super::ring::KeyRing;
use super::verifier::Attempt;
use crate::{ConfigError, Timestamp};

#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Fixed(Arc<KeySet>),
    /// Those of an issuer of our own.
    Own(KeyRing),
    Remote(RemoteKeys),
}

/// Keys that may be used now. Those that never change need not be kept from going away.
pub(crate) enum AtHand<'k> {
    Fixed(&'k KeySet),
    Shared(Arc<KeySet>),
}

impl Deref for AtHand<'_> {
    type Target = KeySet;

    #[inline]
    fn deref(&self) -> &KeySet {
        match self {
            Self::Fixed(keys) => keys,
            Self::Shared(keys) => keys,
        }
    }
}

impl KeySource {
    pub(crate) fn new(
        ring: Option<KeyRing>,
        fixed: Vec<JwtKey>,
        remote: Option<RemoteKeys>,
        issuer: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let Some(keys) = remote else { return Self::local(ring, fixed) };
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

    fn local(ring: Option<KeyRing>, fixed: Vec<JwtKey>) -> Result<Self, ConfigError> {
        match ring {
            None => KeySet::new(fixed).map(|keys| Self::Fixed(Arc::new(keys))),
            Some(ring) if fixed.is_empty() => Ok(Self::Own(ring)),
            Some(_) => Err(ConfigError::unusable("JWT keys", "an issuer of one's own has its own")),
        }
    }

    #[inline]
    pub(crate) fn at_hand(&self) -> Result<AtHand<'_>, JwtError> {
        match self {
            Self::Fixed(keys) => Ok(AtHand::Fixed(keys)),
            Self::Own(ring) => ring.at_hand().map(AtHand::Shared),
            Self::Remote(keys) => keys.at_hand().map(AtHand::Shared),
        }
    }

    /// A number that rises whenever keys that were trusted are so no more. None while none of them may
    /// be used: nothing is to be remembered under it.
    pub(crate) fn generation(&self, now: Timestamp) -> Option<u64> {
        match self {
            Self::Fixed(_) => Some(0),
            Self::Own(ring) => Some(ring.generation(now)),
            Self::Remote(keys) => keys.generation(),
        }
    }

    /// What to do about `error`, which other keys might mend.
    pub(crate) fn ask(&self, error: JwtError) -> Attempt {
        match self {
            Self::Fixed(_) | Self::Own(_) => Attempt::Ended(Err(error)),
            Self::Remote(keys) => keys.ask(error),
        }
    }
}
