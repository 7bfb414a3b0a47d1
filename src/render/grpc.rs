//! Refusals in gRPC's form: HTTP 200 whose one block of headers is the trailers too.

use std::fmt::Write as _;

use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{Rejection, RejectionKind};

const GRPC: &[u8] = b"application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// How long a client that retries by itself is to wait (gRFC A6, "Pushback").
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// True when the request with these headers is one of gRPC.
///
/// `application/grpc-web` is not: its framing differs, and its clients map HTTP statuses to the
/// codes that gRPC would have (401 to `UNAUTHENTICATED`, 403 to `PERMISSION_DENIED`, 429 to
/// `RESOURCE_EXHAUSTED`), so for them the plain answer is the right one.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use keygate::render::is_grpc;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("content-type", HeaderValue::from_static("application/grpc+proto"));
/// assert!(is_grpc(&headers));
/// headers.insert("content-type", HeaderValue::from_static("application/grpc-web"));
/// assert!(!is_grpc(&headers));
/// ```
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().split_at_checked(GRPC.len()).is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';'))
        })
    })
}

/// Turns `parts` into that refusal; it has no body, because clients take one for a message.
pub(super) fn write(parts: &mut Parts, why: &Rejection, message: &str) {
    parts.status = StatusCode::OK;
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    parts.headers.insert(GRPC_STATUS, status(why.kind()));
    if let Ok(message) = HeaderValue::try_from(percent_encoded(message)) {
        parts.headers.insert(GRPC_MESSAGE, message);
    }
    if let Some(pushback) = pushback(why) {
        parts.headers.insert(PUSHBACK, pushback);
    }
}

/// In milliseconds, rounded up; -1, which means never, where no wait helps or it is longer than
/// clients can read.
fn pushback(why: &Rejection) -> Option<HeaderValue> {
    let wait = match why.retry_after() {
        None if why.kind() == RejectionKind::RateLimited => None,
        None => return None,
        Some(wait) => i32::try_from(wait.as_nanos().div_ceil(1_000_000)).ok(),
    };
    Some(wait.map_or(HeaderValue::from_static("-1"), HeaderValue::from))
}

/// gRPC's code. A client must not take another try for a cure of a malformed request, nor fresh
/// credentials: hence `INVALID_ARGUMENT` (3), not `UNAUTHENTICATED`, for what is 400 in HTTP.
fn status(kind: RejectionKind) -> HeaderValue {
    HeaderValue::from_static(match kind.status() {
        StatusCode::BAD_REQUEST => "3",
        StatusCode::FORBIDDEN => "7",
        StatusCode::TOO_MANY_REQUESTS => "8",
        StatusCode::SERVICE_UNAVAILABLE => "14",
        _ => "16",
    })
}

/// The `Percent-Encoded` of gRPC over HTTP/2: all but visible ASCII, space, and `%` itself.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
