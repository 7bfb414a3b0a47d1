//! The only polling code: asking a store, calling the inner service, done.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::authenticator::Question;
use crate::body::GateBody;
use crate::gate::{Exit, Gate, Passage, Refusal};

pin_project! {
    /// The answer to come of a service behind a gate.
    pub struct ResponseFuture<S, Req>
    where
        S: Service<Request<Req>>,
    {
        #[pin]
        state: State<S, Req, S::Future>,
        gate: Arc<Gate>,
    }
}

pin_project! {
    #[project = StateProjected]
    enum State<S, Req, F> {
        Asking { question: Question, held: Option<Box<(Request<Req>, S)>> },
        Calling { #[pin] future: F, exit: Exit },
        Refused { refusal: Option<Refusal> },
    }
}

impl<S, Req> ResponseFuture<S, Req>
where
    S: Service<Request<Req>>,
{
    pub(crate) fn asking(
        gate: &Arc<Gate>,
        question: Question,
        request: Request<Req>,
        inner: S,
    ) -> Self {
        // In a box, so that those who need not ask have no large future to move about.
        let state = State::Asking { question, held: Some(Box::new((request, inner))) };
        Self { state, gate: Arc::clone(gate) }
    }

    pub(crate) fn decided(
        gate: &Arc<Gate>,
        passage: Passage,
        request: Request<Req>,
        inner: &mut S,
    ) -> Self {
        Self { state: State::after(passage, request, inner), gate: Arc::clone(gate) }
    }
}

impl<S, Req> State<S, Req, S::Future>
where
    S: Service<Request<Req>>,
{
    fn after(passage: Passage, request: Request<Req>, inner: &mut S) -> Self {
        match passage {
            Passage::In(exit) => Self::Calling { future: inner.call(request), exit },
            Passage::Out(refusal) => Self::Refused { refusal: Some(refusal) },
        }
    }
}

impl<S, Req, Res> Future for ResponseFuture<S, Req>
where
    S: Service<Request<Req>, Response = Response<Res>>,
{
    type Output = Result<Response<GateBody<Res>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjected::Asking { question, held } => {
                    let answer = ready!(question.as_mut().poll(cx));
                    let (mut request, mut inner) = *held.take().expect(POLLED);
                    let passage = this.gate.decide(&mut request, answer, this.gate.now());
                    State::after(passage, request, &mut inner)
                }
                StateProjected::Calling { future, exit } => {
                    let response = ready!(future.poll(cx)?);
                    return Poll::Ready(Ok(this.gate.let_out(response, exit)));
                }
                StateProjected::Refused { refusal } => {
                    let refusal = refusal.take().expect(POLLED);
                    return Poll::Ready(Ok(refusal.map(GateBody::refusal)));
                }
            };
            this.state.set(next);
        }
    }
}

const POLLED: &str = "a future is not polled again after it is ready";

impl<S, Req> fmt::Debug for ResponseFuture<S, Req>
where
    S: Service<Request<Req>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
