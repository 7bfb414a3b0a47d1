//! One key of an issuer, bound to one algorithm.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use sha2::{Digest, Sha256};

use super::algorithm::{Algorithm, Family};
use super::der;
use super::jwk::Jwk;
use super::material::{Material, refused};
use super::signature;
use crate::ConfigError;

/// A key that verifies tokens, for exactly one algorithm (RFC 8725 section 3.1).
///
/// Weak and mistaken keys are refused here, at start-up: secrets shorter than the hash or known from
/// documentation, RSA outside 2048 to 8192 bits (4096 with `rust_crypto`) or with an even or trivial
/// exponent, points off the curve, JWKs meant for something else.
#[derive(Clone)]
pub struct JwtKey {
    kid: Option<Arc<str>>,
    core: Arc<Core>,
}

struct Core {
    algorithm: Algorithm,
    signature: signature::Key,
    print: Fingerprint,
}

/// Tells keys apart by what they are: one that is read anew from a key set is the same key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(algorithm: Algorithm, material: &Material) -> Self {
        let mut hash = Sha256::new_with_prefix(algorithm.name());
        for part in material.parts() {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl JwtKey {
    /// A secret shared with the issuer, for HS256, HS384 or HS512.
    ///
    /// # Errors
    ///
    /// When the algorithm is not HMAC, or the secret is shorter than its hash (32, 48, 64 bytes), a
    /// published example, a trivial text, or the text of a public key.
    pub fn secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::new(algorithm, &Material::typed(algorithm, secret.as_ref())?)
    }

    /// A public key in PEM: `PUBLIC KEY`, `RSA PUBLIC KEY`, or the key of a `CERTIFICATE`, whose
    /// validity is not looked at. One key, not a bundle.
    ///
    /// # Errors
    ///
    /// When it can't be read, is not for the algorithm, is private, or is too weak.
    pub fn pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        const UNREADABLE: &str = "not the PEM of one public key for the algorithm";
        let pem = pem.as_ref();
        if pem.windows(10).filter(|window| window == b"-----BEGIN").count() != 1 {
            return Err(refused(UNREADABLE));
        }
        let key = match algorithm.family() {
            Family::Hmac => return Err(refused("HMAC takes a secret, not a public key")),
            Family::Rsa => DecodingKey::from_rsa_pem(pem),
            Family::Ec => DecodingKey::from_ec_pem(pem),
            Family::Ed25519 => DecodingKey::from_ed_pem(pem),
        };
        let unreadable = |error| ConfigError::unreadable("JWT key", UNREADABLE, error);
        let key = key.map_err(unreadable)?;
        let key = key.try_get_as_bytes().map_err(unreadable)?;
        Self::new(algorithm, &Material::public(algorithm, key)?)
    }

    /// A public key in DER: a SubjectPublicKeyInfo, or the bare key (PKCS#1 for RSA, the
    /// uncompressed point for ECDSA, 32 bytes for Ed25519).
    ///
    /// # Errors
    ///
    /// When it can't be read, is not for the algorithm, or is too weak.
    pub fn der(algorithm: Algorithm, der: &[u8]) -> Result<Self, ConfigError> {
        let key = der::subject_public_key(algorithm, der).unwrap_or(der);
        Self::new(algorithm, &Material::public(algorithm, key)?)
    }

    /// A JSON Web Key (RFC 7517), its `kid` included; private members are ignored.
    ///
    /// The algorithm is the JWK's `alg`, or that of its curve.
    ///
    /// # Errors
    ///
    /// When it is no JWK, has neither `alg` nor a curve that implies one, has a `use` other than
    /// `sig` or `key_ops` without `verify`, or holds a key that is too weak.
    pub fn jwk(json: &str) -> Result<Self, ConfigError> {
        let jwk = Jwk::parse(json)?;
        Self::from_jwk(jwk.algorithm()?, &jwk)
    }

    /// A JSON Web Key that doesn't say its algorithm, with the algorithm that it is for.
    ///
    /// # Errors
    ///
    /// As [`jwk`](Self::jwk), and when the JWK names another algorithm.
    pub fn jwk_as(algorithm: Algorithm, json: &str) -> Result<Self, ConfigError> {
        Self::from_jwk(algorithm, &Jwk::parse(json)?)
    }

    pub(super) fn from_jwk(algorithm: Algorithm, jwk: &Jwk) -> Result<Self, ConfigError> {
        let key = Self::new(algorithm, &jwk.material(algorithm)?)?;
        Ok(Self { kid: jwk.kid().map(Arc::from), ..key })
    }

    pub(super) fn new(algorithm: Algorithm, material: &Material) -> Result<Self, ConfigError> {
        let signature = signature::Key::new(algorithm, material)?;
        let print = Fingerprint::of(algorithm, material);
        Ok(Self { kid: None, core: Arc::new(Core { algorithm, signature, print }) })
    }

    /// The same key under a key id: tokens with this `kid` are checked with it.
    ///
    /// The id has 1 to 256 bytes; [`build`](super::JwtVerifierBuilder::build) refuses others.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<Arc<str>>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// The algorithm that the key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.core.algorithm
    }

    /// The key id.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What the key is, whatever its key id.
    pub(crate) fn print(&self) -> Fingerprint {
        self.core.print
    }

    pub(crate) fn is_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.core.signature.is_signed(message, signature)
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey")
            .field("algorithm", &self.algorithm())
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
