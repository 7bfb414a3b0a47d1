//! What a good engineer writes by hand for one service: no formats, no envelopes, no settings.

use std::future::Future;
use std::hash::{BuildHasherDefault, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use pin_project_lite::pin_project;
use sha2::{Digest, Sha256};
use tower::Service;

const WINDOW: u64 = 3_600;
const LIMIT_NAME: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What is known of a key, its counter included.
pub(crate) struct Record {
    pub(crate) scopes: Vec<String>,
    pub(crate) expires: u64,
    pub(crate) limit: u32,
    /// The window's number above, what it has counted below.
    pub(crate) used: AtomicU64,
}

/// Who is calling.
#[derive(Clone)]
pub(crate) struct Caller(#[allow(dead_code, reason = "for a handler to read")] Arc<Record>);

/// A digest is uniform: its first bytes are its hash.
#[derive(Default)]
pub(crate) struct Prefix(u64);

impl Hasher for Prefix {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) type Keys = papaya::HashMap<[u8; 32], Arc<Record>, BuildHasherDefault<Prefix>>;

#[derive(Clone)]
pub(crate) struct Floor<S> {
    pub(crate) inner: S,
    pub(crate) keys: Arc<Keys>,
    pub(crate) needed: &'static str,
    pub(crate) with_headers: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Standing {
    limit: u64,
    remaining: u64,
    reset: u64,
}

enum Refusal {
    Unknown,
    Missing,
    Scope(Option<Standing>),
    Limited(Standing, u64),
}

impl<S, B> Service<Request<B>> for Floor<S>
where
    S: Service<Request<B>, Response = Response<Full<Bytes>>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = S::Error;
    type Future = Admitted<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.admit(request.headers()) {
            Ok((record, standing)) => {
                request.extensions_mut().insert(Caller(record));
                let standing = self.with_headers.then_some(standing);
                Admitted::Calling { future: self.inner.call(request), standing }
            }
            Err(refusal) => Admitted::Refused { response: Some(refuse(refusal)) },
        }
    }
}

pin_project! {
    #[project = Projected]
    pub(crate) enum Admitted<F> {
        Calling { #[pin] future: F, standing: Option<Standing> },
        Refused { response: Option<Response<Full<Bytes>>> },
    }
}

impl<F, E> Future for Admitted<F>
where
    F: Future<Output = Result<Response<Full<Bytes>>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            Projected::Calling { future, standing } => {
                let mut response = ready!(future.poll(cx))?;
                if let Some(standing) = standing {
                    announce(*standing, response.headers_mut());
                }
                Poll::Ready(Ok(response))
            }
            Projected::Refused { response } => Poll::Ready(Ok(response.take().unwrap_or_default())),
        }
    }
}

impl<S> Floor<S> {
    fn admit(&self, headers: &HeaderMap) -> Result<(Arc<Record>, Standing), Refusal> {
        let value = headers.get(AUTHORIZATION).ok_or(Refusal::Missing)?;
        let key = value.as_bytes().strip_prefix(b"Bearer ").ok_or(Refusal::Missing)?;
        let digest: [u8; 32] = Sha256::digest(key).into();
        let record = self.keys.pin().get(&digest).cloned().ok_or(Refusal::Unknown)?;
        let now = unix_time();
        if now >= record.expires {
            return Err(Refusal::Unknown);
        }
        // A request that is refused for its scope counts, too.
        let standing = count(&record, now)?;
        if !record.scopes.iter().any(|scope| scope == self.needed) {
            return Err(Refusal::Scope(self.with_headers.then_some(standing)));
        }
        Ok((record, standing))
    }
}

const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"api\"");

fn refuse(refusal: Refusal) -> Response<Full<Bytes>> {
    let (status, body): (_, &'static str) = match refusal {
        Refusal::Unknown => (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_api_key"}"#),
        Refusal::Missing => (StatusCode::UNAUTHORIZED, r#"{"error":"missing_api_key"}"#),
        Refusal::Scope(_) => (StatusCode::FORBIDDEN, r#"{"error":"insufficient_permissions"}"#),
        Refusal::Limited(..) => {
            (StatusCode::TOO_MANY_REQUESTS, r#"{"error":"rate_limit_exceeded"}"#)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match refusal {
        Refusal::Limited(standing, wait) => {
            headers.insert(RETRY_AFTER, wait.into());
            announce(standing, headers);
        }
        Refusal::Scope(Some(standing)) => {
            headers.insert(WWW_AUTHENTICATE, CHALLENGE);
            announce(standing, headers);
        }
        _ => drop(headers.insert(WWW_AUTHENTICATE, CHALLENGE)),
    }
    response
}

pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn count(record: &Record, now: u64) -> Result<Standing, Refusal> {
    let (window, limit) = (now / WINDOW, u64::from(record.limit));
    let reset = (window + 1) * WINDOW;
    let mut seen = record.used.load(Ordering::Relaxed);
    loop {
        let used = if seen >> 32 == window { seen & 0xFFFF_FFFF } else { 0 };
        if used >= limit {
            return Err(Refusal::Limited(Standing { limit, remaining: 0, reset }, reset - now));
        }
        let next = window << 32 | (used + 1);
        match record.used.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Ok(Standing { limit, remaining: limit - used - 1, reset }),
            Err(other) => seen = other,
        }
    }
}

struct Digits([u8; 60]);

impl AsRef<[u8]> for Digits {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Three numbers in one buffer.
fn announce(standing: Standing, headers: &mut HeaderMap) {
    let mut digits = Digits([0; 60]);
    let mut end = 0;
    let places = [standing.limit, standing.remaining, standing.reset].map(|number| {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        let start = end;
        end += text.len();
        digits.0[start..end].copy_from_slice(text);
        start..end
    });
    let digits = Bytes::from_owner(digits);
    for (name, place) in [LIMIT_NAME, REMAINING, RESET].into_iter().zip(places) {
        if let Ok(value) = HeaderValue::from_maybe_shared(digits.slice(place)) {
            headers.insert(name, value);
        }
    }
}
