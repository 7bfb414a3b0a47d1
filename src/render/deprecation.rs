//! Tells the holder of a key that has a successor.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{KeyRecord, Timestamp};

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Since when a key has a successor, and when it ends.
///
/// ```
/// use http::HeaderMap;
/// use keygate::render::Deprecation;
/// use keygate::{KeyDigest, KeyRecord, Tenant, Timestamp};
///
/// let old = KeyRecord::new("key_1", KeyDigest::of("…"), Tenant::new("acme"))
///     .with_successor("key_2".into(), Timestamp::from_secs(1_688_169_599))
///     .with_expires(Timestamp::from_secs(1_719_791_999));
/// let mut headers = HeaderMap::new();
/// Deprecation::of(&old).unwrap().apply(&mut headers);
/// assert_eq!(headers["deprecation"], "@1688169599");
/// assert_eq!(headers["sunset"], "Sun, 30 Jun 2024 23:59:59 GMT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deprecation {
    /// Since when the key has a successor.
    pub since: Timestamp,
    /// From when on it is refused.
    pub sunset: Option<Timestamp>,
}

impl Deprecation {
    /// That of a key; `None` if it has no successor.
    pub fn of(key: &KeyRecord) -> Option<Self> {
        let sunset = key.expires();
        key.deprecated().map(|since| Self { since, sunset })
    }

    /// Writes `Deprecation` (RFC 9745) and, where an end is known, `Sunset` (RFC 8594). Where the
    /// service has said either of itself, its own words stand: the route ends for all keys.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if headers.contains_key(DEPRECATION) || headers.contains_key(SUNSET) {
            return;
        }
        insert(headers, DEPRECATION, format!("@{}", self.since.as_secs()));
        // RFC 9745 section 4: the end is not before the deprecation.
        if let Some(end) = self.sunset.filter(|end| *end >= self.since) {
            insert(headers, SUNSET, httpdate::fmt_http_date(SystemTime::from(end)));
        }
    }
}

/// Digits, letters and spaces make a value always.
fn insert(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}
