//! The JSON bodies of the APIs that this crate was made for, and one that many others use.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Serialize;

use super::body::{Render, Rendered};
use super::wording::{ByKind, Wording};
use crate::{Rejection, RejectionKind};

/// A JSON body of one of three forms; codes and texts can be replaced one by one.
///
/// ```
/// use keygate::{Envelope, Rejection, RejectionKind, Render};
///
/// let envelope = Envelope::nested()
///     .code(RejectionKind::KeyInvalid, "BAD_KEY")
///     .text(RejectionKind::KeyInvalid, "We don't know this key");
/// assert_eq!(
///     envelope.render(&Rejection::new(RejectionKind::KeyInvalid)).body(),
///     r#"{"error":{"code":"BAD_KEY","message":"We don't know this key"}}"#
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Envelope {
    form: Form,
    wording: Wording,
    answers: ByKind<Rendered>,
}

impl Envelope {
    /// `{"success":false,"error":"Rate limit exceeded","code":"RATE_LIMIT_EXCEEDED","retryAfter":3600}`
    ///
    /// `retryAfter`, in seconds, stands where the status is 429. It is what `Retry-After` says; on a
    /// 429 without that header, which no wait would help, it is the time until the tightest limit's
    /// window ends.
    pub fn g_tateth() -> Self {
        static MADE: LazyLock<Envelope> = LazyLock::new(|| {
            Envelope::new(Form::Success, Wording::new(g_tateth_code, g_tateth_text))
        });
        MADE.lasting()
    }

    /// `{"error":"invalid_api_key"}`
    ///
    /// The form has no text: what is set with [`text`](Self::text) is shown to nobody.
    pub fn convotic() -> Self {
        static MADE: LazyLock<Envelope> = LazyLock::new(|| {
            Envelope::new(Form::Flat, Wording::new(convotic_code, RejectionKind::text))
        });
        MADE.lasting()
    }

    /// `{"error":{"code":"RATE_LIMITED","message":"Rate limit exceeded"}}`
    ///
    /// The codes are those of [`RejectionKind::code`] in capitals.
    pub fn nested() -> Self {
        static MADE: LazyLock<Envelope> = LazyLock::new(|| {
            let upper = |kind: RejectionKind| kind.code().to_ascii_uppercase();
            Envelope::new(Form::Nested, Wording::new(upper, RejectionKind::text))
        });
        MADE.lasting()
    }

    /// The same with another text for `kind`.
    #[must_use]
    pub fn text(mut self, kind: RejectionKind, text: impl Into<Cow<'static, str>>) -> Self {
        self.wording.set_text(kind, text.into());
        self.rebuilt(kind)
    }

    /// The same with another code for `kind`.
    #[must_use]
    pub fn code(mut self, kind: RejectionKind, code: impl Into<Cow<'static, str>>) -> Self {
        self.wording.set_code(kind, code.into());
        self.rebuilt(kind)
    }

    fn new(form: Form, wording: Wording) -> Self {
        let answers = ByKind::from_fn(|kind| form.answer(&wording, kind, None));
        Self { form, wording, answers }
    }

    fn lasting(&'static self) -> Self {
        Self { answers: self.answers.lasting(), wording: self.wording.clone(), form: self.form }
    }

    fn rebuilt(mut self, kind: RejectionKind) -> Self {
        self.answers.set(kind, self.form.answer(&self.wording, kind, None));
        self
    }

    /// The number of seconds that the body tells, if it does.
    fn retry_after(&self, rejection: &Rejection) -> Option<u64> {
        let told = matches!(self.form, Form::Success) && rejection.status() == 429;
        told.then(|| rejection.wait_or_reset_secs()).flatten()
    }
}

impl Render for Envelope {
    fn render(&self, rejection: &Rejection) -> Rendered {
        let kind = rejection.kind();
        match self.retry_after(rejection) {
            None => self.answers.get(kind).clone(),
            told => self.form.answer(&self.wording, kind, told),
        }
    }

    fn message(&self, rejection: &Rejection) -> Cow<'_, str> {
        Cow::Borrowed(match self.form {
            Form::Flat => self.wording.code(rejection.kind()),
            Form::Success | Form::Nested => self.wording.text(rejection.kind()),
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Success,
    Flat,
    Nested,
}

impl Form {
    fn answer(self, wording: &Wording, kind: RejectionKind, retry_after: Option<u64>) -> Rendered {
        let (code, text) = (wording.code(kind), wording.text(kind));
        match self {
            Self::Success => {
                Rendered::json(&Success { success: false, error: text, code, retry_after })
            }
            Self::Flat => Rendered::json(&Member { error: code }),
            Self::Nested => Rendered::json(&Member { error: Nested { code, message: text } }),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Success<'a> {
    success: bool,
    error: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Member<T> {
    error: T,
}

#[derive(Serialize)]
struct Nested<'a> {
    code: &'a str,
    message: &'a str,
}

const fn g_tateth_text(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::KeyInvalid => "Invalid or expired API key",
        _ => kind.text(),
    }
}

const fn g_tateth_code(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::AddressDenied => "IP_NOT_ALLOWED",
        RejectionKind::AmbiguousCredential => "AUTH_AMBIGUOUS",
        RejectionKind::CrossSite => "CROSS_SITE_REQUEST",
        RejectionKind::InvalidPath => "INVALID_PATH",
        RejectionKind::InsufficientScope | RejectionKind::NotPermitted => {
            "INSUFFICIENT_PERMISSIONS"
        }
        RejectionKind::KeyExpired => "API_KEY_EXPIRED",
        RejectionKind::KeyInactive => "API_KEY_INACTIVE",
        RejectionKind::KeyInvalid => "API_KEY_INVALID",
        RejectionKind::MissingCredential => "AUTH_REQUIRED",
        RejectionKind::RateLimited | RejectionKind::TooManyFailures => "RATE_LIMIT_EXCEEDED",
        RejectionKind::TenantSuspended => "TENANT_SUSPENDED",
        RejectionKind::TokenExpired => "AUTH_EXPIRED",
        RejectionKind::TokenInvalid => "AUTH_INVALID",
        RejectionKind::Unavailable => "SERVICE_UNAVAILABLE",
    }
}

const fn convotic_code(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::AddressDenied
        | RejectionKind::InsufficientScope
        | RejectionKind::NotPermitted => "insufficient_permissions",
        RejectionKind::AmbiguousCredential => "ambiguous_credentials",
        RejectionKind::CrossSite => "cross_site_request",
        RejectionKind::InvalidPath => "invalid_path",
        RejectionKind::KeyExpired
        | RejectionKind::KeyInactive
        | RejectionKind::KeyInvalid
        | RejectionKind::TenantSuspended => "invalid_api_key",
        RejectionKind::MissingCredential => "missing_api_key",
        RejectionKind::RateLimited | RejectionKind::TooManyFailures => "rate_limit_exceeded",
        RejectionKind::TokenExpired => "session_expired",
        RejectionKind::TokenInvalid => "invalid_session",
        RejectionKind::Unavailable => "service_unavailable",
    }
}
