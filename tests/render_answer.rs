//! The rest of an answer: rate-limit headers, `Retry-After`, gRPC's mark, and what stays readable.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use keygate::render::{Challenge, RateLimitHeaders, Refusals, Reset, Wire, is_grpc};
use keygate::{Envelope, Rejection, RejectionKind, Standing, Standings, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_711_900_000);

fn standing(
    name: &str,
    limit: u64,
    window: u64,
    remaining: u64,
    reset_after: Duration,
) -> Standing {
    let mut standing = Standing::new(name, limit, Duration::from_secs(window));
    standing.remaining = remaining;
    standing.reset = NOW.saturating_add(reset_after);
    standing.reset_after = reset_after;
    standing
}

fn standings(all: impl IntoIterator<Item = Standing>) -> Standings {
    let mut standings = Standings::default();
    all.into_iter().for_each(|standing| standings.push(standing));
    standings
}

fn two() -> Standings {
    standings([
        standing("burst", 100, 60, 98, Duration::from_millis(1_001)),
        standing("daily", 5_000, 86_400, 17, Duration::from_secs(800)),
    ])
}

fn written(config: RateLimitHeaders, standings: &Standings) -> Vec<(String, String)> {
    let mut headers = HeaderMap::new();
    config.apply(standings, &mut headers);
    let mut all: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    all.sort();
    all
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

type Item = (String, Vec<(String, u64)>);

/// A List of Strings with Integer parameters (RFC 9651), and nothing else.
fn parse_list(text: &str) -> Option<Vec<Item>> {
    let mut rest = text;
    let mut items = Vec::new();
    loop {
        let (name, after) = parse_string(rest)?;
        let end = after.find(',').unwrap_or(after.len());
        let mut params = Vec::new();
        for param in after[..end].strip_prefix(';')?.split(';') {
            let (key, value) = param.split_once('=')?;
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            let known = ["q", "w", "r", "t"].contains(&key);
            if !known || !digits || value.is_empty() || value.len() > 15 {
                return None;
            }
            params.push((key.to_owned(), value.parse().ok()?));
        }
        items.push((name, params));
        if end == after.len() {
            return Some(items);
        }
        rest = after[end..].strip_prefix(", ")?;
    }
}

fn parse_string(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut out = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                c @ ('"' | '\\') => out.push(c),
                _ => return None,
            },
            ' '..='~' => out.push(c),
            _ => return None,
        }
    }
    None
}

#[test]
fn the_parser_refuses_the_drafts_older_forms() {
    for bad in [
        "",
        "limit=100, remaining=50",
        "100;w=60",
        "\"a\"",
        "\"a\";q=-1",
        "\"a\";q=1,",
        "\"ä\";q=1",
    ] {
        assert_eq!(parse_list(bad), None, "{bad}");
    }
}

#[test]
fn x_headers_tell_of_the_tightest_limit() {
    let expected = [
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "17"),
        ("x-ratelimit-reset", "1711900800"),
    ];
    assert_eq!(written(RateLimitHeaders::default(), &two()), pairs(&expected));
    assert_eq!(written(RateLimitHeaders::x(), &two()), pairs(&expected));
}

#[test]
fn the_drafts_headers_tell_of_all_limits() {
    let expected = [
        ("ratelimit", r#""burst";r=98;t=2, "daily";r=17;t=800"#),
        ("ratelimit-policy", r#""burst";q=100;w=60, "daily";q=5000;w=86400"#),
    ];
    assert_eq!(written(RateLimitHeaders::draft(), &two()), pairs(&expected));
}

#[test]
fn both_or_none() {
    assert_eq!(written(RateLimitHeaders::x().and_draft(), &two()).len(), 5);
    assert_eq!(written(RateLimitHeaders::off(), &two()), []);
    assert_eq!(written(RateLimitHeaders::x().and_draft(), &Standings::default()), []);
}

#[test]
fn reset_is_rounded_up_in_both_units() {
    let reset = |config: RateLimitHeaders, nanos| {
        let one = standings([standing("a", 1, 1, 0, Duration::from_nanos(nanos))]);
        written(config, &one).pop().unwrap().1
    };
    let unix = RateLimitHeaders::x();
    assert_eq!(reset(unix, 0), "1711900000");
    assert_eq!(reset(unix, 1), "1711900001");
    assert_eq!(reset(unix, 1_000_000_000), "1711900001");
    let delta = RateLimitHeaders::x().reset(Reset::Delta);
    assert_eq!(reset(delta, 0), "0");
    assert_eq!(reset(delta, 1), "1");
    assert_eq!(reset(delta, 1_000_000_001), "2");
}

#[test]
fn the_greatest_numbers_fit() {
    let mut most = standing("a", u64::MAX, u64::MAX, u64::MAX, Duration::MAX);
    most.reset = Timestamp::MAX;
    let all = written(RateLimitHeaders::x().and_draft().reset(Reset::Delta), &standings([most]));
    let most = u64::MAX.to_string();
    assert_eq!(all[0].1, "\"a\";r=999999999999999;t=999999999999999");
    assert_eq!(all[1].1, "\"a\";q=999999999999999;w=999999999999999");
    assert!(all[2..].iter().all(|(_, value)| *value == most));
}

#[test]
fn a_window_of_the_draft_is_positive() {
    let mut short = standing("a", 1, 0, 1, Duration::ZERO);
    short.window = Duration::from_millis(250);
    let all = written(RateLimitHeaders::draft(), &standings([short]));
    assert_eq!(all[1].1, "\"a\";q=1;w=1");
}

#[test]
fn what_runs_at_a_time_has_a_unit_and_no_window() {
    let at_once = || standing("at once", 10, 0, 3, Duration::ZERO);
    let config = RateLimitHeaders::x().and_draft();
    let expected = [
        ("ratelimit", r#""at once";r=3"#),
        ("ratelimit-policy", r#""at once";q=10;qu="concurrent-requests""#),
    ];
    assert_eq!(written(config, &standings([at_once()])), pairs(&expected));
    let all = written(
        config,
        &standings([at_once(), standing("daily", 5, 86_400, 4, Duration::from_secs(9))]),
    );
    let told = |name: &str| all.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
    assert_eq!(told("x-ratelimit-remaining"), Some("4"), "of the limit that has a window");
    assert_eq!(told("ratelimit"), Some(r#""at once";r=3, "daily";r=4;t=9"#));
}

#[test]
fn no_rate_limit_refusal_may_be_cached_or_leaves_a_grpc_client_without_the_facts() {
    for wire in [Wire::Http, Wire::Head, Wire::Grpc] {
        for wait in [None, Some(Duration::from_millis(1_500))] {
            let why = Rejection::new(RejectionKind::RateLimited);
            let why = wait.map_or(why.clone(), |wait| why.with_retry_after(wait));
            let answer = Refusals::default().respond(why, &two(), wire);
            let told = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(told("cache-control"), Some("no-store"));
            assert_eq!(told("x-ratelimit-limit"), Some("5000"));
            assert_eq!(told("retry-after"), wait.map(|_| "2"), "{wire:?}");
            let pushback = wait.map_or("-1", |_| "1500");
            let expected = (wire == Wire::Grpc).then_some(pushback);
            assert_eq!(told("grpc-retry-pushback-ms"), expected, "{wire:?}");
        }
    }
}

#[test]
fn a_grpc_client_is_pushed_back_for_as_long_as_it_must_wait_or_for_ever() {
    let pushback = |why: Rejection| {
        let answer = Refusals::default().respond(why, &Standings::default(), Wire::Grpc);
        answer.headers().get("grpc-retry-pushback-ms").map(|ms| ms.to_str().unwrap().to_owned())
    };
    for (nanos, ms) in [(1, "1"), (1_000_000, "1"), (1_000_001, "2"), (60_000_000_000, "60000")] {
        assert_eq!(pushback(limited(Duration::from_nanos(nanos))).as_deref(), Some(ms));
    }
    let longest = Duration::from_millis(i32::MAX as u64);
    assert_eq!(pushback(limited(longest)).as_deref(), Some("2147483647"));
    for never in [longest + Duration::from_nanos(1), Duration::MAX] {
        assert_eq!(pushback(limited(never)).as_deref(), Some("-1"), "no client reads more");
    }
    use RejectionKind::{TooManyFailures, Unavailable};
    for kind in RejectionKind::ALL {
        let expected = [TooManyFailures, Unavailable].contains(&kind).then_some("5000");
        let expected = if kind == RejectionKind::RateLimited { Some("-1") } else { expected };
        assert_eq!(pushback(kind.into()).as_deref(), expected, "{kind:?}");
    }
}

#[test]
fn headers_that_were_there_are_replaced() {
    let mut headers = HeaderMap::new();
    headers.append("x-ratelimit-limit", HeaderValue::from_static("1"));
    headers.append("x-ratelimit-limit", HeaderValue::from_static("2"));
    headers.append("ratelimit", HeaderValue::from_static("\"inner\";r=1"));
    RateLimitHeaders::x().and_draft().apply(&two(), &mut headers);
    assert_eq!(headers.get_all("x-ratelimit-limit").iter().collect::<Vec<_>>(), ["5000"]);
    assert_eq!(headers.get_all("ratelimit").iter().count(), 1);
}

#[test]
fn three_values_share_one_buffer() {
    let mut headers = HeaderMap::new();
    RateLimitHeaders::x().apply(&two(), &mut headers);
    let place = |name: &str| headers[name].as_bytes().as_ptr() as usize;
    assert_eq!(place("x-ratelimit-remaining") - place("x-ratelimit-limit"), "5000".len());
    assert_eq!(place("x-ratelimit-reset") - place("x-ratelimit-remaining"), "17".len());
}

fn respond(rejection: Rejection, standings: &Standings) -> Response<Bytes> {
    let refusals =
        Refusals::new(Envelope::g_tateth()).rate_limit_headers(RateLimitHeaders::x().and_draft());
    refusals.respond(rejection, standings, Wire::Http)
}

fn limited(wait: Duration) -> Rejection {
    Rejection::new(RejectionKind::RateLimited).with_retry_after(wait)
}

#[test]
fn retry_after_is_rounded_up_and_at_least_one() {
    for (nanos, secs) in
        [(0, "1"), (1, "1"), (999_000_000, "1"), (1_000_000_000, "1"), (1_000_000_001, "2")]
    {
        let answer = respond(limited(Duration::from_nanos(nanos)), &Standings::default());
        assert_eq!(answer.headers()["retry-after"], secs, "{nanos}");
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["retryAfter"].to_string(), secs, "{nanos}");
    }
    let answer = respond(limited(Duration::MAX), &Standings::default());
    assert_eq!(answer.headers()["retry-after"], u64::MAX.to_string());
}

#[test]
fn a_rate_limit_that_no_wait_ends_tells_none_but_in_the_body_that_must() {
    let answer = respond(RejectionKind::RateLimited.into(), &two());
    assert_eq!(answer.status(), 429);
    assert!(!answer.headers().contains_key("retry-after"));
    assert!(answer.body().ends_with(br#""retryAfter":800}"#), "when the window ends");
    let told = answer.extensions().get::<Rejection>().unwrap().retry_after();
    assert_eq!(told, None);

    let answer = respond(RejectionKind::RateLimited.into(), &Standings::default());
    assert!(answer.body().ends_with(br#""retryAfter":5}"#), "no window is known");
    let full = standings([standing("day", 1, 60, 1, Duration::ZERO)]);
    let answer = respond(RejectionKind::RateLimited.into(), &full);
    assert!(answer.body().ends_with(br#""retryAfter":1}"#), "never 0");
}

#[test]
fn too_many_failures_and_outages_always_say_when_to_come_back() {
    use RejectionKind::{TooManyFailures, Unavailable};
    for kind in RejectionKind::ALL {
        let answer = respond(kind.into(), &Standings::default());
        let expected = [TooManyFailures, Unavailable].contains(&kind).then_some("5");
        let told = answer.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(told, expected, "{kind:?}");
    }
}

#[test]
fn another_kind_may_carry_a_wait_too() {
    let why = Rejection::new(RejectionKind::NotPermitted).with_retry_after(Duration::from_secs(9));
    assert_eq!(respond(why, &Standings::default()).headers()["retry-after"], "9");
}

#[test]
fn retry_after_does_not_end_before_the_window_of_a_used_up_quota() {
    let all = standings([
        standing("burst", 100, 60, 0, Duration::from_secs(60)),
        standing("daily", 5_000, 86_400, 17, Duration::from_secs(800)),
    ]);
    let answer = respond(limited(Duration::from_millis(600)), &all);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.headers()["ratelimit"], r#""burst";r=0;t=1, "daily";r=17;t=800"#);
    assert_eq!(answer.headers()["x-ratelimit-reset"], "1711900060");
}

#[test]
fn a_refusal_of_any_kind_carries_the_standings_it_has() {
    for wire in [Wire::Http, Wire::Head, Wire::Grpc] {
        let why = Rejection::new(RejectionKind::InsufficientScope);
        let answer = Refusals::default().respond(why, &two(), wire);
        assert_eq!(answer.headers()["x-ratelimit-remaining"], "17", "{wire:?}");
    }
}

#[test]
fn an_answer_that_is_no_refusal_announces_the_standings() {
    let mut headers = HeaderMap::new();
    Refusals::default().announce(&two(), &mut headers);
    assert_eq!(headers.len(), 3);
    assert_eq!(headers["x-ratelimit-limit"], "5000");
}

#[test]
fn grpc_is_known_by_its_content_type() {
    let is = |content_type: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        assert_eq!(is_grpc(&headers), Wire::of(&Method::POST, &headers) == Wire::Grpc);
        is_grpc(&headers)
    };
    for yes in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc+json",
        "application/grpc;charset=utf-8",
        "Application/GRPC",
        "APPLICATION/gRPC+Proto",
    ] {
        assert!(is(yes), "{yes}");
    }
    for no in [
        "",
        "application/grp",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpcx",
        " application/grpc",
        "application/json",
        "text/application/grpc",
    ] {
        assert!(!is(no), "{no}");
    }
    assert!(!is_grpc(&HeaderMap::new()));
}

#[test]
fn the_wire_is_read_off_method_and_headers() {
    let mut headers = HeaderMap::new();
    assert_eq!(Wire::of(&Method::GET, &headers), Wire::Http);
    assert_eq!(Wire::of(&Method::HEAD, &headers), Wire::Head);
    headers.insert("content-type", HeaderValue::from_static("application/grpc-web+proto"));
    assert_eq!(Wire::of(&Method::POST, &headers), Wire::Http);
}

#[test]
fn the_rejection_can_be_read_and_is_not_pending() {
    let source = std::io::Error::other("db3.internal is away");
    let why = Rejection::new(RejectionKind::Unavailable).with_source(source);
    let answer = respond(why, &Standings::default());
    let found = answer.extensions().get::<Rejection>().unwrap();
    assert_eq!(std::error::Error::source(found).unwrap().to_string(), "db3.internal is away");
    assert!(Refusals::pending(answer.extensions()).is_none());
    let told = format!("{:?} {:?}", answer.headers(), answer.body());
    assert!(!told.contains("db3"));
}

#[test]
fn a_handlers_rejection_is_pending_until_a_gate_has_given_it_its_form() {
    let mut inner = Response::new(());
    assert!(Refusals::pending(inner.extensions()).is_none());
    inner.extensions_mut().insert(Rejection::new(RejectionKind::NotPermitted));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("set-cookie", "a=b"),
        ("cache-control", "public, max-age=60"),
        ("content-type", "text/plain"),
        ("content-length", "7"),
        ("content-encoding", "gzip"),
        ("etag", "\"1\""),
    ] {
        inner.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let (mut parts, ()) = inner.into_parts();
    let why = Refusals::pending(&parts.extensions).unwrap().clone();
    let refusals = Refusals::default().render(Envelope::convotic());
    let body = refusals.rewrite(&mut parts, why, &Standings::default(), Wire::Http);

    assert_eq!(body, r#"{"error":"insufficient_permissions"}"#);
    assert_eq!(parts.status, 403);
    assert_eq!(parts.headers["access-control-allow-origin"], "https://app.example");
    assert_eq!(parts.headers["set-cookie"], "a=b");
    assert_eq!(parts.headers["cache-control"], "no-store");
    assert_eq!(parts.headers["content-type"], "application/json");
    assert!(!parts.headers.contains_key("content-length"), "the body tells it");
    assert!(!parts.headers.contains_key("content-encoding"));
    assert!(!parts.headers.contains_key("etag"));
    assert!(Refusals::pending(&parts.extensions).is_none());
}

#[test]
fn debug_shows_the_configuration() {
    let refusals = Refusals::default().challenge(Challenge::new("orders").unwrap());
    assert!(format!("{refusals:?}").contains("orders"));
}

proptest! {
    #[test]
    fn whatever_the_standing_the_draft_is_well_formed(
        names in prop::collection::vec(any::<String>(), 1..4),
        (limit, remaining, window, reset) in any::<(u64, u64, Duration, Duration)>(),
    ) {
        let all = standings(names.iter().map(|name| {
            let mut standing = standing(name, limit, 1, remaining, reset);
            standing.window = window;
            standing
        }));
        let written = written(RateLimitHeaders::x().and_draft(), &all);
        prop_assert_eq!(written.len(), 5);
        for (header, keys) in [(0, ["r", "t"]), (1, ["q", "w"])] {
            let list = parse_list(&written[header].1).unwrap();
            prop_assert_eq!(list.len(), names.len());
            for ((told, params), name) in list.iter().zip(&names) {
                prop_assert_eq!([&params[0].0, &params[1].0], keys);
                let ascii = |c: char| if matches!(c, ' '..='~') { c } else { '_' };
                prop_assert_eq!(told, &name.chars().map(ascii).collect::<String>());
            }
        }
    }
}
