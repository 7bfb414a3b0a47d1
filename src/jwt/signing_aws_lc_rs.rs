//! Signatures made by AWS-LC. The key is parsed once.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
    RsaPublicKeyComponents,
};
use jsonwebtoken::EncodingKey;

use super::algorithm::{Algorithm, Family};
use super::material::{Material, refused};
use super::signature::mac;
use crate::ConfigError;

/// A private key. It is in AWS-LC's memory, which is wiped when it is freed.
pub(crate) enum Signer {
    Secret(Box<hmac::Key>),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// The key, and what verifies its signatures: PKCS#1 for RSA, PKCS#8 for the others.
    pub(crate) fn new(
        algorithm: Algorithm,
        key: &EncodingKey,
    ) -> Result<(Self, Material), ConfigError> {
        let key = key.as_bytes();
        match algorithm.family() {
            Family::Hmac => {
                let signer = Self::Secret(Box::new(hmac::Key::new(mac(algorithm), key)));
                Ok((signer, Material::typed(algorithm, key)?))
            }
            Family::Rsa => {
                let pair = RsaKeyPair::from_der(key).map_err(unusable)?;
                let public: RsaPublicKeyComponents<Vec<u8>> = pair.public_key().into();
                let material = Material::rsa(&public.n, &public.e)?;
                Ok((Self::Rsa(pair, encoding(algorithm)), material))
            }
            Family::Ec => {
                let pair = EcdsaKeyPair::from_pkcs8(curve(algorithm), key).map_err(unusable)?;
                let material = Material::ec(algorithm, pair.public_key().as_ref())?;
                Ok((Self::Ec(pair), material))
            }
            Family::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8(key).map_err(unusable)?;
                let material = Material::ed25519(pair.public_key().as_ref())?;
                Ok((Self::Ed25519(pair), material))
            }
        }
    }

    /// `None` when the system has no random numbers, or the key can't sign.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(pair) => pair.sign(&random, message).ok().map(|s| s.as_ref().to_vec()),
            Self::Ed25519(pair) => pair.try_sign(message).ok().map(|s| s.as_ref().to_vec()),
        }
    }
}

fn unusable(_: aws_lc_rs::error::KeyRejected) -> ConfigError {
    refused("not a valid private key")
}

fn encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_SHA512,
        Algorithm::PS384 => &signature::RSA_PSS_SHA384,
        Algorithm::PS256 => &signature::RSA_PSS_SHA256,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

fn curve(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}
