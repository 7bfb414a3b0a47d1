//! The only polling code: asking a store, counting elsewhere, calling the inner service, done.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::Rejection;
use crate::body::GateBody;
use crate::gate::{Counting, Exit, Passage};
use crate::outcome::Question;
use crate::shared::{Held, SharedGate};

pin_project! {
    /// The answer to come of a service behind a gate.
    pub struct ResponseFuture<S, Req>
    where
        S: Service<Request<Req>>,
    {
        #[pin]
        state: State<S, Req, S::Future>,
        gate: Arc<Held>,
    }
}

pin_project! {
    #[project = StateProjected]
    enum State<S, Req, F> {
        Asking { question: Question, held: Option<Box<(Request<Req>, S)>> },
        Counting { counting: Option<Box<Counting>>, held: Option<Box<(Request<Req>, S)>> },
        Calling { #[pin] future: F, exit: Exit },
        Refused { why: Option<Rejection>, exit: Exit },
    }
}

impl<S, Req> ResponseFuture<S, Req>
where
    S: Service<Request<Req>>,
{
    // What is held is in a box, so that those who need not wait have no large future to move about.

    #[inline(never)]
    pub(crate) fn asking(
        gate: &SharedGate,
        question: Question,
        request: Request<Req>,
        inner: S,
    ) -> Self {
        let state = State::Asking { question, held: Some(Box::new((request, inner))) };
        Self { state, gate: gate.hold() }
    }

    #[inline(never)]
    pub(crate) fn counting(
        gate: &SharedGate,
        counting: Box<Counting>,
        request: Request<Req>,
        inner: S,
    ) -> Self {
        let held = Some(Box::new((request, inner)));
        let state = State::Counting { counting: Some(counting), held };
        Self { state, gate: gate.hold() }
    }

    pub(crate) fn calling(gate: &SharedGate, future: S::Future, exit: Exit) -> Self {
        Self { state: State::Calling { future, exit }, gate: gate.hold() }
    }

    #[inline(never)]
    pub(crate) fn refused(gate: &SharedGate, why: Rejection, exit: Exit) -> Self {
        Self { state: State::Refused { why: Some(why), exit }, gate: gate.hold() }
    }
}

impl<S, Req> State<S, Req, S::Future>
where
    S: Service<Request<Req>>,
{
    fn after(passage: Passage, exit: Exit, held: Box<(Request<Req>, S)>) -> Self {
        match passage {
            Passage::In => {
                let (request, mut inner) = *held;
                Self::Calling { future: inner.call(request), exit }
            }
            Passage::Out(why) => Self::Refused { why: Some(why), exit },
            Passage::Counting(counting) => {
                Self::Counting { counting: Some(counting), held: Some(held) }
            }
        }
    }
}

impl<S, Req, Res> Future for ResponseFuture<S, Req>
where
    S: Service<Request<Req>, Response = Response<Res>>,
{
    type Output = Result<Response<GateBody<Res>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let this = self.as_mut().project();
            match this.state.project() {
                StateProjected::Calling { future, exit } => {
                    let response = ready!(future.poll(cx)?);
                    return Poll::Ready(Ok(this.gate.let_out(response, exit)));
                }
                StateProjected::Refused { why, exit } => {
                    let why = why.take().expect(POLLED);
                    return Poll::Ready(Ok(this.gate.refuse(why, exit)));
                }
                _ => ready!(self.as_mut().poll_passage(cx)),
            }
        }
    }
}

impl<S, Req> ResponseFuture<S, Req>
where
    S: Service<Request<Req>>,
{
    /// Takes one step towards the inner service or a refusal.
    #[inline(never)]
    fn poll_passage(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let next = match this.state.as_mut().project() {
            StateProjected::Asking { question, held } => {
                let answer = ready!(question.as_mut().poll(cx));
                let mut held = held.take().expect(POLLED);
                let (gate, mut exit) = (&this.gate, Exit::default());
                let passage = gate.decide(&mut held.0, answer, gate.now(), &mut exit);
                State::after(passage, exit, held)
            }
            StateProjected::Counting { counting, held } => {
                let pending = &mut counting.as_mut().expect(POLLED).pending;
                let counted = ready!(Pin::new(pending).poll(cx));
                let counting = *counting.take().expect(POLLED);
                let mut held = held.take().expect(POLLED);
                let (gate, mut exit) = (&this.gate, Exit::default());
                let passage = gate.conclude(&mut held.0, counting, counted, gate.now(), &mut exit);
                State::after(passage, exit, held)
            }
            StateProjected::Calling { .. } | StateProjected::Refused { .. } => {
                return Poll::Ready(());
            }
        };
        this.state.set(next);
        Poll::Ready(())
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
