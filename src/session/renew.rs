//! Renews the cookie of a session in use.
//!
//! The new token is made on the way in and handed out with the answer. It must say of itself that it
//! is as old as the gate's verdict: a request that is held open while its subject's tokens are revoked
//! would bring back one from after that.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::Sessions;
use crate::Principal;

/// Renews sessions in use, from half of a token's life on; made by [`Sessions::renewal`].
///
/// It belongs directly behind the gate, which says whose request it is. An answer that sets the
/// cookie itself, as at sign-out, is left as it is; one with a new cookie is kept by no cache.
#[derive(Clone, Debug)]
pub struct RenewLayer {
    sessions: Sessions,
}

impl RenewLayer {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

impl<S> Layer<S> for RenewLayer {
    type Service = Renew<S>;

    fn layer(&self, inner: S) -> Renew<S> {
        Renew { inner, sessions: self.sessions.clone() }
    }
}

/// A service whose answers renew sessions; made by [`RenewLayer`].
#[derive(Clone, Debug)]
pub struct Renew<S> {
    inner: S,
    sessions: Sessions,
}

impl<S, Req, Res> Service<Request<Req>> for Renew<S>
where
    S: Service<Request<Req>, Response = Response<Res>>,
{
    type Response = Response<Res>;
    type Error = S::Error;
    type Future = RenewFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        let cookie = self.sessions.renew(request.headers(), request.extensions().get());
        let renewal = cookie.map(|cookie| (self.sessions.clone(), cookie));
        RenewFuture { inner: self.inner.call(request), renewal }
    }
}

impl Sessions {
    /// A new cookie, if it is time for one, for a token that came in the old one. What came elsewhere
    /// becomes no cookie.
    fn renew(&self, headers: &HeaderMap, caller: Option<&Principal>) -> Option<HeaderValue> {
        let (token, _) = self.own(caller?)?;
        if !self.0.cookie.source().is_in(headers) {
            return None;
        }
        self.renewed(token)
    }

    fn hand_out(&self, cookie: HeaderValue, headers: &mut HeaderMap) {
        let mut set = headers.get_all(SET_COOKIE).iter();
        if !set.any(|value| self.0.cookie.is_set_by(value)) {
            headers.append(SET_COOKIE, cookie);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
}

pin_project! {
    /// The answer to come of a service behind [`Renew`].
    pub struct RenewFuture<F> {
        #[pin]
        inner: F,
        renewal: Option<(Sessions, HeaderValue)>,
    }
}

impl<F, Res, E> Future for RenewFuture<F>
where
    F: Future<Output = Result<Response<Res>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx)?);
        if let Some((sessions, cookie)) = this.renewal.take() {
            sessions.hand_out(cookie, response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for RenewFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewFuture").finish_non_exhaustive()
    }
}
