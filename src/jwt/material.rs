//! Which keys are let in: the rules of RFC 7518, RFC 8725 section 3.5 and known mistakes.

use zeroize::Zeroizing;

use super::algorithm::{Algorithm, Family};
use super::der;
use super::signature::MAX_RSA_BITS;
use crate::ConfigError;

const WHAT: &str = "JWT key";
const MIN_RSA_BITS: usize = 2048;
const MAX_RSA_EXPONENT_LEN: usize = 4;

/// A secret with fewer different bytes was typed, not drawn.
const MIN_DISTINCT: usize = 8;

/// Secrets of sufficient length that stand in documentation and templates.
const PUBLISHED: [&str; 13] = [
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-384-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "your-secret-key-must-be-at-least-32-characters-long",
    "your-256-bit-secret-key-here-change-in-production",
    "your-256-bit-secret-key-here-minimum-32-characters",
    "your-secret-key-change-this-in-production",
    "12345678901234567890123456789012",
    "0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz123456",
    "abcdefghijklmnopqrstuvwxyz0123456789",
];

/// Ed25519 points of small order, the sign bit aside: whoever likes can sign for them.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    ends(0x01, 0x00, 0x00),
    ends(0xec, 0xff, 0x7f),
    ends(0xed, 0xff, 0x7f),
    ends(0xee, 0xff, 0x7f),
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
];

const fn ends(first: u8, inner: u8, last: u8) -> [u8; 32] {
    let mut bytes = [inner; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// A key in the form that every signature backend takes.
#[allow(dead_code, reason = "without a signature backend nobody reads the keys")]
pub(crate) enum Material {
    Secret(Zeroizing<Vec<u8>>),
    /// Big-endian, without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// `04 x y`
    Ec(Vec<u8>),
    Ed25519(Vec<u8>),
}

pub(crate) fn refused(reason: &'static str) -> ConfigError {
    ConfigError::unusable(WHAT, reason)
}

impl Material {
    /// A secret that somebody may have typed.
    pub(crate) fn typed(algorithm: Algorithm, secret: &[u8]) -> Result<Self, ConfigError> {
        if is_public_key(secret) {
            return Err(refused("a public key is no secret"));
        }
        let material = Self::secret(algorithm, secret)?;
        match distinct(secret) < MIN_DISTINCT {
            true => Err(refused("a trivial text")),
            false => Ok(material),
        }
    }

    /// The octets that make the key, in their order.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Secret(secret) => [secret.as_slice(), &[]],
            Self::Rsa { modulus, exponent } => [modulus.as_slice(), exponent],
            Self::Ec(key) | Self::Ed25519(key) => [key.as_slice(), &[]],
        }
    }

    pub(crate) fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, ConfigError> {
        if algorithm.family() != Family::Hmac {
            return Err(refused("a secret is for HS256, HS384 and HS512 only"));
        }
        if secret.len() < algorithm.hash_len() {
            return Err(refused("shorter than the hash of its algorithm (RFC 7518 section 3.2)"));
        }
        match PUBLISHED.iter().any(|known| known.as_bytes() == secret) {
            true => Err(refused("a published example")),
            false => Ok(Self::Secret(Zeroizing::new(secret.to_vec()))),
        }
    }

    /// A public key as it stands in a SubjectPublicKeyInfo: PKCS#1, point, or 32 bytes.
    pub(crate) fn public(algorithm: Algorithm, key: &[u8]) -> Result<Self, ConfigError> {
        match algorithm.family() {
            Family::Hmac => Err(refused("HMAC takes a secret, not a public key")),
            Family::Rsa => {
                let (modulus, exponent) =
                    der::rsa_public_key(key).ok_or(refused("not an RSA public key"))?;
                Self::rsa(modulus, exponent)
            }
            Family::Ec => Self::ec(algorithm, key),
            Family::Ed25519 => Self::ed25519(key),
        }
    }

    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, ConfigError> {
        let modulus = without_leading_zeros(modulus);
        let exponent = without_leading_zeros(exponent);
        let bits = bit_len(modulus);
        if bits < MIN_RSA_BITS {
            return Err(refused("RSA below 2048 bits (RFC 7518 section 3.3)"));
        }
        if bits > MAX_RSA_BITS {
            return Err(refused("RSA above what the signature backend takes"));
        }
        if !is_odd(modulus) || !is_odd(exponent) || exponent == [1] {
            return Err(refused("RSA modulus or exponent is even, or the exponent is 1"));
        }
        if exponent.len() > MAX_RSA_EXPONENT_LEN {
            return Err(refused("RSA exponent above 32 bits"));
        }
        Ok(Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// Whether the point is on the curve, the backend finds out.
    pub(crate) fn ec(algorithm: Algorithm, point: &[u8]) -> Result<Self, ConfigError> {
        match point {
            [4, xy @ ..] if xy.len() == 2 * algorithm.hash_len() => Ok(Self::Ec(point.to_vec())),
            _ => Err(refused("not an uncompressed point of the algorithm's curve")),
        }
    }

    pub(crate) fn ed25519(key: &[u8]) -> Result<Self, ConfigError> {
        let Ok(mut point) = <[u8; 32]>::try_from(key) else {
            return Err(refused("an Ed25519 public key has 32 bytes"));
        };
        point[31] &= 0x7f;
        match SMALL_ORDER.contains(&point) {
            true => Err(refused("an Ed25519 point of small order, for which anybody can sign")),
            false => Ok(Self::Ed25519(key.to_vec())),
        }
    }
}

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.into_iter().filter(|seen| *seen).count()
}

/// The mistake behind algorithm confusion (CVE-2017-11424 and others).
fn is_public_key(secret: &[u8]) -> bool {
    let text = secret.trim_ascii_start();
    text.starts_with(b"-----BEGIN") || text.starts_with(b"ssh-") || text.starts_with(b"ecdsa-sha2-")
}

fn without_leading_zeros(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    &integer[zeros..]
}

fn bit_len(integer: &[u8]) -> usize {
    integer.first().map_or(0, |first| integer.len() * 8 - first.leading_zeros() as usize)
}

fn is_odd(integer: &[u8]) -> bool {
    integer.last().is_some_and(|last| last & 1 == 1)
}
