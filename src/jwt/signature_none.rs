//! No signature backend is compiled in: every key is refused at start-up.

use super::algorithm::Algorithm;
use super::material::Material;
use crate::ConfigError;

pub(crate) const MAX_RSA_BITS: usize = 8192;

/// No value exists.
#[derive(Clone)]
pub(crate) enum Key {}

impl Key {
    pub(crate) fn new(_: Algorithm, _: &Material) -> Result<Self, ConfigError> {
        const REASON: &str = "no signature backend: enable the feature aws_lc_rs or rust_crypto";
        Err(ConfigError::unusable("JWT key", REASON))
    }

    pub(crate) fn is_signed(&self, _: &[u8], _: &[u8]) -> bool {
        match *self {}
    }
}
