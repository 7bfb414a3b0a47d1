//! What one route asks of its callers, as a layer of its own behind a gate.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::GateBody;
use crate::gate::OpenPreflight;
use crate::render::{Refusals, Wire};
use crate::{Policy, Principal, Rejection, RejectionKind};

/// Asks a policy of whoever reaches a route; for axum's `route_layer`.
///
/// It stands behind an [`AuthLayer`](crate::AuthLayer), which proves who calls, counts the request
/// and gives the refusal its form. Where no gate has put a [`Principal`] into the request, everybody
/// is refused; only a CORS preflight that the gate let pass goes on.
///
/// ```
/// use axum::{Router, routing::get};
/// use keygate::{AuthLayer, Policy, Require, store::MemoryStore};
///
/// let app: Router = Router::new()
///     .route("/contacts", get(|| async { "contacts" }))
///     .route_layer(Require::new(Policy::all_of(["read:contacts"])?))
///     .layer(AuthLayer::new(MemoryStore::new()));
/// # let _ = app;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Require {
    policy: Arc<Policy>,
}

impl Require {
    /// Asks `policy`.
    pub fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy) }
    }
}

impl<S> Layer<S> for Require {
    type Service = Required<S>;

    fn layer(&self, inner: S) -> Required<S> {
        Required { inner, policy: Arc::clone(&self.policy) }
    }
}

/// A service that asks a [`Policy`]; made by [`Require`].
#[derive(Clone, Debug)]
pub struct Required<S> {
    inner: S,
    policy: Arc<Policy>,
}

impl<S, Req, Res> Service<Request<Req>> for Required<S>
where
    S: Service<Request<Req>, Response = Response<Res>>,
{
    type Response = Response<GateBody<Res>>;
    type Error = S::Error;
    type Future = RequiredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        let principal = request.extensions().get::<Principal>();
        let judged = match principal {
            Some(principal) => principal.require(&self.policy),
            None if request.extensions().get::<OpenPreflight>().is_some() => Ok(()),
            None => Err(Rejection::new(RejectionKind::MissingCredential)),
        };
        let state = match judged {
            Ok(()) => State::Calling { future: self.inner.call(request) },
            Err(why) => {
                let wire = Wire::of(request.method(), request.headers());
                State::Refused { response: Some(Refusals::unanswered(why, wire)) }
            }
        };
        RequiredFuture { state }
    }
}

pin_project! {
    /// The answer to come of a service that asks a policy.
    #[derive(Debug)]
    pub struct RequiredFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjected]
    #[derive(Debug)]
    enum State<F> {
        Calling { #[pin] future: F },
        Refused { response: Option<Response<Bytes>> },
    }
}

impl<F, Res, E> Future for RequiredFuture<F>
where
    F: Future<Output = Result<Response<Res>, E>>,
{
    type Output = Result<Response<GateBody<Res>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            StateProjected::Calling { future } => {
                ready!(future.poll(cx)).map(|response| response.map(GateBody::inner))
            }
            StateProjected::Refused { response } => {
                let response = response.take().unwrap_or_default();
                Ok(response.map(GateBody::refusal))
            }
        })
    }
}
