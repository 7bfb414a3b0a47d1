//! A client over real sockets.

use std::error::Error;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

type Inner = legacy::Client<HttpConnector, Full<Bytes>>;

/// An HTTP client for one server. Follows no redirects, keeps no cookies, adds no headers.
#[derive(Clone)]
pub struct Client {
    inner: Inner,
    base: String,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:3001`.
    pub fn new(base: impl Into<String>) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { inner, base: base.into() }
    }

    /// The same over HTTP/2 without TLS.
    pub fn http2(base: impl Into<String>) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Self { inner, base: base.into() }
    }

    /// The server's base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A GET.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// Any request.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.base).parse().expect("a path");
        Call { client: self.inner.clone(), request }
    }
}

/// A request to be sent.
#[must_use]
pub struct Call {
    client: Inner,
    request: Request<Full<Bytes>>,
}

impl Call {
    /// Adds a header line; the same name twice is two lines.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = http::HeaderName::try_from(name).expect("a header name");
        let value = http::HeaderValue::from_bytes(value.as_ref()).expect("a header value");
        self.request.headers_mut().append(name, value);
        self
    }

    /// Adds `Authorization: Bearer …`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sends this JSON.
    pub fn json(mut self, body: &Value) -> Self {
        *self.request.body_mut() = Full::from(body.to_string());
        self.header("content-type", "application/json")
    }

    /// Sends these bytes.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// The same of a server that may be gone.
    ///
    /// # Errors
    ///
    /// When there is no whole answer.
    pub async fn try_send(self) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let (parts, body) = self.client.request(self.request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A header's only line, as text; `None` if there is none.
    ///
    /// # Panics
    ///
    /// When there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.get_all(name).iter();
        let line = lines.next().map(|line| line.to_str().expect("text"));
        assert!(lines.next().is_none(), "{name} stands twice in {:?}", self.headers);
        line
    }

    /// A header's number.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn number(&self, name: &str) -> u64 {
        let text = self.header(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}"))
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }
}
