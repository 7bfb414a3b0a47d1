//! Small documents that anybody may read: key sets, metadata.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest, Sha256};

/// A document in memory, and what is said of it to caches (RFC 9110, RFC 9111).
#[derive(Clone, Debug)]
pub(crate) struct Document {
    text: Bytes,
    headers: HeaderMap,
}

impl Document {
    /// Caches may keep it for `max_age`, in whole seconds.
    pub(crate) fn new(kind: &'static str, text: String, max_age: Duration) -> Self {
        let digest = Sha256::digest(&text);
        let etag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let cache = match max_age.as_secs() {
            0 => "no-cache".to_owned(),
            secs => format!("public, max-age={secs}"),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        for (name, value) in [(CACHE_CONTROL, cache), (ETAG, format!("\"{etag}\""))] {
            // Digits, letters and quotes are visible ASCII; without a header nothing is cached.
            let _ = HeaderValue::try_from(value).map(|value| headers.insert(name, value));
        }
        Self { text: text.into(), headers }
    }

    pub(crate) fn answer(&self, method: &Method, asked: &HeaderMap) -> Response<DocumentBody> {
        let mut response = Response::new(DocumentBody(None));
        if *method != Method::GET && *method != Method::HEAD {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        *response.headers_mut() = self.headers.clone();
        if self.is_known(asked) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(CONTENT_TYPE);
        } else if *method == Method::HEAD {
            response.headers_mut().insert(CONTENT_LENGTH, self.text.len().into());
        } else {
            response.body_mut().0 = Some(self.text.clone());
        }
        response
    }

    /// RFC 9110 section 13.1.2: weak comparison, any of a list.
    fn is_known(&self, asked: &HeaderMap) -> bool {
        let Some(own) = self.headers.get(ETAG) else { return false };
        let lines = asked.get_all(IF_NONE_MATCH).iter();
        let tags = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        tags.map(<[u8]>::trim_ascii).any(|tag| {
            let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
            tag == b"*" || tag == own.as_bytes()
        })
    }
}

/// The body of a document's answer: all of it, or nothing.
#[derive(Debug)]
pub struct DocumentBody(Option<Bytes>);

impl Body for DocumentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}
