//! The one thing that an envelope decides: the body of a refusal and its type.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;

use crate::Rejection;

/// Gives refusals their body. Closures implement it.
///
/// ```
/// use keygate::{Rejection, Render, Rendered};
///
/// let short = |rejection: &Rejection| Rendered::text(rejection.kind().code());
/// let rejection = Rejection::new(keygate::RejectionKind::KeyExpired);
/// assert_eq!(short.render(&rejection).body(), "key_expired");
/// ```
pub trait Render: Send + Sync + 'static {
    /// The body for `rejection`.
    fn render(&self, rejection: &Rejection) -> Rendered;

    /// What a gRPC client is told in `grpc-message`: by default the text of the rejection's kind.
    ///
    /// An envelope that answers two kinds alike answers them alike here too.
    fn message(&self, rejection: &Rejection) -> Cow<'_, str> {
        Cow::Borrowed(rejection.kind().text())
    }
}

impl<F> Render for F
where
    F: Fn(&Rejection) -> Rendered + Send + Sync + 'static,
{
    fn render(&self, rejection: &Rejection) -> Rendered {
        self(rejection)
    }
}

/// A body and its content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
}

impl Rendered {
    /// A body of any type.
    ///
    /// ```
    /// use http::HeaderValue;
    /// use keygate::Rendered;
    ///
    /// let page = Rendered::new(HeaderValue::from_static("text/html"), "<p>Please sign in.");
    /// assert_eq!(page.content_type(), "text/html");
    /// ```
    pub fn new(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { content_type, body: body.into() }
    }

    /// Plain text in UTF-8.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::new(HeaderValue::from_static("text/plain; charset=utf-8"), text)
    }

    /// `value` as JSON.
    ///
    /// What JSON can't tell, such as a map whose keys are no strings, gives an empty body: status
    /// and headers still say what happened.
    ///
    /// ```
    /// use keygate::Rendered;
    ///
    /// let rendered = Rendered::json(&[("a", 1)]);
    /// assert_eq!(rendered.body(), r#"[["a",1]]"#);
    /// assert_eq!(rendered.content_type(), "application/json");
    /// ```
    pub fn json(value: &(impl Serialize + ?Sized)) -> Self {
        Self::new(JSON, json(value))
    }

    /// The same, for whose body nobody has to count who uses it.
    pub(super) fn lasting(&'static self) -> Self {
        Self { content_type: self.content_type.clone(), body: Bytes::from_static(&self.body) }
    }

    /// The content type.
    pub const fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// The body.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}

/// A number as a header, in one allocation where `HeaderValue::from` takes two.
pub(super) fn number(number: u64) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    // Digits are visible ASCII.
    HeaderValue::from_str(digits.format(number)).unwrap_or(HeaderValue::from_static("0"))
}

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn json(value: &(impl Serialize + ?Sized)) -> Bytes {
    serde_json::to_vec(value).map(Bytes::from).unwrap_or_default()
}
