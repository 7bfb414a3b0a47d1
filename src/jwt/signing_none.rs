//! No signature backend is compiled in: every key is refused at start-up.

use jsonwebtoken::EncodingKey;

use super::algorithm::Algorithm;
use super::material::{Material, refused};
use crate::ConfigError;

/// No value exists.
pub(crate) enum Signer {}

impl Signer {
    pub(crate) fn new(_: Algorithm, _: &EncodingKey) -> Result<(Self, Material), ConfigError> {
        Err(refused("no signature backend: enable the feature aws_lc_rs or rust_crypto"))
    }

    pub(crate) fn sign(&self, _: &[u8]) -> Option<Vec<u8>> {
        match *self {}
    }
}
