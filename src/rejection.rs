//! The only way off the road: every refusal, why it happened and what the client may know of it.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::jwt::{JwtError, JwtErrorKind};
use crate::render::Needed;
use crate::store::StoreError;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The client's address is not among those that the key allows.
    AddressDenied,
    /// More than one credential, or one twice (RFC 6750 section 2, RFC 9110 section 5.3).
    AmbiguousCredential,
    /// A cookie's credential with an unsafe method, and no proof that the page is of the same origin.
    CrossSite,
    /// The credential is good but lacks a scope.
    InsufficientScope,
    /// The path can be read in two ways: `//`, `..`, an encoded `/`, `\`, `;`.
    InvalidPath,
    /// The key's time has passed.
    KeyExpired,
    /// The key is switched off.
    KeyInactive,
    /// Unknown, malformed, revoked, of another brand or of another environment: all alike.
    KeyInvalid,
    /// No credential.
    MissingCredential,
    /// No credential of this kind may reach this route, whatever its scopes.
    NotPermitted,
    /// Over the limit.
    RateLimited,
    /// The tenant is suspended.
    TenantSuspended,
    /// The token's time has passed.
    TokenExpired,
    /// The token is malformed, forged, or not meant for this service.
    TokenInvalid,
    /// Too many failed authentications from this address, or with keys that begin like this one.
    TooManyFailures,
    /// A store, key set or limiter can't answer; nothing is known of the credential.
    Unavailable,
}

impl RejectionKind {
    /// Every kind, in the order of their names.
    pub const ALL: [Self; 16] = [
        Self::AddressDenied,
        Self::AmbiguousCredential,
        Self::CrossSite,
        Self::InsufficientScope,
        Self::InvalidPath,
        Self::KeyExpired,
        Self::KeyInactive,
        Self::KeyInvalid,
        Self::MissingCredential,
        Self::NotPermitted,
        Self::RateLimited,
        Self::TenantSuspended,
        Self::TokenExpired,
        Self::TokenInvalid,
        Self::TooManyFailures,
        Self::Unavailable,
    ];

    /// The HTTP status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::AmbiguousCredential | Self::InvalidPath => StatusCode::BAD_REQUEST,
            Self::KeyExpired
            | Self::KeyInactive
            | Self::KeyInvalid
            | Self::MissingCredential
            | Self::TenantSuspended
            | Self::TokenExpired
            | Self::TokenInvalid => StatusCode::UNAUTHORIZED,
            Self::AddressDenied
            | Self::CrossSite
            | Self::InsufficientScope
            | Self::NotPermitted => StatusCode::FORBIDDEN,
            Self::RateLimited | Self::TooManyFailures => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A stable name in snake case, for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AddressDenied => "address_denied",
            Self::AmbiguousCredential => "ambiguous_credential",
            Self::CrossSite => "cross_site",
            Self::InvalidPath => "invalid_path",
            Self::InsufficientScope => "insufficient_scope",
            Self::KeyExpired => "key_expired",
            Self::KeyInactive => "key_inactive",
            Self::KeyInvalid => "key_invalid",
            Self::MissingCredential => "missing_credential",
            Self::NotPermitted => "not_permitted",
            Self::RateLimited => "rate_limited",
            Self::TenantSuspended => "tenant_suspended",
            Self::TokenExpired => "token_expired",
            Self::TokenInvalid => "token_invalid",
            Self::TooManyFailures => "too_many_failures",
            Self::Unavailable => "unavailable",
        }
    }

    /// What the client is told, unless the envelope has its own words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::AddressDenied => "This address may not use the credential",
            Self::AmbiguousCredential => "More than one credential in the request",
            Self::CrossSite => "Cross-site request refused",
            Self::InvalidPath => "The path is ambiguous",
            Self::InsufficientScope => "The credential lacks a required scope",
            Self::KeyExpired => "The API key has expired",
            Self::KeyInactive => "The API key is inactive",
            Self::KeyInvalid => "Invalid API key",
            Self::MissingCredential => "Authentication required",
            Self::NotPermitted => "The credential may not reach this resource",
            Self::RateLimited => "Rate limit exceeded",
            Self::TenantSuspended => "The tenant is suspended",
            Self::TokenExpired => "The token has expired",
            Self::TokenInvalid => "Invalid token",
            Self::TooManyFailures => "Too many failed authentications",
            Self::Unavailable => "Service temporarily unavailable",
        }
    }
}

/// One refusal: its kind, what the client may know, and the private reason.
///
/// A rejection is put into the extensions of the response that it causes, where an outer layer finds
/// it. A handler may refuse by itself too: a response with a `Rejection` in its extensions that
/// passes a gate is rendered there, in the envelope of that gate.
#[derive(Clone)]
pub struct Rejection {
    kind: RejectionKind,
    /// Stands in for a wait in a body that must tell one.
    reset_secs: Option<NonZeroU32>,
    retry_after: Option<Duration>,
    scopes: Option<Arc<Needed>>,
    cause: Option<Cause>,
    /// A gate has given its answer a form, which an outer gate leaves alone.
    answered: bool,
}

/// What a [`Rejection`] is for, which no client sees.
#[derive(Clone)]
enum Cause {
    /// In place: there are as many bad tokens as somebody likes to send.
    Token(JwtError),
    Other(Arc<dyn Error + Send + Sync>),
}

impl Rejection {
    /// A refusal of `kind`.
    pub const fn new(kind: RejectionKind) -> Self {
        Self {
            kind,
            reset_secs: None,
            retry_after: None,
            scopes: None,
            cause: None,
            answered: false,
        }
    }

    /// The same with the time after which a retry makes sense.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same with the scopes that would have been enough, space-separated as in RFC 6750.
    #[must_use]
    pub fn with_scopes(self, scopes: impl Into<Arc<str>>) -> Self {
        self.needing(Arc::new(Needed::new(scopes)))
    }

    pub(crate) fn needing(mut self, needed: Arc<Needed>) -> Self {
        self.scopes = Some(needed);
        self
    }

    pub(crate) fn needed(&self) -> Option<&Needed> {
        self.scopes.as_deref()
    }

    /// The same with its private cause, which no client sees.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Cause::Other(source.into().into()));
        self
    }

    /// Why.
    pub const fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The HTTP status of the answer.
    pub const fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The stable name of the kind, in snake case.
    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// How long the client is asked to wait; for a rate limit, `None` where no wait would help.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// [`retry_after`](Self::retry_after) in whole seconds, rounded up and at least 1: a client
    /// that waits so long is let in.
    pub fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after.map(|wait| secs_ceil(wait).max(1))
    }

    /// The same, refused for longer than any wait, with the time until its window ends.
    pub(crate) fn with_reset(mut self, reset: Duration) -> Self {
        let secs = u32::try_from(secs_ceil(reset)).unwrap_or(u32::MAX);
        self.reset_secs = Some(NonZeroU32::new(secs).unwrap_or(NonZeroU32::MIN));
        self
    }

    pub(crate) const fn is_answered(&self) -> bool {
        self.answered
    }

    pub(crate) fn answered(mut self, is_answered: bool) -> Self {
        self.answered = is_answered;
        self
    }

    /// What a body says that must tell a number of seconds: the wait, or else when the window ends.
    pub(crate) fn wait_or_reset_secs(&self) -> Option<u64> {
        self.retry_after_secs().or_else(|| self.reset_secs.map(|secs| u64::from(secs.get())))
    }

    /// The scopes that would have been enough.
    pub fn scopes(&self) -> Option<&str> {
        self.needed().map(Needed::as_str)
    }
}

/// Whole seconds, rounded up; saturates.
pub(crate) const fn secs_ceil(duration: Duration) -> u64 {
    duration.as_secs().saturating_add((duration.subsec_nanos() > 0) as u64)
}

impl From<RejectionKind> for Rejection {
    #[cold]
    fn from(kind: RejectionKind) -> Self {
        Self::new(kind)
    }
}

impl From<StoreError> for Rejection {
    /// [`Unavailable`](RejectionKind::Unavailable), whatever went wrong: the client can't mend it.
    fn from(error: StoreError) -> Self {
        Self::new(RejectionKind::Unavailable).with_source(error)
    }
}

impl From<JwtError> for Rejection {
    /// [`TokenExpired`](RejectionKind::TokenExpired) for an otherwise good token whose time has
    /// passed, [`Unavailable`](RejectionKind::Unavailable) where it can't be told whether the token is
    /// good, else [`TokenInvalid`](RejectionKind::TokenInvalid); the error becomes the source.
    fn from(error: JwtError) -> Self {
        let kind = match error.kind() {
            JwtErrorKind::Expired => RejectionKind::TokenExpired,
            JwtErrorKind::KeysUnavailable | JwtErrorKind::RevocationsUnavailable => {
                RejectionKind::Unavailable
            }
            _ => RejectionKind::TokenInvalid,
        };
        let (retry_after, cause) = (error.retry_after(), Some(Cause::Token(error)));
        Self { retry_after, cause, ..Self::new(kind) }
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("kind", &self.kind)
            .field("retry_after", &self.retry_after)
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl Error for Rejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.cause.as_ref()? {
            Cause::Token(error) => Some(error),
            Cause::Other(error) => Some(&**error),
        }
    }
}
