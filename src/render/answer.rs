//! From a rejection to the whole answer.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, TRAILER,
    TRANSFER_ENCODING,
};
use http::response::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Response};

use super::body::number;
use super::{Challenge, Problem, RateLimitHeaders, Render, Rendered, grpc, is_grpc};
use crate::limit::Standings;
use crate::{Rejection, RejectionKind};

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wire {
    /// HTTP.
    Http,
    /// HTTP, and no body may follow the headers (RFC 9110 section 9.3.2).
    Head,
    /// gRPC: see [`is_grpc`].
    Grpc,
}

impl Wire {
    /// What a request of this method and these headers speaks.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        if method == Method::POST && is_grpc(headers) {
            Self::Grpc
        } else if method == Method::HEAD {
            Self::Head
        } else {
            Self::Http
        }
    }
}

/// How a gate answers those it refuses.
///
/// The default is [`Problem`] with `Bearer realm="api"` and `X-RateLimit-*`.
///
/// ```
/// use std::time::Duration;
/// use keygate::render::{Refusals, Wire};
/// use keygate::{Rejection, RejectionKind, Standings};
///
/// let rejection = Rejection::new(RejectionKind::Unavailable)
///     .with_retry_after(Duration::from_millis(1_500));
/// let answer = Refusals::default().respond(rejection, &Standings::default(), Wire::Http);
/// assert_eq!(answer.status(), 503);
/// assert_eq!(answer.headers()["retry-after"], "2");
/// let why = answer.extensions().get::<Rejection>().map(Rejection::kind);
/// assert_eq!(why, Some(RejectionKind::Unavailable));
/// ```
#[derive(Clone)]
pub struct Refusals {
    render: Arc<dyn Render>,
    challenge: Challenge,
    rate_limit_headers: RateLimitHeaders,
}

impl Refusals {
    /// Refusals whose bodies `render` makes.
    pub fn new(render: impl Render) -> Self {
        Self {
            render: Arc::new(render),
            challenge: Challenge::default(),
            rate_limit_headers: RateLimitHeaders::default(),
        }
    }

    /// The same with bodies by `render`.
    #[must_use]
    pub fn render(mut self, render: impl Render) -> Self {
        self.render = Arc::new(render);
        self
    }

    /// The same with this `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = challenge;
        self
    }

    /// The same with these rate-limit headers.
    #[must_use]
    pub fn rate_limit_headers(mut self, headers: RateLimitHeaders) -> Self {
        self.rate_limit_headers = headers;
        self
    }

    /// Writes the rate-limit headers of an answer that is no refusal.
    pub fn announce(&self, standings: &Standings, headers: &mut HeaderMap) {
        self.rate_limit_headers.apply(standings, headers);
    }

    /// The answer to a request that is refused.
    ///
    /// The rejection is in its extensions, with the wait that the client was told.
    pub fn respond(&self, why: Rejection, standings: &Standings, wire: Wire) -> Response<Bytes> {
        let (mut parts, ()) = Response::new(()).into_parts();
        let body = self.fill(&mut parts, why, standings, wire);
        Response::from_parts(parts, body)
    }

    /// The same onto an answer that an inner service began: status and headers change in place, and
    /// the body that is returned replaces its body.
    ///
    /// Headers that do not describe the old body, such as those of CORS, stay.
    pub fn rewrite(
        &self,
        parts: &mut Parts,
        why: Rejection,
        standings: &Standings,
        wire: Wire,
    ) -> Bytes {
        OF_THE_OLD_BODY.iter().for_each(|name| drop(parts.headers.remove(name)));
        self.fill(parts, why, standings, wire)
    }

    pub(crate) fn fill(
        &self,
        parts: &mut Parts,
        why: Rejection,
        standings: &Standings,
        wire: Wire,
    ) -> Bytes {
        let why = with_wait(why, standings);
        let body = self.write(parts, &why, wire);
        parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.challenge.apply(&why, &mut parts.headers);
        self.rate_limit_headers.write_refused(standings, &why, &mut parts.headers);
        parts.extensions.insert(why.answered(true));
        body
    }

    /// The answer of whoever refuses behind a gate: a problem document, to which the gate gives its
    /// own form.
    pub(crate) fn unanswered(why: Rejection, wire: Wire) -> Response<Bytes> {
        static PLAIN: LazyLock<Refusals> = LazyLock::new(Refusals::default);
        let mut response = PLAIN.respond(why.clone(), &Standings::default(), wire);
        response.extensions_mut().insert(why.answered(false));
        response
    }

    /// The rejection in the extensions of an answer whose form no gate has made yet.
    pub fn pending(extensions: &Extensions) -> Option<&Rejection> {
        extensions.get().filter(|why: &&Rejection| !why.is_answered())
    }

    fn write(&self, parts: &mut Parts, why: &Rejection, wire: Wire) -> Bytes {
        if wire == Wire::Grpc {
            grpc::write(parts, why, &self.render.message(why));
            return Bytes::new();
        }
        let Rendered { content_type, body } = self.render.render(why);
        parts.status = why.status();
        parts.headers.insert(CONTENT_TYPE, content_type);
        if wire == Wire::Head {
            // Otherwise the body tells its length by itself.
            parts.headers.insert(CONTENT_LENGTH, number(body.len() as u64));
            return Bytes::new();
        }
        body
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self::new(Problem::new())
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals")
            .field("challenge", &self.challenge)
            .field("rate_limit_headers", &self.rate_limit_headers)
            .finish_non_exhaustive()
    }
}

const OF_THE_OLD_BODY: [HeaderName; 11] = [
    ACCEPT_RANGES,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    TRAILER,
    TRANSFER_ENCODING,
];

/// Long enough for a store to come back, short enough that no client gives up.
const A_MOMENT: Duration = Duration::from_secs(5);

/// Says when to come back: always where failures are too many or a store is away. A rate limit that
/// knows no wait is one that no wait would satisfy, so there none is made up.
fn with_wait(why: Rejection, standings: &Standings) -> Rejection {
    match why.kind() {
        _ if why.retry_after().is_some() => why,
        RejectionKind::RateLimited => {
            why.with_reset(standings.tightest().map_or(A_MOMENT, |s| s.reset_after))
        }
        RejectionKind::TooManyFailures | RejectionKind::Unavailable => {
            why.with_retry_after(A_MOMENT)
        }
        _ => why,
    }
}
