//! The service behind every gate, the requests to it, and one request as a step of a case.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use tower::Service;

pub(crate) type Call = Request<Body>;
pub(crate) type Plain = Response<Full<Bytes>>;
pub(crate) type Boxed = Response<Body>;

/// Something with a status.
pub(crate) trait Answered {
    fn code(&self) -> StatusCode;
}

impl<B> Answered for Response<B> {
    fn code(&self) -> StatusCode {
        self.status()
    }
}

/// What a bare service answers with. Some peers take one type of body only, so each is compared with a
/// bare service that answers likewise.
pub(crate) trait Reply: Answered {
    fn hello() -> Self;
}

impl Reply for Plain {
    fn hello() -> Self {
        Response::new(Full::new(Bytes::from_static(b"hello")))
    }
}

impl Reply for Boxed {
    fn hello() -> Self {
        Response::new(Body::from("hello"))
    }
}

/// Answers 200 to everything.
pub(crate) struct Hello<R>(PhantomData<fn() -> R>);

impl<R> Hello<R> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> Clone for Hello<R> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<R: Reply> Service<Call> for Hello<R> {
    type Response = R;
    type Error = Infallible;
    type Future = Ready<Result<R, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Call) -> Self::Future {
        drop(std::hint::black_box(request));
        ready(Ok(R::hello()))
    }
}

/// As from a client that says little: the credentials take turns, or there are none.
pub(crate) struct Requests {
    credentials: Vec<HeaderValue>,
    next: usize,
}

impl Requests {
    pub(crate) fn new(credentials: &[HeaderValue]) -> Self {
        Self { credentials: credentials.to_vec(), next: 0 }
    }

    pub(crate) fn make(&mut self) -> Call {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static("/orders");
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("api.example.com"));
        headers.insert(USER_AGENT, HeaderValue::from_static("orders/1.0"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(credential) = self.credentials.get(self.next) {
            headers.insert(AUTHORIZATION, credential.clone());
            self.next = (self.next + 1) % self.credentials.len();
        }
        request
    }

    pub(crate) fn len(&self) -> usize {
        self.credentials.len()
    }
}

pub(crate) fn bearer(text: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {text}")).expect("credentials are visible ASCII")
}

/// One request through `service` in each step.
pub(crate) fn step<S>(mut service: S, mut requests: Requests, expected: u16) -> impl FnMut()
where
    S: Service<Call, Error = Infallible>,
    S::Response: Answered,
{
    move || {
        let request = requests.make();
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(service.poll_ready(cx).is_ready());
        let response = at_once(service.call(request)).unwrap_or_else(|never| match never {});
        assert_eq!(response.code().as_u16(), expected);
        drop(std::hint::black_box(response));
    }
}

/// Completes a future that never waits.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("what is measured never waits"),
    }
}
