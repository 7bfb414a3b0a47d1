//! Problem details (RFC 9457): the form of refusals when none is chosen.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::HeaderValue;
use serde::Serialize;

use super::body::{Render, Rendered, json};
use super::wording::{ByKind, Wording};
use crate::{ConfigError, Rejection, RejectionKind};

/// `application/problem+json` with the extension member `code`.
///
/// Without a base, a refusal's type is `about:blank` and its title the phrase of the status (RFC
/// 9457 section 4.2.1); only an exceeded quota has a type of its own, `quota-exceeded` of
/// draft-ietf-httpapi-ratelimit-headers. How long to wait stands in `Retry-After` alone.
///
/// ```
/// use keygate::{Problem, Rejection, RejectionKind, Render};
///
/// let problem = Problem::new().base("https://example.com/errors/")?;
/// assert_eq!(
///     problem.render(&Rejection::new(RejectionKind::KeyExpired)).body(),
///     concat!(
///         r#"{"type":"https://example.com/errors/key_expired","title":"The API key has expired","#,
///         r#""status":401,"detail":"The API key has expired","code":"key_expired"}"#
///     )
/// );
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    base: Option<String>,
    wording: Wording,
    answers: ByKind<Rendered>,
}

impl Problem {
    /// Problem details without types of their own.
    pub fn new() -> Self {
        static MADE: LazyLock<Problem> = LazyLock::new(Problem::made);
        Self { base: None, wording: MADE.wording.clone(), answers: MADE.answers.lasting() }
    }

    fn made() -> Self {
        let wording = Wording::new(RejectionKind::code, RejectionKind::text);
        let answers = ByKind::from_fn(|kind| answer(None, &wording, kind));
        Self { base: None, wording, answers }
    }

    /// The same with types of one's own: `base` followed by [`RejectionKind::code`].
    ///
    /// # Errors
    ///
    /// When `base` is empty or holds a character that no URI may hold.
    pub fn base(mut self, base: &str) -> Result<Self, ConfigError> {
        if !is_uri_text(base) {
            return Err(ConfigError::invalid("base of problem types", base, "not a URI reference"));
        }
        self.base = Some(base.to_owned());
        self.answers = ByKind::from_fn(|kind| self.answer(kind));
        Ok(self)
    }

    /// The same with another `detail` for `kind`.
    #[must_use]
    pub fn text(mut self, kind: RejectionKind, text: impl Into<Cow<'static, str>>) -> Self {
        self.wording.set_text(kind, text.into());
        self.answers.set(kind, self.answer(kind));
        self
    }

    /// The same with another `code` for `kind`.
    #[must_use]
    pub fn code(mut self, kind: RejectionKind, code: impl Into<Cow<'static, str>>) -> Self {
        self.wording.set_code(kind, code.into());
        self.answers.set(kind, self.answer(kind));
        self
    }

    fn answer(&self, kind: RejectionKind) -> Rendered {
        answer(self.base.as_deref(), &self.wording, kind)
    }
}

impl Default for Problem {
    fn default() -> Self {
        Self::new()
    }
}

impl Render for Problem {
    fn render(&self, rejection: &Rejection) -> Rendered {
        self.answers.get(rejection.kind()).clone()
    }

    fn message(&self, rejection: &Rejection) -> Cow<'_, str> {
        Cow::Borrowed(self.wording.text(rejection.kind()))
    }
}

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const QUOTA_TITLE: &str = "Request cannot be satisfied as assigned quota has been exceeded";

#[derive(Serialize)]
struct Details<'a> {
    r#type: Cow<'a, str>,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

fn answer(base: Option<&str>, wording: &Wording, kind: RejectionKind) -> Rendered {
    let (r#type, title) = match (base, kind) {
        (Some(base), _) => (Cow::Owned(format!("{base}{}", kind.code())), wording.text(kind)),
        (None, RejectionKind::RateLimited) => (QUOTA_EXCEEDED.into(), QUOTA_TITLE),
        (None, _) => ("about:blank".into(), kind.status().canonical_reason().unwrap_or_default()),
    };
    let (detail, code) = (wording.text(kind), wording.code(kind));
    let status = kind.status().as_u16();
    Rendered::new(PROBLEM_JSON, json(&Details { r#type, title, status, detail, code }))
}

/// The characters of RFC 3986, without regard to where they stand.
fn is_uri_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
}
