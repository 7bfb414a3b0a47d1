//! The issuer's public keys, for whoever verifies its tokens elsewhere.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::JwtIssuer;
use crate::document::{Document, DocumentBody};
use crate::{Clock, SystemClock};

/// Serves an issuer's public keys as a JWK Set (RFC 7517), usually under `/.well-known/jwks.json`;
/// made by [`JwtIssuer::jwks`]. No gate belongs in front of it.
///
/// Answers may be kept for the time for which keys are
/// [announced](super::JwtIssuerBuilder::announcement), so that nobody meets a token of a key that it
/// can't have read. They carry an `ETag`.
///
/// ```
/// use axum::Router;
/// use keygate::jwt::JwtIssuer;
///
/// fn app(issuer: &JwtIssuer) -> Router {
///     Router::new().route_service("/.well-known/jwks.json", issuer.jwks())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct JwksService {
    issuer: JwtIssuer,
    clock: Arc<dyn Clock>,
}

impl JwksService {
    pub(super) fn new(issuer: JwtIssuer) -> Self {
        Self { issuer, clock: Arc::new(SystemClock::new()) }
    }

    /// The clock that tells which keys are trusted.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl<B> Service<Request<B>> for JwksService {
    type Response = Response<DocumentBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let keys = self.issuer.jwks_json(self.clock.now());
        let document = Document::new("application/jwk-set+json", keys, self.issuer.0.announcement);
        ready(Ok(document.answer(request.method(), request.headers())))
    }
}
