//! Tokens of several issuers, each judged by its own verifier.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::JwtVerifier;
use super::error::JwtError;
use super::jwks::object;
use super::token::VerifiedToken;
use super::verifier::Attempt;
use crate::{Clock, ConfigError, Timestamp};

/// Verifiers of several issuers, each with its own keys, algorithms, audiences and rules. Cheap to
/// clone.
///
/// A token is judged by the verifier of the issuer that it names, and by no other: keys are looked up
/// by issuer and `kid`, and the `kid` of one issuer means nothing to another (RFC 8725 section 3.8).
/// Only after that verifier has found the signature good, and `iss` again, is the name believed. A
/// token of an issuer that has no verifier is invalid.
///
/// ```
/// use keygate::jwt::{Algorithm, JwtKey, JwtVerifier, JwtVerifiers};
/// use keygate::{AuthLayer, store::MemoryStore};
///
/// # let secret = "0123456789abcdefghijklmnopqrstuv";
/// # let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// let own = JwtVerifier::builder("https://orders.example", "orders")
///     .key(JwtKey::secret(Algorithm::HS256, secret)?)
///     .build()?;
/// let partner = JwtVerifier::builder("https://login.partner.example", "https://orders.example")
///     .key(JwtKey::jwk(jwk)?)
///     .build()?;
/// let gate = AuthLayer::new(MemoryStore::new()).jwt(JwtVerifiers::new([own, partner])?);
/// # let _ = gate;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct JwtVerifiers(Issuers);

#[derive(Clone)]
enum Issuers {
    /// Judges every token; there is nothing to choose.
    One(Arc<JwtVerifier>),
    Several(Arc<Several>),
}

struct Several {
    by_issuer: HashMap<Arc<str>, JwtVerifier>,
    /// Bytes of the longest token that one of them takes.
    max_length: usize,
}

/// As much of the claims as tells who is to judge them. Two `iss` are none.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
}

impl JwtVerifiers {
    /// One verifier for each issuer.
    ///
    /// # Errors
    ///
    /// When there is none, two are of one issuer, or one of several takes tokens of any issuer.
    pub fn new(verifiers: impl IntoIterator<Item = JwtVerifier>) -> Result<Self, ConfigError> {
        const WHAT: &str = "JWT verifiers";
        let mut verifiers: Vec<_> = verifiers.into_iter().collect();
        match verifiers.len() {
            0 => return Err(ConfigError::unusable(WHAT, "none")),
            1 => return Ok(verifiers.remove(0).into()),
            _ => {}
        }
        let max_length = verifiers.iter().map(|verifier| verifier.max_length).max().unwrap_or(0);
        let mut by_issuer = HashMap::new();
        for verifier in verifiers {
            let Some(issuer) = verifier.rules.issuer.clone() else {
                let reason = "a verifier of any issuer stands beside others";
                return Err(ConfigError::unusable(WHAT, reason));
            };
            if by_issuer.insert(Arc::clone(&issuer), verifier).is_some() {
                return Err(ConfigError::invalid(WHAT, issuer, "two verifiers of one issuer"));
            }
        }
        Ok(Self(Issuers::Several(Arc::new(Several { by_issuer, max_length }))))
    }

    /// Verifies a token with the keys at hand; see [`JwtVerifier::verify`].
    ///
    /// # Errors
    ///
    /// Those of the verifier of its issuer; [`JwtErrorKind::Claims`](super::JwtErrorKind::Claims)
    /// when it names an issuer without one.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, JwtError> {
        self.of(token.as_bytes())?.verify(token, now)
    }

    /// Verifies a token, and waits for its issuer's keys where they are not at hand; see
    /// [`JwtVerifier::verify_or_fetch`].
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub async fn verify_or_fetch(
        &self,
        token: &str,
        clock: &dyn Clock,
    ) -> Result<VerifiedToken, JwtError> {
        self.of(token.as_bytes())?.verify_or_fetch(token, clock).await
    }

    pub(crate) fn try_verify(&self, token: &[u8], now: Timestamp) -> Attempt {
        match self.of(token) {
            Ok(verifier) => verifier.try_verify(token, now),
            Err(error) => Attempt::Ended(Err(error)),
        }
    }

    pub(crate) async fn finish(
        &self,
        attempt: Attempt,
        token: &[u8],
        clock: &dyn Clock,
    ) -> Result<VerifiedToken, JwtError> {
        self.of(token)?.finish(attempt, token, clock).await
    }

    /// The verifier of the issuer that the token names, which is not believed yet.
    fn of(&self, token: &[u8]) -> Result<&JwtVerifier, JwtError> {
        let several = match &self.0 {
            Issuers::One(verifier) => return Ok(verifier),
            Issuers::Several(several) => several,
        };
        if token.len() > several.max_length {
            return Err(JwtError::malformed("the token is too long"));
        }
        // Who has verified it before need not be looked for.
        if let Some(known) = several.by_issuer.values().find(|own| own.remembers(token)) {
            return Ok(known);
        }
        let claims = claims(token).ok_or(NAMELESS)?;
        let named: Named<'_> = object(&claims).ok_or(NAMELESS)?;
        let unknown = JwtError::claims("iss is not an issuer that is known");
        several.by_issuer.get(&*named.iss).ok_or(unknown)
    }
}

const NAMELESS: JwtError = JwtError::claims("not claims that name one issuer");

fn claims(token: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(token.split(|byte| *byte == b'.').nth(1)?).ok()
}

impl From<JwtVerifier> for JwtVerifiers {
    fn from(verifier: JwtVerifier) -> Self {
        Arc::new(verifier).into()
    }
}

impl From<Arc<JwtVerifier>> for JwtVerifiers {
    fn from(verifier: Arc<JwtVerifier>) -> Self {
        Self(Issuers::One(verifier))
    }
}

impl fmt::Debug for JwtVerifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Issuers::One(verifier) => f.debug_list().entry(verifier).finish(),
            Issuers::Several(several) => {
                f.debug_list().entries(several.by_issuer.values()).finish()
            }
        }
    }
}
