//! Rate-limit headers: the widespread `X-RateLimit-*` and the fields of the IETF's draft.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::body::number;
use crate::Rejection;
use crate::limit::{Standing, Standings};
use crate::rejection::secs_ceil;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What `X-RateLimit-Reset` counts. No standard says, and the vendors disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// The time as Unix seconds, rounded up.
    #[default]
    UnixTime,
    /// The seconds from now on, rounded up.
    Delta,
}

/// Which rate-limit headers answers carry.
///
/// `X-RateLimit-Limit`, `-Remaining` and `-Reset` tell of the [tightest](Standings::tightest)
/// limit. `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) tell of all.
/// They replace headers of the same names. How many requests may run at a time is told by the draft's
/// fields only.
///
/// ```
/// use std::time::Duration;
/// use http::HeaderMap;
/// use keygate::render::{RateLimitHeaders, Reset};
/// use keygate::{Standing, Standings, Timestamp};
///
/// let mut hourly = Standing::new("hourly", 500, Duration::from_secs(3600));
/// hourly.remaining = 499;
/// hourly.reset = Timestamp::from_secs(1_711_900_800);
/// hourly.reset_after = Duration::from_secs(60);
/// let mut standings = Standings::default();
/// standings.push(hourly);
///
/// let mut headers = HeaderMap::new();
/// RateLimitHeaders::x().and_draft().apply(&standings, &mut headers);
/// assert_eq!(headers["x-ratelimit-reset"], "1711900800");
/// assert_eq!(headers["ratelimit-policy"], r#""hourly";q=500;w=3600"#);
/// assert_eq!(headers["ratelimit"], r#""hourly";r=499;t=60"#);
///
/// RateLimitHeaders::x().reset(Reset::Delta).apply(&standings, &mut headers);
/// assert_eq!(headers["x-ratelimit-reset"], "60");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitHeaders {
    x: bool,
    draft: bool,
    reset: Reset,
}

impl RateLimitHeaders {
    /// `X-RateLimit-*`, the default.
    pub const fn x() -> Self {
        Self { x: true, ..Self::off() }
    }

    /// The fields of the IETF's draft.
    pub const fn draft() -> Self {
        Self { draft: true, ..Self::off() }
    }

    /// None.
    pub const fn off() -> Self {
        Self { x: false, draft: false, reset: Reset::UnixTime }
    }

    /// The same and the fields of the IETF's draft.
    #[must_use]
    pub const fn and_draft(mut self) -> Self {
        self.draft = true;
        self
    }

    /// The same with another meaning of `X-RateLimit-Reset`; the draft's fields always count from
    /// now on.
    #[must_use]
    pub const fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// Writes the headers; without a standing, none.
    #[inline]
    pub fn apply(&self, standings: &Standings, headers: &mut HeaderMap) {
        if self.x || self.draft {
            self.write(standings, None, headers);
        }
    }

    /// The same onto a refusal, and `Retry-After` where it tells of a wait.
    pub(super) fn write_refused(&self, all: &Standings, why: &Rejection, headers: &mut HeaderMap) {
        self.write(all, why.retry_after(), headers);
    }

    /// Where `Retry-After` says `wait`, that must not end before the windows of the draft's used-up
    /// quotas do.
    fn write(&self, all: &Standings, wait: Option<Duration>, headers: &mut HeaderMap) {
        let wait_secs = wait.map(|wait| secs_ceil(wait).max(1));
        match all.tightest() {
            Some(tightest) if self.x => self.write_x(tightest, wait_secs, headers),
            _ => wait_secs
                .into_iter()
                .for_each(|secs| drop(headers.insert(RETRY_AFTER, number(secs)))),
        }
        if self.draft && !all.as_slice().is_empty() {
            write_draft(all.as_slice(), wait.unwrap_or(Duration::MAX), headers);
        }
    }

    fn write_x(&self, standing: &Standing, wait: Option<u64>, headers: &mut HeaderMap) {
        let reset = match self.reset {
            Reset::UnixTime => standing.reset.as_secs_ceil(),
            Reset::Delta => secs_ceil(standing.reset_after),
        };
        let mut digits = Digits::default();
        let numbers = [standing.limit, standing.remaining, reset];
        let [limit, remaining, reset] = numbers.map(|number| digits.push(number));
        if let Some(secs) = wait {
            digits.push(secs);
        }
        // One allocation for all values: `from_owner` keeps digits and count of users together. The
        // last value takes what is left, so that there is no user more than values.
        let mut digits = Bytes::from_owner(digits);
        insert(headers, LIMIT, digits.split_to(limit));
        insert(headers, REMAINING, digits.split_to(remaining));
        insert(headers, RESET, digits.split_to(reset));
        if wait.is_some() {
            insert(headers, RETRY_AFTER, digits);
        }
    }
}

impl Default for RateLimitHeaders {
    fn default() -> Self {
        Self::x()
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Bytes) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value) {
        headers.insert(name, value);
    }
}

/// Room for four numbers of 64 bits.
struct Digits {
    bytes: [u8; 80],
    end: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self { bytes: [0; 80], end: 0 }
    }
}

impl Digits {
    /// The length of `number` in decimal digits.
    fn push(&mut self, number: u64) -> usize {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        self.bytes[self.end..][..text.len()].copy_from_slice(text);
        self.end += text.len();
        text.len()
    }
}

impl AsRef<[u8]> for Digits {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.end]
    }
}

fn write_draft(all: &[Standing], wait: Duration, headers: &mut HeaderMap) {
    let mut text = String::with_capacity(all.len() * 96);
    for standing in all {
        item(&mut text, standing, 'q', standing.limit);
        match secs_ceil(standing.window) {
            0 => text.push_str(CONCURRENT),
            window => parameter(&mut text, 'w', window),
        }
        text.push_str(", ");
    }
    let end = text.len();
    for standing in all {
        item(&mut text, standing, 'r', standing.remaining);
        if !standing.window.is_zero() {
            let wait = if standing.remaining == 0 { wait } else { Duration::MAX };
            parameter(&mut text, 't', secs_ceil(standing.reset_after.min(wait)));
        }
        text.push_str(", ");
    }
    let text = Bytes::from(text);
    // Each item ends in ", ", which stands between the members of a list only.
    insert(headers, RATELIMIT_POLICY, text.slice(..end - 2));
    insert(headers, RATELIMIT, text.slice(end..text.len() - 2));
}

/// The greatest Integer of structured fields (RFC 9651 section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// The draft's unit of a quota for what runs at a time; it has no window.
const CONCURRENT: &str = ";qu=\"concurrent-requests\"";

fn item(out: &mut String, standing: &Standing, name: char, amount: u64) {
    out.push('"');
    standing.name.as_str().chars().for_each(|c| push_sf_char(out, c));
    out.push('"');
    parameter(out, name, amount);
}

fn parameter(out: &mut String, name: char, value: u64) {
    // Writing to a String can't fail.
    let _ = write!(out, ";{name}={}", value.min(MAX_INTEGER));
}

/// A String of structured fields is ASCII; what is not becomes `_`.
fn push_sf_char(out: &mut String, c: char) {
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        ' '..='~' => out.push(c),
        _ => out.push('_'),
    }
}
