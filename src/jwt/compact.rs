//! The compact serialization (RFC 7515 section 7.1): three parts in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::{JwtError, JwtErrorKind};
use super::key::JwtKey;

/// Bytes of a decoded header that need no allocation.
const SMALL_HEADER: usize = 256;

/// Bytes of a signature that is not RSA's, rounded up.
const SMALL_SIGNATURE: usize = 99;

/// Bytes of the longest signature: RSA of 8192 bits.
///
/// Rounded up to what the decoder wants for it.
const MAX_SIGNATURE: usize = 1026;

/// The parts of a compact serialization, still encoded. What is no letter of base64url is found when
/// they are decoded.
pub(crate) struct Parts<'t> {
    pub(crate) header: &'t [u8],
    payload: &'t [u8],
    signature: &'t [u8],
    signed: &'t [u8],
}

impl<'t> Parts<'t> {
    #[inline]
    pub(crate) fn split(token: &'t [u8]) -> Result<Self, JwtError> {
        let mut dots = memchr::memchr_iter(b'.', token);
        match (dots.next(), dots.next(), dots.next()) {
            (Some(first), Some(second), None) => Self::cut(token, first, second),
            _ => None,
        }
        .ok_or(JwtError::malformed("not three parts with a dot between them"))
    }

    fn cut(token: &'t [u8], first: usize, second: usize) -> Option<Self> {
        Some(Self {
            header: token.get(..first)?,
            payload: token.get(first + 1..second)?,
            signature: token.get(second + 1..)?,
            signed: token.get(..second)?,
        })
    }

    /// Whether `key` has signed the header and the payload as they stand here.
    pub(crate) fn check_signed(&self, key: &JwtKey) -> Result<(), JwtError> {
        match base64::decoded_len_estimate(self.signature.len()) {
            ..=SMALL_SIGNATURE => self.check_signature(key, &mut [0; SMALL_SIGNATURE]),
            _ => self.check_signature(key, &mut [0; MAX_SIGNATURE]),
        }
    }

    fn check_signature(&self, key: &JwtKey, buffer: &mut [u8]) -> Result<(), JwtError> {
        let signature = decode(self.signature, buffer)?;
        match key.is_signed(self.signed, signature) {
            true => Ok(()),
            false => Err(JwtError::new(JwtErrorKind::Signature, "the signature is not the key's")),
        }
    }

    pub(crate) fn payload(&self) -> Result<Vec<u8>, JwtError> {
        // Memory that is asked for zeroed comes by a slower road than that which is zeroed afterwards.
        let mut payload = Vec::with_capacity(base64::decoded_len_estimate(self.payload.len()));
        URL_SAFE_NO_PAD.decode_vec(self.payload, &mut payload).map_err(not_base64url)?;
        Ok(payload)
    }

    /// The decoded header, in one of the buffers.
    pub(crate) fn header<'b>(&self, buffers: &'b mut Buffers) -> Result<&'b [u8], JwtError> {
        let Buffers { small, large } = buffers;
        let length = base64::decoded_len_estimate(self.header.len());
        if length <= small.len() {
            return decode(self.header, small);
        }
        large.resize(length, 0);
        decode(self.header, large)
    }
}

/// Room for a header: most are small.
pub(crate) struct Buffers {
    small: [u8; SMALL_HEADER],
    large: Vec<u8>,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self { small: [0; SMALL_HEADER], large: Vec::new() }
    }
}

fn decode<'b>(part: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], JwtError> {
    match URL_SAFE_NO_PAD.decode_slice(part, buffer) {
        Ok(len) => Ok(&buffer[..len]),
        Err(error) => Err(not_base64url(error)),
    }
}

/// The decoder's error would quote a character of the token, so it is no source.
fn not_base64url<E>(_: E) -> JwtError {
    JwtError::malformed("a part is not canonical base64url, or a signature is too long")
}
