//! JSON Web Keys (RFC 7517): which of them may verify tokens.
//!
//! `jsonwebtoken`'s own type can't tell `Ed25519` (RFC 9864) from a name that doesn't exist.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::algorithm::{Algorithm, Family};
use super::material::{Material, refused};
use crate::ConfigError;

/// The members that matter for verifying; private ones are ignored.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Jwk {
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    kid: Option<String>,
    crv: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
}

impl Jwk {
    pub(crate) fn parse(json: &str) -> Result<Self, ConfigError> {
        const REASON: &str = "not a JWK (RFC 7517 section 4)";
        // serde would take a list of the members' values, too.
        if !json.trim_start().starts_with('{') {
            return Err(refused(REASON));
        }
        // serde_json's error can quote the key.
        let jwk: Self = serde_json::from_str(json).map_err(|_| refused(REASON))?;
        jwk.check_purpose()?;
        Ok(jwk)
    }

    /// Of `allowed`, the algorithms that the key may serve: its own, or where it names none, all of
    /// its type.
    pub(crate) fn serves(&self, allowed: &[Algorithm]) -> Vec<Algorithm> {
        let serves = |algorithm: &&Algorithm| match (self.kty.as_str(), &self.alg) {
            ("RSA", None) => takes_rsa(**algorithm),
            _ => self.algorithm().is_ok_and(|own| own == **algorithm),
        };
        allowed.iter().filter(serves).copied().collect()
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.kty == "oct"
    }

    pub(crate) fn is_private(&self) -> bool {
        self.d.is_some()
    }

    /// True if both hold the same public key, whatever they say of it.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        let parts = |jwk: &Self| [&jwk.crv, &jwk.n, &jwk.e, &jwk.x, &jwk.y].map(Clone::clone);
        self.kty == other.kty && parts(self) == parts(other)
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithm that the key itself names, by `alg` or by its curve.
    pub(crate) fn algorithm(&self) -> Result<Algorithm, ConfigError> {
        match (&self.alg, self.crv.as_deref()) {
            (Some(alg), _) => {
                Algorithm::named(alg).ok_or(refused("JWK with an alg that doesn't sign JWTs"))
            }
            (None, Some("P-256")) => Ok(Algorithm::ES256),
            (None, Some("P-384")) => Ok(Algorithm::ES384),
            (None, Some("Ed25519")) => Ok(Algorithm::EdDSA),
            (None, _) => Err(refused("JWK without alg, and no curve that implies it")),
        }
    }

    pub(crate) fn material(&self, algorithm: Algorithm) -> Result<Material, ConfigError> {
        if self.alg.is_some() && self.algorithm()? != algorithm {
            return Err(refused("JWK for another algorithm"));
        }
        match (self.kty.as_str(), self.crv.as_deref(), algorithm) {
            ("oct", _, _) => Material::secret(algorithm, &bytes(&self.k)?),
            ("RSA", _, _) if takes_rsa(algorithm) => {
                Material::rsa(&bytes(&self.n)?, &bytes(&self.e)?)
            }
            ("EC", Some("P-256"), Algorithm::ES256) | ("EC", Some("P-384"), Algorithm::ES384) => {
                Material::ec(algorithm, &self.point(algorithm.hash_len())?)
            }
            ("OKP", Some("Ed25519"), Algorithm::EdDSA) => Material::ed25519(&bytes(&self.x)?),
            _ => Err(refused("JWK whose kty or crv is not that of the algorithm")),
        }
    }

    /// Each coordinate has the full length of the field (RFC 7518 section 6.2.1.2).
    fn point(&self, len: usize) -> Result<Vec<u8>, ConfigError> {
        let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
        match x.len() == len && y.len() == len {
            true => Ok([&[4], x.as_slice(), y.as_slice()].concat()),
            false => Err(refused("JWK with a coordinate of the wrong length")),
        }
    }

    /// RFC 7517 sections 4.2 and 4.3; where both are present they must agree.
    fn check_purpose(&self) -> Result<(), ConfigError> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(refused("JWK whose use is not sig"));
        }
        let Some(ops) = &self.key_ops else { return Ok(()) };
        let signs = |op: &String| op == "verify" || op == "sign";
        match ops.iter().any(|op| op == "verify") && (self.usage.is_none() || ops.iter().all(signs))
        {
            true => Ok(()),
            false => Err(refused("JWK whose key_ops are not those of a verifying key")),
        }
    }
}

fn takes_rsa(algorithm: Algorithm) -> bool {
    algorithm.family() == Family::Rsa
}

fn bytes(member: &Option<String>) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let text = member.as_deref().ok_or(refused("JWK without a member of its kty"))?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_| refused("JWK with a member that is not base64url"))
}
