//! A key with which tokens are signed.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use sha2::{Digest, Sha256};

use super::algorithm::{Algorithm, Family};
use super::key::JwtKey;
use super::material::{Material, refused};
use super::signing::Signer;
use crate::ConfigError;

/// A key that signs the tokens of a [`JwtIssuer`](super::JwtIssuer), for exactly one algorithm.
///
/// It is judged like a [`JwtKey`] when it is made. A private key has an id from the start: the
/// thumbprint of its public key (RFC 7638). A secret has none until it is
/// [given](Self::with_kid) one: whatever is made from it would help to guess it.
#[derive(Clone)]
pub struct SigningKey {
    signer: Arc<Signer>,
    verifying: JwtKey,
    /// The members of its JWK that make the key, in the order of RFC 7638; none for a secret.
    members: Option<Arc<str>>,
}

impl SigningKey {
    /// A secret shared by all who verify, for HS256, HS384 or HS512.
    ///
    /// # Errors
    ///
    /// As [`JwtKey::secret`].
    pub fn secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        if algorithm.family() != Family::Hmac {
            return Err(refused("a secret is for HS256, HS384 and HS512 only"));
        }
        Self::new(algorithm, &EncodingKey::from_secret(secret.as_ref()))
    }

    /// A private key in PEM: PKCS#8 (`PRIVATE KEY`), or PKCS#1 (`RSA PRIVATE KEY`).
    ///
    /// ```sh
    /// openssl genpkey -algorithm ed25519
    /// openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256
    /// openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048
    /// ```
    ///
    /// # Errors
    ///
    /// When it can't be read, is not for the algorithm, or is too weak. With the feature `rust_crypto`
    /// alone, when it is an RSA key: that backend's RSA leaks the private key through its timing
    /// (RUSTSEC-2023-0071).
    pub fn pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        const UNREADABLE: &str = "not the PEM (PKCS#8) of a private key for the algorithm";
        let key = match algorithm.family() {
            Family::Hmac => return Err(refused("HMAC takes a secret, not a private key")),
            Family::Rsa => EncodingKey::from_rsa_pem(pem.as_ref()),
            Family::Ec => EncodingKey::from_ec_pem(pem.as_ref()),
            Family::Ed25519 => EncodingKey::from_ed_pem(pem.as_ref()),
        };
        // The library's error says no more, and nobody knows whether it will quote the key one day.
        Self::new(algorithm, &key.map_err(|_| refused(UNREADABLE))?)
    }

    fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Self, ConfigError> {
        let (signer, material) = Signer::new(algorithm, key)?;
        let verifying = JwtKey::new(algorithm, &material)?;
        let members = members(algorithm, &material);
        let key = Self { signer: Arc::new(signer), verifying, members };
        Ok(match key.thumbprint() {
            Some(print) => key.with_kid(print),
            None => key,
        })
    }

    /// The same key under another key id, of 1 to 256 bytes.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<Arc<str>>) -> Self {
        self.verifying = self.verifying.with_kid(kid);
        self
    }

    /// The key that verifies what this one signs.
    pub fn verifying(&self) -> &JwtKey {
        &self.verifying
    }

    /// The public key as JWK (RFC 7517); none for a secret.
    pub fn public_jwk(&self) -> Option<String> {
        let (algorithm, members) = (self.verifying.algorithm(), self.members.as_ref()?);
        let kid = serde_json::to_string(self.verifying.kid()?).ok()?;
        Some(format!(r#"{{{members},"kid":{kid},"use":"sig","alg":"{algorithm}"}}"#))
    }

    fn thumbprint(&self) -> Option<String> {
        let members = self.members.as_ref()?;
        Some(URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{{{members}}}"))))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.signer.sign(message)
    }
}

fn members(algorithm: Algorithm, material: &Material) -> Option<Arc<str>> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let members = match material {
        Material::Secret(_) => return None,
        Material::Rsa { modulus, exponent } => {
            format!(r#""e":"{}","kty":"RSA","n":"{}""#, encode(exponent), encode(modulus))
        }
        Material::Ec(point) => {
            let (x, y) = point.get(1..)?.split_at_checked(algorithm.hash_len())?;
            let curve = if algorithm == Algorithm::ES384 { "P-384" } else { "P-256" };
            format!(r#""crv":"{curve}","kty":"EC","x":"{}","y":"{}""#, encode(x), encode(y))
        }
        Material::Ed25519(x) => format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, encode(x)),
    };
    Some(members.into())
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verifying", &self.verifying).finish_non_exhaustive()
    }
}
