//! The least that can be written for JWTs of one issuer: verified each time, or remembered whole.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use http_body_util::Full;
use tower::Service;

use crate::jwt_floor::{Caller, Floor, unix_time};
use crate::service::{Call, Hello, Plain};
use crate::tokens::Issuer;
use crate::world::NEEDED;

/// By the whole token, under a seeded fast hash.
type Seen = papaya::HashMap<Box<str>, Arc<Caller>, foldhash::fast::RandomState>;

pub(crate) struct ByHand {
    inner: Hello<Plain>,
    floor: Floor,
    seen: Option<Seen>,
}

#[derive(Clone)]
struct Known(#[allow(dead_code, reason = "for a handler to read")] Arc<Caller>);

enum Refusal {
    Missing,
    Bad,
    Scope,
}

impl ByHand {
    pub(crate) fn new(issuer: &Issuer) -> Self {
        Self { inner: Hello::new(), floor: Floor::new(issuer), seen: None }
    }

    pub(crate) fn remembering(issuer: &Issuer) -> Self {
        Self { seen: Some(Seen::default()), ..Self::new(issuer) }
    }

    fn admit(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Refusal> {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Refusal::Missing)?;
        let caller = self.caller(token).ok_or(Refusal::Bad)?;
        let may = caller.scope.split(' ').any(|scope| scope == NEEDED);
        if may { Ok(caller) } else { Err(Refusal::Scope) }
    }

    fn caller(&self, token: &str) -> Option<Arc<Caller>> {
        let Some(seen) = &self.seen else { return self.floor.verify(token) };
        let seen = seen.pin();
        if let Some(caller) = seen.get(token) {
            return (unix_time() < caller.expires).then(|| Arc::clone(caller));
        }
        let caller = self.floor.verify(token)?;
        seen.insert(token.into(), Arc::clone(&caller));
        Some(caller)
    }
}

impl Service<Call> for ByHand {
    type Response = Plain;
    type Error = Infallible;
    type Future = Ready<Result<Plain, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Call) -> Self::Future {
        match self.admit(request.headers()) {
            Ok(caller) => {
                request.extensions_mut().insert(Known(caller));
                self.inner.call(request)
            }
            Err(refusal) => ready(Ok(refuse(refusal))),
        }
    }
}

/// With the headers that a gate's refusal has.
fn refuse(refusal: Refusal) -> Plain {
    let (status, challenge, body): (_, _, &'static str) = match refusal {
        Refusal::Missing => {
            (StatusCode::UNAUTHORIZED, "Bearer realm=\"api\"", r#"{"error":"missing"}"#)
        }
        Refusal::Bad => (
            StatusCode::UNAUTHORIZED,
            "Bearer realm=\"api\", error=\"invalid_token\"",
            r#"{"error":"invalid_token"}"#,
        ),
        Refusal::Scope => (
            StatusCode::FORBIDDEN,
            "Bearer realm=\"api\", error=\"insufficient_scope\"",
            r#"{"error":"insufficient_scope"}"#,
        ),
    };
    let mut response = Plain::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}
