//! From a token's text to a verified token.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::builder::JwtVerifierBuilder;
use super::claims::Rules;
use super::error::{JwtError, JwtErrorKind};
use super::header::{Header, media_type};
use super::remote::Waiting;
use super::source::KeySource;
use super::token::VerifiedToken;
use crate::{Clock, Timestamp};

/// Bytes of a decoded header that need no allocation.
const SMALL_HEADER: usize = 384;

/// Bytes of the longest signature: RSA of 8192 bits.
///
/// Rounded up to what the decoder wants for it.
const MAX_SIGNATURE: usize = 1026;

/// How many fetches of keys a token waits for: one that began before the token came may be too old
/// for it.
const MAX_FLIGHTS: usize = 2;

/// How far the verification of a token has come.
#[derive(Debug)]
pub(crate) enum Attempt {
    Ended(Result<VerifiedToken, JwtError>),
    Waits(Waiting),
}

/// Verifies the tokens of one issuer. Cheap to clone.
#[derive(Clone)]
pub struct JwtVerifier {
    pub(crate) keys: KeySource,
    pub(crate) rules: Arc<Rules>,
    /// Accepted `typ`s; the usual ones, and none, when empty.
    pub(crate) types: Arc<[String]>,
    pub(crate) max_length: usize,
}

impl JwtVerifier {
    /// Starts the configuration: tokens of `issuer` that are meant for `audience`, both compared
    /// exactly.
    pub fn builder(issuer: impl Into<Arc<str>>, audience: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(issuer.into(), audience.into())
    }

    /// Verifies a token: its form, header, signature and claims, at the time `now`.
    ///
    /// # Errors
    ///
    /// [`JwtErrorKind::Expired`] when the token is good but its time has passed, another kind when
    /// it is bad, [`JwtErrorKind::KeysUnavailable`] when the issuer's keys are not at hand.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, JwtError> {
        let payload = self.verify_signature(token)?;
        let claims = String::from_utf8(payload).map_err(|error| {
            JwtError::malformed("the claims are not UTF-8").caused_by(error.utf8_error())
        })?;
        self.rules.admit(claims, now)
    }

    /// [`verify`](Self::verify) at the time that `clock` tells; where the token's key is not at hand,
    /// a fetch of the issuer's keys is waited for. [`remote`](super::remote) says when, and for how
    /// long.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify); [`JwtErrorKind::KeysUnavailable`] when the keys can't be had.
    pub async fn verify_or_fetch(
        &self,
        token: &str,
        clock: &dyn Clock,
    ) -> Result<VerifiedToken, JwtError> {
        match self.try_verify(token, clock.now()) {
            Attempt::Ended(outcome) => outcome,
            Attempt::Waits(wait) => self.resume(wait, token, clock).await,
        }
    }

    /// Verifies with the keys at hand, or says what has to be waited for.
    pub(crate) fn try_verify(&self, token: &str, now: Timestamp) -> Attempt {
        match self.verify(token, now) {
            // A token that its claims condemn is not worth a fetch.
            Err(error) if error.lacks_key() && self.would_admit(token, now) => self.keys.ask(error),
            outcome => Attempt::Ended(outcome),
        }
    }

    /// Waits, and goes on where [`try_verify`](Self::try_verify) stopped.
    pub(crate) async fn resume(
        &self,
        wait: Waiting,
        token: &str,
        clock: &dyn Clock,
    ) -> Result<VerifiedToken, JwtError> {
        let mut attempt = Attempt::Waits(wait);
        for _ in 0..MAX_FLIGHTS {
            let Attempt::Waits(wait) = &mut attempt else { break };
            wait.await;
            attempt = self.try_verify(token, clock.now());
        }
        match attempt {
            Attempt::Ended(outcome) => outcome,
            Attempt::Waits(wait) => Err(wait.give_up()),
        }
    }

    /// Whether the claims are good, if the signature were.
    fn would_admit(&self, token: &str, now: Timestamp) -> bool {
        let payload = Parts::split(token).ok().map(|parts| URL_SAFE_NO_PAD.decode(parts.payload));
        let claims = payload.and_then(Result::ok).and_then(|claims| String::from_utf8(claims).ok());
        claims.is_some_and(|claims| self.rules.admit(claims, now).is_ok())
    }

    /// Verifies form, header and signature only, and returns the payload's bytes.
    ///
    /// Nothing of the claims is looked at, neither `exp` nor `aud`: this is for signed content that
    /// is no claims set. To authenticate a caller, use [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// Any kind but those of the claims and the time.
    pub fn verify_signature(&self, token: &str) -> Result<Vec<u8>, JwtError> {
        if token.len() > self.max_length {
            return Err(JwtError::malformed("the token is too long"));
        }
        let parts = Parts::split(token)?;
        self.check_signed(&parts)?;
        URL_SAFE_NO_PAD.decode(parts.payload).map_err(not_base64url)
    }

    fn check_signed(&self, parts: &Parts<'_>) -> Result<(), JwtError> {
        let (mut small, mut large) = ([0; SMALL_HEADER], Vec::new());
        let header = Header::parse(decode_header(parts.header, &mut small, &mut large)?)?;
        self.check_type(header.typ()?)?;
        let (kid, algorithm) = (header.kid()?, header.algorithm());
        let mut buffer = [0; MAX_SIGNATURE];
        let signature = decode(parts.signature, &mut buffer)?;
        let signed = parts.signed.as_bytes();
        match self.keys.with(|keys| Ok(keys.find(kid, algorithm)?.is_signed(signed, signature)))? {
            true => Ok(()),
            false => Err(JwtError::new(JwtErrorKind::Signature, "the signature is not the key's")),
        }
    }

    /// RFC 8725 section 3.11: tokens of other kinds are told apart by `typ`.
    fn check_type(&self, typ: Option<&str>) -> Result<(), JwtError> {
        let is = |known: &str| {
            typ.is_some_and(|typ| media_type(typ).eq_ignore_ascii_case(media_type(known)))
        };
        let accepted = match &*self.types {
            [] => typ.is_none() || is("JWT") || is("at+jwt"),
            types => types.iter().any(|known| is(known)),
        };
        match accepted {
            true => Ok(()),
            false => Err(JwtError::malformed("typ: a token of another kind")),
        }
    }
}

/// The parts of a compact serialization, still encoded.
struct Parts<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    signed: &'t str,
}

impl<'t> Parts<'t> {
    fn split(token: &'t str) -> Result<Self, JwtError> {
        const REASON: JwtError = JwtError::malformed("not three parts with a dot between them");
        let (signed, signature) = token.rsplit_once('.').ok_or(REASON)?;
        let (header, payload) = signed.split_once('.').ok_or(REASON)?;
        match payload.contains('.') {
            true => Err(REASON),
            false => Ok(Self { header, payload, signature, signed }),
        }
    }
}

fn decode_header<'b>(
    header: &str,
    small: &'b mut [u8; SMALL_HEADER],
    large: &'b mut Vec<u8>,
) -> Result<&'b [u8], JwtError> {
    if base64::decoded_len_estimate(header.len()) <= small.len() {
        return decode(header, small);
    }
    large.resize(base64::decoded_len_estimate(header.len()), 0);
    decode(header, large)
}

fn decode<'b>(part: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], JwtError> {
    match URL_SAFE_NO_PAD.decode_slice(part, buffer) {
        Ok(len) => Ok(&buffer[..len]),
        Err(error) => Err(not_base64url(error)),
    }
}

/// The decoder's error would quote a character of the token, so it is no source.
fn not_base64url<E>(_: E) -> JwtError {
    JwtError::malformed("a part is not canonical base64url, or a signature is too long")
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("issuer", &self.rules.issuer)
            .field("audiences", &self.rules.audiences)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// Tells a token from an API key, which has no dot.
pub(crate) fn looks_like_jwt(text: &[u8]) -> bool {
    text.contains(&b'.')
}

#[cfg(test)]
mod tests {
    use super::looks_like_jwt;

    #[test]
    fn what_has_a_dot_looks_like_a_jwt() {
        assert!(looks_like_jwt(b"a.b.c"));
        assert!(!looks_like_jwt(b"cvt_live_0123456789"));
    }
}
