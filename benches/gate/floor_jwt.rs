//! A JWT of HS256 by hand: the key parsed once, buffers on the stack, claims borrowed.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use tower::Service;

use crate::cases::{Answered, Hello};
use crate::floor::unix_time;

#[derive(Clone)]
pub(crate) struct FloorJwt {
    pub(crate) inner: Hello,
    pub(crate) key: Arc<hmac::Key>,
    pub(crate) issuer: &'static str,
    pub(crate) audience: &'static str,
    pub(crate) needed: &'static str,
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
}

#[derive(Deserialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    scope: &'a str,
    exp: u64,
}

#[derive(Clone)]
struct Caller(#[allow(dead_code, reason = "for a handler to read")] Arc<(String, String)>);

impl FloorJwt {
    fn admit(&self, headers: &HeaderMap) -> Option<Caller> {
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let mut buffer = [0; 1024];
        let length = URL_SAFE_NO_PAD.decode_slice(header, &mut buffer).ok()?;
        let header: Header<'_> = serde_json::from_slice(&buffer[..length]).ok()?;
        if header.alg != "HS256" {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut buffer).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &buffer[..length]).ok()?;
        let length = URL_SAFE_NO_PAD.decode_slice(payload, &mut buffer).ok()?;
        let claims = std::str::from_utf8(&buffer[..length]).ok()?;
        self.accept(&serde_json::from_str(claims).ok()?)
    }

    fn accept(&self, claims: &Claims<'_>) -> Option<Caller> {
        let good = claims.iss == self.issuer
            && claims.aud == self.audience
            && unix_time() < claims.exp
            && claims.scope.split(' ').any(|scope| scope == self.needed);
        good.then(|| Caller(Arc::new((claims.sub.to_owned(), claims.scope.to_owned()))))
    }
}

impl Service<Request<Full<Bytes>>> for FloorJwt {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Answered>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Self::Future {
        if let Some(caller) = self.admit(request.headers()) {
            request.extensions_mut().insert(caller);
            return self.inner.call(request);
        }
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static("Bearer realm=\"api\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        ready(Ok(response))
    }
}
