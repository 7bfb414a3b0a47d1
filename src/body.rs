//! The body of an answer: the inner service's, or a refusal's.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::limit::Permits;

pin_project! {
    /// The body of an answer that passed a gate: the inner service's own, untouched, or the gate's.
    #[derive(Debug)]
    pub struct GateBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjected]
    #[derive(Debug)]
    enum Kind<B> {
        Inner { #[pin] body: B, permits: Permits },
        Refusal { text: Option<Bytes> },
    }
}

impl<B> GateBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        Self::running(body, Permits::default())
    }

    /// The request runs until the body is at its end, fails or is dropped.
    pub(crate) fn running(body: B, permits: Permits) -> Self {
        Self { kind: Kind::Inner { body, permits } }
    }

    pub(crate) fn refusal(text: Bytes) -> Self {
        Self { kind: Kind::Refusal { text: Some(text).filter(|text| !text.is_empty()) } }
    }
}

impl<B: Body<Data = Bytes>> Body for GateBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjected::Inner { body, permits } => {
                let frame = body.poll_frame(cx);
                if let Poll::Ready(None | Some(Err(_))) = &frame {
                    *permits = Permits::default();
                }
                frame
            }
            KindProjected::Refusal { text } => Poll::Ready(text.take().map(|t| Ok(Frame::data(t)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body, .. } => body.is_end_stream(),
            Kind::Refusal { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Refusal { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64)
            }
        }
    }
}
