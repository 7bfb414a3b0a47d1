//! The tower service: sends a request's head down the road, and the whole inward.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::body::GateBody;
use crate::future::ResponseFuture;
use crate::gate::{Exit, Gate, Passage};
use crate::head::Head;
use crate::outcome::Identity;
use crate::shared::SharedGate;

/// A service behind a gate; made by [`AuthLayer`](crate::AuthLayer).
///
/// It asks nothing of the bodies that pass through it.
#[derive(Clone, Debug)]
pub struct Auth<S> {
    inner: S,
    gate: SharedGate,
}

impl<S> Auth<S> {
    pub(crate) fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate: SharedGate::new(gate) }
    }

    #[cfg(test)]
    pub(crate) fn gate(&self) -> &SharedGate {
        &self.gate
    }

    /// Takes the instance that was polled ready, and leaves a clone that was not.
    fn take_ready(&mut self) -> S
    where
        S: Clone,
    {
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }
}

impl<S, Req, Res> Service<Request<Req>> for Auth<S>
where
    S: Service<Request<Req>, Response = Response<Res>> + Clone,
{
    type Response = Response<GateBody<Res>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Req>) -> Self::Future {
        let now = self.gate.now();
        let mut exit = Exit::default();
        match self.gate.identify(Head::from(&request), now) {
            Identity::Known(answer) => match self.gate.decide(&mut request, answer, now, &mut exit)
            {
                Passage::In => ResponseFuture::calling(&self.gate, self.inner.call(request), exit),
                Passage::Out(why) => ResponseFuture::refused(&self.gate, why, exit),
                Passage::Counting(counting) => {
                    let inner = self.take_ready();
                    ResponseFuture::counting(&self.gate, counting, request, inner)
                }
            },
            Identity::Asked(question) => {
                let inner = self.take_ready();
                ResponseFuture::asking(&self.gate, question, request, inner)
            }
        }
    }
}
