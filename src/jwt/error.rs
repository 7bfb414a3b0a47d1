//! Why a token was refused.

use std::error::Error;
use std::time::Duration;

use crate::{Rejection, RejectionKind};

/// A token that was refused, and the rule that it broke.
///
/// Its texts, those of its source too, are fixed: they hold nothing of the token.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct JwtError {
    kind: JwtErrorKind,
    reason: &'static str,
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
        Self { kind, reason, source: None, retry_after: None }
    }

    /// Keys may be there after `wait`.
    pub(crate) const fn unavailable(reason: &'static str, wait: Duration) -> Self {
        let kind = JwtErrorKind::KeysUnavailable;
        Self { kind, reason, source: None, retry_after: Some(wait) }
    }

    pub(crate) const fn malformed(reason: &'static str) -> Self {
        Self::new(JwtErrorKind::Malformed, reason)
    }

    pub(crate) const fn claims(reason: &'static str) -> Self {
        Self::new(JwtErrorKind::Claims, reason)
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
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

impl From<JwtError> for Rejection {
    /// [`TokenExpired`](RejectionKind::TokenExpired) for an otherwise good token whose time has
    /// passed, [`Unavailable`](RejectionKind::Unavailable) where it can't be told whether the token is
    /// good, else [`TokenInvalid`](RejectionKind::TokenInvalid); the error becomes the source.
    fn from(error: JwtError) -> Self {
        let kind = match error.kind {
            JwtErrorKind::Expired => RejectionKind::TokenExpired,
            JwtErrorKind::KeysUnavailable | JwtErrorKind::RevocationsUnavailable => {
                RejectionKind::Unavailable
            }
            _ => RejectionKind::TokenInvalid,
        };
        let rejection = Self::new(kind);
        match error.retry_after {
            Some(wait) => rejection.with_retry_after(wait).with_source(error),
            None => rejection.with_source(error),
        }
    }
}
