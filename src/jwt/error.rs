//! Why a token was refused.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A token that was refused, and the rule that it broke. Cheap to clone.
///
/// Its texts, those of its source too, are fixed: they hold nothing of the token. Only what a
/// [`Revocations`](super::Revocations) of your own says of an outage is its own.
#[derive(Clone, Debug)]
pub struct JwtError {
    kind: JwtErrorKind,
    reason: &'static str,
    /// Most have none, so that a bad token costs no allocation.
    more: Option<Arc<More>>,
}

#[derive(Debug)]
struct More {
    source: Option<Box<dyn Error + Send + Sync>>,
    retry_after: Option<Duration>,
}

/// Which step refused the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwtErrorKind {
    /// Not a JWT in compact serialization, or a header that this crate doesn't take.
    Malformed,
    /// An algorithm outside the allow-list, or not that of the key.
    Algorithm,
    /// No configured key, or more than one, answers to the header.
    UnknownKey,
    /// The issuer's keys can't be had at present: nothing is known of the token.
    KeysUnavailable,
    /// The signature is not that of the key.
    Signature,
    /// A claim is absent, has the wrong type or the wrong value.
    Claims,
    /// `nbf` or `iat` lies in the future.
    NotYetValid,
    /// `exp` or the greatest age has passed; everything else is right.
    Expired,
    /// Called back by its issuer or its owner; everything else is right.
    Revoked,
    /// Whether the token is revoked can't be told at present.
    RevocationsUnavailable,
}

impl JwtError {
    pub(crate) const fn new(kind: JwtErrorKind, reason: &'static str) -> Self {
        Self { kind, reason, more: None }
    }

    /// Keys may be there after `wait`.
    pub(crate) fn unavailable(reason: &'static str, wait: Duration) -> Self {
        let more = More { source: None, retry_after: Some(wait) };
        Self { more: Some(Arc::new(more)), ..Self::new(JwtErrorKind::KeysUnavailable, reason) }
    }

    pub(crate) const fn malformed(reason: &'static str) -> Self {
        Self::new(JwtErrorKind::Malformed, reason)
    }

    pub(crate) const fn claims(reason: &'static str) -> Self {
        Self::new(JwtErrorKind::Claims, reason)
    }

    pub(crate) fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let more = More { source: Some(source.into()), retry_after: self.retry_after() };
        Self { more: Some(Arc::new(more)), ..self }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.more.as_ref().and_then(|more| more.retry_after)
    }

    /// True if other keys might be those of the token.
    pub(crate) const fn lacks_key(&self) -> bool {
        matches!(self.kind, JwtErrorKind::UnknownKey | JwtErrorKind::KeysUnavailable)
    }

    /// Which step refused the token.
    pub const fn kind(&self) -> JwtErrorKind {
        self.kind
    }
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl Error for JwtError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.more.as_ref()?.source.as_deref()?;
        Some(source)
    }
}
