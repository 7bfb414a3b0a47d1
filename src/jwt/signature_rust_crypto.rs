//! Signatures checked in pure Rust, by `jsonwebtoken`'s provider.
//!
//! The provider is named here, never taken from the process: a build in which several are compiled
//! in has no default, and asking for it panics.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;

use super::algorithm::Algorithm;
use super::material::Material;
use crate::ConfigError;

/// What the `rsa` crate takes.
pub(crate) const MAX_RSA_BITS: usize = 4096;

#[derive(Clone)]
pub(crate) struct Key {
    algorithm: jsonwebtoken::Algorithm,
    key: DecodingKey,
}

impl Key {
    pub(crate) fn new(algorithm: Algorithm, material: &Material) -> Result<Self, ConfigError> {
        let key = match material {
            Material::Secret(secret) => DecodingKey::from_secret(secret),
            Material::Rsa { modulus, exponent } => {
                DecodingKey::from_rsa_raw_components(modulus, exponent)
            }
            Material::Ec(point) => DecodingKey::from_ec_der(point),
            Material::Ed25519(key) => DecodingKey::from_ed_der(key),
        };
        let algorithm = name(algorithm);
        // Its verifiers are not `Send`: this one only shows that the key is good.
        match (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &key) {
            Ok(_) => Ok(Self { algorithm, key }),
            Err(error) => Err(ConfigError::unreadable("JWT key", "not a valid public key", error)),
        }
    }

    pub(crate) fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm, &self.key)
            .is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
    }
}

pub(super) fn name(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::HS384 => jsonwebtoken::Algorithm::HS384,
        Algorithm::HS512 => jsonwebtoken::Algorithm::HS512,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}
