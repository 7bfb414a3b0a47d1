//! From a token's text to a verified token.

use std::fmt;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::builder::JwtVerifierBuilder;
use super::cache::{Seen, TokenCache};
use super::claims::Rules;
use super::compact::{Buffers, Parts};
use super::error::{JwtError, JwtErrorKind};
use super::header::{Header, is_media_type};
use super::key::{Fingerprint, JwtKey};
use super::keys::KeySet;
use super::remote::Waiting;
use super::revocation::Revocations;
use super::source::KeySource;
use super::token::VerifiedToken;
use crate::store::StoreError;
use crate::{Clock, Timestamp};

/// How many fetches of keys a token waits for: one that began before the token came may be too old
/// for it.
const MAX_FLIGHTS: usize = 2;

/// How far the verification of a token has come.
#[derive(Debug)]
pub(crate) enum Attempt {
    Ended(Result<VerifiedToken, JwtError>),
    /// For keys.
    Waits(Waiting),
    /// Whether it is revoked has to be asked for.
    Unsure(VerifiedToken),
}

impl From<Result<Admitted, JwtError>> for Attempt {
    fn from(admitted: Result<Admitted, JwtError>) -> Self {
        match admitted {
            Ok(Admitted::Good(token)) => Self::Ended(Ok(token)),
            Ok(Admitted::Unsure(token)) => Self::Unsure(token),
            Err(error) => Self::Ended(Err(error)),
        }
    }
}

/// Verifies the tokens of one issuer. Cheap to clone.
///
/// Most hand it to a gate, by [`AuthLayer::jwt`](crate::AuthLayer::jwt). Who verifies without one asks
///
/// | | where |
/// | --- | --- |
/// | [`verify`](Self::verify) | all keys and revocations are in memory |
/// | [`verify_and_ask`](Self::verify_and_ask) | [`Revocations`] have to be asked for |
/// | [`verify_or_fetch`](Self::verify_or_fetch) | the issuer [publishes](super::remote) its keys |
///
/// ```
/// use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
/// use keygate::{AuthLayer, store::MemoryStore};
///
/// # let secret = "0123456789abcdefghijklmnopqrstuv";
/// let key = JwtKey::secret(Algorithm::HS256, secret)?; // of 32 bytes or more
/// let verifier = JwtVerifier::builder("https://id.example.com", "https://api.example.com")
///     .key(key)
///     .build()?;
/// let gate = AuthLayer::new(MemoryStore::new()).jwt(verifier);
/// # let _ = gate;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct JwtVerifier {
    pub(crate) keys: KeySource,
    pub(crate) rules: Arc<Rules>,
    /// Accepted `typ`s; those of the profile when empty.
    pub(crate) types: Arc<[String]>,
    pub(crate) max_length: usize,
    pub(crate) cache: Option<Arc<TokenCache>>,
    pub(crate) revocations: Option<Arc<dyn Revocations>>,
}

/// The key that has signed a token.
struct Signer {
    algorithm: Algorithm,
    print: Fingerprint,
}

impl Signer {
    fn of(key: &JwtKey) -> Self {
        Self { algorithm: key.algorithm(), print: key.print() }
    }
}

/// A token that is good, as far as is known without asking.
pub(crate) enum Admitted {
    Good(VerifiedToken),
    /// Whether it is revoked has to be asked for.
    Unsure(VerifiedToken),
}

impl JwtVerifier {
    /// Starts the configuration: tokens of `issuer` that are meant for `audience`, both compared
    /// exactly.
    pub fn builder(issuer: impl Into<Arc<str>>, audience: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(issuer.into(), audience.into())
    }

    /// Verifies a token: its form, header, signature and claims, at the time `now`, and that it is
    /// not revoked.
    ///
    /// # Errors
    ///
    /// [`JwtErrorKind::Expired`] when the token is good but its time has passed,
    /// [`JwtErrorKind::KeysUnavailable`] when the issuer's keys are not at hand,
    /// [`JwtErrorKind::RevocationsUnavailable`] when it is good but it can't be told here whether it
    /// is revoked, another kind when it is bad.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, JwtError> {
        match self.admit(token.as_bytes(), now)? {
            Admitted::Good(token) => Ok(token),
            Admitted::Unsure(_) => Err(JwtError::new(
                JwtErrorKind::RevocationsUnavailable,
                "whether the token is revoked has to be asked for",
            )),
        }
    }

    /// The same, and asks [`Revocations`] where memory can't tell.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub async fn verify_and_ask(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<VerifiedToken, JwtError> {
        self.settle(self.admit(token.as_bytes(), now).into(), || now).await
    }

    /// Everything that can be judged without waiting.
    pub(crate) fn admit(&self, token: &[u8], now: Timestamp) -> Result<Admitted, JwtError> {
        let token = self.prove(token, now)?;
        let Some(revocations) = &self.revocations else { return Ok(Admitted::Good(token)) };
        match revocations.peek(&token) {
            Some(answer) => unless_revoked(token, answer).map(Admitted::Good),
            None => Ok(Admitted::Unsure(token)),
        }
    }

    /// Everything but revocation, from memory if the token was verified before.
    fn prove(&self, token: &[u8], now: Timestamp) -> Result<VerifiedToken, JwtError> {
        // Asked for before the key is: one that is withdrawn meanwhile belongs to no later number.
        let generation = self.keys.generation(now);
        let (Some(cache), Some(generation)) = (&self.cache, generation) else {
            return self.prove_anew(token, now).map(|seen| seen.verified);
        };
        let is_trusted = |print| self.signer_of(token).is_ok_and(|signer| signer.print == print);
        if let Some(known) = cache.find(token, generation, is_trusted) {
            return self.rules.check_time(known.facts(), now).map(|()| known);
        }
        let seen = self.prove_anew(token, now)?;
        let verified = seen.verified.clone();
        cache.keep(token, seen, generation, now);
        Ok(verified)
    }

    fn prove_anew(&self, token: &[u8], now: Timestamp) -> Result<Seen, JwtError> {
        let (payload, signer) = self.open(token)?;
        let verified = self.rules.admit(utf8(payload)?, signer.algorithm, now)?;
        Ok(Seen { verified, key: signer.print })
    }

    /// Who would have signed the token now.
    fn signer_of(&self, token: &[u8]) -> Result<Signer, JwtError> {
        let keys = self.keys.at_hand()?;
        self.read_header(&Parts::split(token)?, |header, algorithm| {
            keys.find(header.kid()?, algorithm).map(Signer::of)
        })
    }

    /// [`verify`](Self::verify) at the time that `clock` tells; where the token's key is not at hand,
    /// a fetch of the issuer's keys is waited for, and where memory can't tell whether the token is
    /// revoked, that is asked for. [`remote`](super::remote) says when keys are fetched, and for how
    /// long that may take.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify); [`JwtErrorKind::KeysUnavailable`] when the keys can't be had.
    pub async fn verify_or_fetch(
        &self,
        token: &str,
        clock: &dyn Clock,
    ) -> Result<VerifiedToken, JwtError> {
        let token = token.as_bytes();
        self.finish(self.try_verify(token, clock.now()), token, clock).await
    }

    /// Verifies with what is at hand, or says what has to be waited for.
    pub(crate) fn try_verify(&self, token: &[u8], now: Timestamp) -> Attempt {
        match self.admit(token, now) {
            // A token that its claims condemn is not worth a fetch.
            Err(error) if error.lacks_key() && self.would_admit(token, now) => {
                self.ask_for_key(token, now)
            }
            admitted => admitted.into(),
        }
    }

    /// Keys that come between the look for one and the question for it are looked at before their
    /// absence is believed.
    fn ask_for_key(&self, token: &[u8], now: Timestamp) -> Attempt {
        loop {
            let seen = self.keys.generation(now);
            let attempt = match self.admit(token, now) {
                Err(error) if error.lacks_key() => self.keys.ask(error),
                admitted => admitted.into(),
            };
            if !matches!(attempt, Attempt::Ended(Err(_))) || self.keys.generation(now) == seen {
                return attempt;
            }
        }
    }

    /// Waits for what an attempt of [`try_verify`](Self::try_verify) lacks.
    pub(crate) async fn finish(
        &self,
        mut attempt: Attempt,
        token: &[u8],
        clock: &dyn Clock,
    ) -> Result<VerifiedToken, JwtError> {
        for _ in 0..MAX_FLIGHTS {
            let Attempt::Waits(wait) = &mut attempt else { break };
            wait.await;
            attempt = self.try_verify(token, clock.now());
        }
        self.settle(attempt, || clock.now()).await
    }

    /// Asks whether the token is revoked, and waits for nothing else. The answer may take longer than
    /// the token lasts: `now` is asked after it.
    async fn settle(
        &self,
        attempt: Attempt,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<VerifiedToken, JwtError> {
        match (attempt, &self.revocations) {
            (Attempt::Ended(outcome), _) => outcome,
            (Attempt::Waits(wait), _) => Err(wait.give_up()),
            (Attempt::Unsure(token), None) => Ok(token),
            (Attempt::Unsure(token), Some(revocations)) => {
                let answer = revocations.is_revoked(&token).await;
                let token = unless_revoked(token, answer)?;
                self.rules.check_time(token.facts(), now()).map(|()| token)
            }
        }
    }

    /// Whether it was this verifier that verified the token before, good now or not.
    pub(crate) fn remembers(&self, token: &[u8]) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has(token))
    }

    /// Whether the claims are good, if the signature were.
    fn would_admit(&self, token: &[u8], now: Timestamp) -> bool {
        let judge = || -> Result<VerifiedToken, JwtError> {
            let parts = Parts::split(token)?;
            let algorithm = self.read_header(&parts, |_, algorithm| Ok(algorithm))?;
            self.rules.admit(utf8(parts.payload()?)?, algorithm, now)
        };
        judge().is_ok()
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
        self.open(token.as_bytes()).map(|(payload, _)| payload)
    }

    /// The payload, and who has signed it.
    fn open(&self, token: &[u8]) -> Result<(Vec<u8>, Signer), JwtError> {
        if token.len() > self.max_length {
            return Err(JwtError::malformed("the token is too long"));
        }
        let parts = Parts::split(token)?;
        let signer = match self.keys.at_hand() {
            Ok(keys) => self.check_signed(&parts, &keys)?,
            // A bad header is not worth a fetch.
            Err(missing) => {
                return Err(self.read_header(&parts, |_, _| Ok(())).err().unwrap_or(missing));
            }
        };
        Ok((parts.payload()?, signer))
    }

    fn check_signed(&self, parts: &Parts<'_>, keys: &KeySet) -> Result<Signer, JwtError> {
        let Some(known) = keys.headers.find(parts.header) else {
            return self.check_anew(parts, keys);
        };
        self.check_type(known.typ())?;
        parts.check_signed(&known.key)?;
        Ok(Signer::of(&known.key))
    }

    /// Believes nothing of the header before the signature is good.
    fn check_anew(&self, parts: &Parts<'_>, keys: &KeySet) -> Result<Signer, JwtError> {
        self.read_header(parts, |header, algorithm| {
            let key = keys.find(header.kid()?, algorithm)?;
            parts.check_signed(key)?;
            keys.headers.remember(parts.header, header.typ()?, key);
            Ok(Signer::of(key))
        })
    }

    /// What becomes of a header of the right kind.
    fn read_header<T>(
        &self,
        parts: &Parts<'_>,
        then: impl FnOnce(&Header<'_>, Algorithm) -> Result<T, JwtError>,
    ) -> Result<T, JwtError> {
        let mut buffers = Buffers::new();
        let mut header = Header::default();
        let algorithm = header.read(parts.header(&mut buffers)?)?;
        self.check_type(header.typ()?)?;
        then(&header, algorithm)
    }

    /// RFC 8725 section 3.11: tokens of other kinds are told apart by `typ`.
    fn check_type(&self, typ: Option<&str>) -> Result<(), JwtError> {
        let is = |known: &str| typ.is_some_and(|typ| is_media_type(typ, known));
        let (usual, may_be_absent) = self.rules.profile.types();
        let accepted = match &*self.types {
            [] => typ.is_none() && may_be_absent || usual.iter().any(|known| is(known)),
            types => types.iter().any(|known| is(known)),
        };
        match accepted {
            true => Ok(()),
            false => Err(JwtError::malformed("typ: a token of another kind")),
        }
    }
}

fn utf8(claims: Vec<u8>) -> Result<String, JwtError> {
    String::from_utf8(claims).map_err(|error| {
        JwtError::malformed("the claims are not UTF-8").caused_by(error.utf8_error())
    })
}

fn unless_revoked(
    token: VerifiedToken,
    answer: Result<bool, StoreError>,
) -> Result<VerifiedToken, JwtError> {
    match answer {
        Ok(false) => Ok(token),
        Ok(true) => Err(JwtError::new(JwtErrorKind::Revoked, "the token is revoked")),
        Err(error) => {
            const REASON: &str = "whether the token is revoked can't be told";
            Err(JwtError::new(JwtErrorKind::RevocationsUnavailable, REASON).caused_by(error))
        }
    }
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
    memchr::memchr(b'.', text).is_some()
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
