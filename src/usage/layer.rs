//! Stands behind the gate, and counts.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::UsageRecorder;
use crate::{Head, Principal};

/// Finds the endpoint of a request, and calls back with its name.
type Label = dyn Fn(Head<'_>, &mut dyn FnMut(&str)) + Send + Sync;

/// Counts the requests of keys; made by [`UsageRecorder::layer`].
///
/// A request counts when it reaches the layer: after the gate has let it in, and whatever becomes of
/// it. The layer adds no future of its own.
#[derive(Clone)]
pub struct UsageLayer(Arc<Counting>);

/// One allocation: services are cloned for each request.
struct Counting {
    recorder: UsageRecorder,
    label: Box<Label>,
}

impl UsageLayer {
    pub(super) fn new(
        recorder: UsageRecorder,
        label: impl Fn(Head<'_>, &mut dyn FnMut(&str)) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Counting { recorder, label: Box::new(label) }))
    }

    fn count(&self, head: Head<'_>) {
        let Some(key) = head.extensions.get().and_then(Principal::key_id) else { return };
        let Counting { recorder, label } = &*self.0;
        let now = recorder.now();
        label(head, &mut |endpoint| recorder.record(key, endpoint, now));
    }
}

impl<S> Layer<S> for UsageLayer {
    type Service = UsageService<S>;

    fn layer(&self, inner: S) -> UsageService<S> {
        UsageService { inner, layer: self.clone() }
    }
}

/// A service whose uses are counted; made by [`UsageLayer`].
#[derive(Clone)]
pub struct UsageService<S> {
    inner: S,
    layer: UsageLayer,
}

impl<S, B> Service<Request<B>> for UsageService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.layer.count(Head::from(&request));
        self.inner.call(request)
    }
}

impl fmt::Debug for UsageLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageLayer").field("recorder", &self.0.recorder).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for UsageService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
