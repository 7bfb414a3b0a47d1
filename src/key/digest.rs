//! What a store knows of a key: its SHA-256 digest.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::ConfigError;

/// The SHA-256 digest of a whole key, prefix and checksum included.
///
/// A fast hash is right here: a key has at least 160 random bits, which nobody can try out (OWASP
/// ASVS 5.0, 6.5.2). It is compared in constant time.
#[derive(Clone, Copy, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(align(8))]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of `key`.
    pub fn of(key: &str) -> Self {
        Self::of_bytes(key.as_bytes())
    }

    pub(crate) fn of_bytes(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// A digest that a store has kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A digest that was kept elsewhere as 64 hexadecimal digits of either case.
    ///
    /// # Errors
    ///
    /// When `text` is anything else. The error does not show it.
    pub fn from_hex(text: &str) -> Result<Self, ConfigError> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(ConfigError::unusable("key digest", "not 64 hexadecimal digits"));
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(bytes))
    }

    /// A digest that was kept elsewhere in base64 (RFC 4648 section 4) or base64url (section 5),
    /// with its padding or without.
    ///
    /// # Errors
    ///
    /// When `text` is anything else: white space, both alphabets in one, bits after the end, other
    /// than 32 bytes. The error does not show it.
    pub fn from_base64(text: &str) -> Result<Self, ConfigError> {
        let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        let mut bytes = [0; 33];
        match strict(alphabet).decode_slice(text, &mut bytes) {
            Ok(32) => bytes.first_chunk().copied().map(Self),
            _ => None,
        }
        .ok_or_else(|| ConfigError::unusable("key digest", "not 32 bytes in base64"))
    }

    /// The digest's bytes, the primary key of a store's table.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.words().into_iter().zip(other.words());
        let differing = pairs.fold(0, |differing, (a, b)| differing | (a ^ b));
        differing.ct_eq(&0).into()
    }
}

impl KeyDigest {
    /// Four steps to compare instead of thirty-two, none of which depends on what was found.
    pub(crate) fn words(&self) -> [u64; 4] {
        let (words, _) = self.0.as_chunks();
        std::array::from_fn(|index| u64::from_ne_bytes(words[index]))
    }
}

fn nibble(digit: u8) -> Result<u8, ConfigError> {
    let value = char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.ok_or_else(|| ConfigError::unusable("key digest", "not 64 hexadecimal digits"))
}

fn strict(alphabet: &Alphabet) -> GeneralPurpose {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

impl Hash for KeyDigest {
    /// Half of it: a keyed hash costs by the piece, and no two digests share a half by chance.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (halves, _) = self.0.as_chunks();
        state.write_u128(u128::from_ne_bytes(halves[0]));
    }
}

impl fmt::Debug for KeyDigest {
    /// The first four bytes: enough to tell two apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "KeyDigest({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}
