//! Signatures checked by AWS-LC. The key is parsed once.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};

use super::algorithm::Algorithm;
use super::material::Material;
use crate::ConfigError;

pub(crate) const MAX_RSA_BITS: usize = 8192;

#[derive(Clone)]
pub(crate) enum Key {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Key {
    pub(crate) fn new(algorithm: Algorithm, material: &Material) -> Result<Self, ConfigError> {
        let key = match material {
            Material::Secret(secret) => {
                return Ok(Self::Secret(Box::new(hmac::Key::new(mac(algorithm), secret))));
            }
            Material::Rsa { modulus, exponent } => {
                RsaPublicKeyComponents { n: modulus, e: exponent }
                    .to_parsed_public_key(rsa(algorithm))
            }
            Material::Ec(key) | Material::Ed25519(key) => {
                ParsedPublicKey::new(curve(algorithm), key)
            }
        };
        key.map(Self::Public)
            .map_err(|error| ConfigError::unreadable("JWT key", "not a valid public key", error))
    }

    pub(crate) fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

pub(super) fn mac(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::HS512 => hmac::HMAC_SHA512,
        Algorithm::HS384 => hmac::HMAC_SHA384,
        _ => hmac::HMAC_SHA256,
    }
}

fn rsa(algorithm: Algorithm) -> &'static RsaParameters {
    match algorithm {
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        _ => &signature::RSA_PKCS1_2048_8192_SHA256,
    }
}

fn curve(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        _ => &signature::ED25519,
    }
}
