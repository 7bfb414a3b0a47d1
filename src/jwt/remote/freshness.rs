//! For how long an answer says that it is fresh (RFC 9111).

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

/// `None` where the answer doesn't say.
pub(super) fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let mut lifetime = None;
    for directive in directives(headers) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let stated = match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(0),
            // RFC 9111 section 4.2.1: what can't be read is stale.
            "max-age" => Some(value.trim().trim_matches('"').parse().unwrap_or(0)),
            _ => None,
        };
        lifetime = stated.into_iter().chain(lifetime).min();
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    lifetime.map(|secs: u64| Duration::from_secs(secs.saturating_sub(age)))
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn secs(lines: &[&'static str], age: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
        }
        age.map(|age| headers.insert(AGE, HeaderValue::from_static(age)));
        lifetime(&headers).map(|lifetime| lifetime.as_secs())
    }

    #[test]
    fn cache_control_says_for_how_long_an_answer_is_fresh() {
        for (lines, age, expected) in [
            (&[][..], None, None),
            (&["public"], None, None),
            (&["max-age=300"], None, Some(300)),
            (&["Public, MAX-AGE=300, must-revalidate"], None, Some(300)),
            (&["max-age=\"300\""], None, Some(300)),
            (&["max-age=300"], Some("100"), Some(200)),
            (&["max-age=300"], Some("900"), Some(0)),
            (&["max-age=300"], Some("soon"), Some(300)),
            (&["s-maxage=900, max-age=300"], None, Some(300)),
            (&["max-age=300", "max-age=100"], None, Some(100)),
            (&["max-age=300", "no-store"], None, Some(0)),
            (&["no-cache"], None, Some(0)),
            (&["max-age=-1"], None, Some(0)),
            (&["max-age"], None, Some(0)),
            (&["max-age=99999999999999999999"], None, Some(0)),
            (&["max-age=18446744073709551615"], None, Some(u64::MAX)),
        ] {
            assert_eq!(secs(lines, age), expected, "{lines:?} {age:?}");
        }
    }
}
