//! Where a verifier's keys come from: its configuration, or the issuer.

use std::sync::Arc;

use super::error::JwtError;
use super::key::JwtKey;
use super::keys::KeySet;
use super::remote::RemoteKeys;
use super::verifier::Attempt;
use crate::ConfigError;

#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    Fixed(Arc<KeySet>),
    Remote(RemoteKeys),
}

impl KeySource {
    pub(crate) fn new(
        fixed: Vec<JwtKey>,
        remote: Option<RemoteKeys>,
        issuer: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let Some(keys) = remote else {
            return Ok(Self::Fixed(Arc::new(KeySet::new(fixed)?)));
        };
        if !fixed.is_empty() {
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

    /// Looks into the keys of now.
    pub(crate) fn with<T>(
        &self,
        look: impl FnOnce(&KeySet) -> Result<T, JwtError>,
    ) -> Result<T, JwtError> {
        match self {
            Self::Fixed(keys) => look(keys),
            Self::Remote(keys) => look(&*keys.at_hand()?),
        }
    }

    /// What to do about `error`, which other keys might mend.
    pub(crate) fn ask(&self, error: JwtError) -> Attempt {
        match self {
            Self::Fixed(_) => Attempt::Ended(Err(error)),
            Self::Remote(keys) => keys.ask(error),
        }
    }
}
