//! Signatures made in pure Rust, by `jsonwebtoken`'s provider, which parses the key each time. RSA
//! keys only verify here.

use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::EllipticCurve;

use super::algorithm::{Algorithm, Family};
use super::material::{Material, refused};
use super::signature::name;
use crate::ConfigError;

/// A private key, wiped when it is dropped.
pub(crate) struct Signer {
    algorithm: jsonwebtoken::Algorithm,
    key: EncodingKey,
}

impl Signer {
    /// The key, and what verifies its signatures: PKCS#1 for RSA, PKCS#8 for the others.
    pub(crate) fn new(
        algorithm: Algorithm,
        key: &EncodingKey,
    ) -> Result<(Self, Material), ConfigError> {
        let material = public(algorithm, key.as_bytes())?;
        Ok((Self { algorithm: name(algorithm), key: key.clone() }, material))
    }

    /// `None` when the system has no random numbers, or the key can't sign.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signer = (DEFAULT_PROVIDER.signer_factory)(&self.algorithm, &self.key).ok()?;
        signer.try_sign(message).ok()
    }
}

fn public(algorithm: Algorithm, key: &[u8]) -> Result<Material, ConfigError> {
    let unusable = |_| refused("not a valid private key");
    let utils = &DEFAULT_PROVIDER.key_utils;
    match algorithm.family() {
        Family::Hmac => Material::typed(algorithm, key),
        // The time that it takes tells of the key: RUSTSEC-2023-0071.
        Family::Rsa => Err(refused("RSA signs with the feature aws_lc_rs only")),
        Family::Ec => {
            let (_, x, y) = (utils.ec_pub_components_from_private_key)(key, name(algorithm))
                .map_err(unusable)?;
            Material::ec(algorithm, &[&[4], x.as_slice(), y.as_slice()].concat())
        }
        Family::Ed25519 => {
            let x = (utils.ed_pub_components_from_private_key)(key, &EllipticCurve::Ed25519)
                .map_err(unusable)?;
            Material::ed25519(&x)
        }
    }
}
