//! The little DER that public keys need: SubjectPublicKeyInfo (RFC 5280, 5480, 8410) and PKCS#1.

use super::algorithm::Algorithm;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// AlgorithmIdentifiers, each with its tag and length.
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const P256: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

/// The key within a SubjectPublicKeyInfo for `algorithm`; none when `der` is anything else.
pub(crate) fn subject_public_key(algorithm: Algorithm, der: &[u8]) -> Option<&[u8]> {
    let info = only(SEQUENCE, der)?;
    let bits = only(BIT_STRING, info.strip_prefix(identifier(algorithm)?)?)?;
    bits.strip_prefix(&[0])
}

fn identifier(algorithm: Algorithm) -> Option<&'static [u8]> {
    Some(match algorithm {
        Algorithm::ES256 => P256,
        Algorithm::ES384 => P384,
        Algorithm::EdDSA => ED25519,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return None,
        _ => RSA,
    })
}

/// Modulus and exponent of a PKCS#1 `RSAPublicKey`.
pub(crate) fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (modulus, rest) = element(INTEGER, only(SEQUENCE, der)?)?;
    Some((positive(modulus)?, positive(only(INTEGER, rest)?)?))
}

fn positive(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, rest @ ..] => Some(rest),
        [first, ..] if *first < 0x80 => Some(integer),
        _ => None,
    }
}

fn only(tag: u8, der: &[u8]) -> Option<&[u8]> {
    element(tag, der).and_then(|(content, rest)| rest.is_empty().then_some(content))
}

fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match *der.strip_prefix(&[tag])? {
        [len, ref rest @ ..] if len < 0x80 => (usize::from(len), rest),
        [0x81, len, ref rest @ ..] if len >= 0x80 => (usize::from(len), rest),
        [0x82, high, low, ref rest @ ..] if high > 0 => {
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}
