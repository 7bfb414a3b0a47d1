//! Is a cookie's request sent by a page of this origin? Defence against cross-site requests.

use http::header::{HOST, HeaderName, HeaderValue, ORIGIN, UPGRADE};
use http::{HeaderMap, Method};

use crate::credential::Sender;
use crate::{ConfigError, Head, Rejection, RejectionKind};

/// What proves that a page of this origin sent a request whose credential a browser adds by itself.
///
/// Browsers send a cookie with every request, whoever caused it. Requests with an unsafe method (and
/// upgrades, which reach WebSockets) therefore need `Sec-Fetch-Site: same-origin`, or, from older
/// browsers, an `Origin` that names the request's own host. Requests with GET, HEAD and OPTIONS pass:
/// they must have no side effects. `Authorization: Basic`, which programs send too, is refused only
/// where one of the two names another site.
///
/// ```
/// use keygate::policy::SameOrigin;
///
/// let strict = SameOrigin::new();
/// let with_app = SameOrigin::new().trusting("https://app.example.com")?;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SameOrigin {
    trusted: Vec<String>,
    without_proof: bool,
}

impl SameOrigin {
    /// Proof is needed, and no other origin is trusted.
    pub const fn new() -> Self {
        Self { trusted: Vec::new(), without_proof: false }
    }

    /// Trusts another origin too, such as `https://app.example.com`.
    ///
    /// # Errors
    ///
    /// When `origin` is not a scheme and a host, and possibly a port.
    pub fn trusting(mut self, origin: &str) -> Result<Self, ConfigError> {
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        if scheme.is_empty() || host.is_empty() || host.contains(['/', '?', '#', '@', '*', ' ']) {
            return Err(ConfigError::invalid("origin", origin, "not of the form scheme://host"));
        }
        self.trusted.push(origin.to_ascii_lowercase());
        Ok(self)
    }

    /// Admits requests that carry neither `Origin` nor `Sec-Fetch-Site`. Every browser of this decade
    /// sends one of them with an unsafe method, so that such a request comes from a program, which no
    /// foreign page controls; older browsers are protected by the cookie's `SameSite` alone.
    #[must_use]
    pub const fn admit_programs(mut self) -> Self {
        self.without_proof = true;
        self
    }

    /// Judges a request. The gate does so where the credential is a cookie; a handler that sets such
    /// a cookie asks by itself, or a foreign page could sign its visitors in as somebody else.
    ///
    /// # Errors
    ///
    /// [`CrossSite`](RejectionKind::CrossSite).
    pub fn check<'r>(&self, request: impl Into<Head<'r>>) -> Result<(), Rejection> {
        self.judge(request.into(), Sender::Browser).map_err(Rejection::new)
    }

    pub(crate) fn judge(&self, request: Head<'_>, sender: Sender) -> Result<(), RejectionKind> {
        match sender {
            Sender::Program => Ok(()),
            Sender::BrowserOrProgram => self.judge_browser(request, true),
            Sender::Browser => self.judge_browser(request, self.without_proof),
        }
    }

    fn judge_browser(&self, request: Head<'_>, without_proof: bool) -> Result<(), RejectionKind> {
        if is_safe(request) || self.proves(request, without_proof) {
            Ok(())
        } else {
            Err(RejectionKind::CrossSite)
        }
    }

    fn proves(&self, request: Head<'_>, without_proof: bool) -> bool {
        const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
        let site = only(request.headers, SEC_FETCH_SITE);
        let origin = only(request.headers, ORIGIN);
        match (site, origin) {
            (Given::None, Given::None) => without_proof,
            (Given::Twice, _) | (_, Given::Twice) => false,
            (_, Given::Once(origin)) if self.trusts(origin) => true,
            (Given::Once(site), _) => site == "same-origin" || site == "none",
            (Given::None, Given::Once(origin)) => names_host(origin, request),
        }
    }

    fn trusts(&self, origin: &HeaderValue) -> bool {
        self.trusted.iter().any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
    }
}

fn is_safe(request: Head<'_>) -> bool {
    matches!(*request.method, Method::GET | Method::HEAD | Method::OPTIONS)
        && !request.headers.contains_key(UPGRADE)
}

enum Given<'h> {
    None,
    Once(&'h HeaderValue),
    Twice,
}

fn only(headers: &HeaderMap, name: HeaderName) -> Given<'_> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Given::None,
        (Some(value), None) => Given::Once(value),
        (Some(_), Some(_)) => Given::Twice,
    }
}

/// The scheme is left out: behind a proxy that ends TLS it is not known here.
fn names_host(origin: &HeaderValue, request: Head<'_>) -> bool {
    let host = match only(request.headers, HOST) {
        Given::Once(host) => Some(host.as_bytes()),
        // HTTP/2 has the host in the request's target.
        Given::None => request.uri.authority().map(|authority| authority.as_str().as_bytes()),
        Given::Twice => None,
    };
    let named = host_of(origin);
    named.zip(host).is_some_and(|(named, host)| named.eq_ignore_ascii_case(host))
}

fn host_of(origin: &HeaderValue) -> Option<&[u8]> {
    let text = origin.as_bytes();
    let host = text.strip_prefix(b"https://").or(text.strip_prefix(b"http://"))?;
    (!host.is_empty()).then_some(host)
}
