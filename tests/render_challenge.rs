//! `WWW-Authenticate`, read back by a parser that knows nothing of the one who wrote it.

#![allow(clippy::unwrap_used)]

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use keygate::render::{Challenge, Refusals, Scheme, Wire};
use keygate::{Problem, Rejection, RejectionKind, Standings};
use proptest::prelude::*;

type Parsed = (String, Vec<(String, String)>);

/// One challenge: scheme and parameters (RFC 9110 section 11.3). `None` for anything else, for
/// control characters, and for a parameter that comes twice.
fn parse(line: &[u8]) -> Option<Parsed> {
    let line = std::str::from_utf8(line).ok()?;
    if !line.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return None;
    }
    let (scheme, mut rest) = line.split_once(' ')?;
    let mut params: Vec<(String, String)> = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"")?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return None;
        }
        let (value, after) = unquote(after)?;
        if params.iter().any(|(other, _)| other == name) {
            return None;
        }
        params.push((name.to_owned(), value));
        if after.is_empty() {
            return Some((scheme.to_owned(), params));
        }
        rest = after.strip_prefix(", ")?;
    }
}

/// The text up to the closing quote, and what comes after.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

fn challenges(challenge: &Challenge, rejection: &Rejection) -> Vec<Parsed> {
    let mut headers = HeaderMap::new();
    challenge.apply(rejection, &mut headers);
    headers.get_all(WWW_AUTHENTICATE).iter().map(|v| parse(v.as_bytes()).unwrap()).collect()
}

fn param(params: &[(String, String)], name: &str) -> Option<String> {
    params.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
}

fn names(challenges: &[Parsed]) -> Vec<&str> {
    challenges.iter().map(|(scheme, _)| scheme.as_str()).collect()
}

const ALL: &[Scheme] = &[Scheme::Bearer, Scheme::Basic, Scheme::ApiKey];

#[test]
fn the_parser_refuses_what_is_no_challenge() {
    for bad in [
        "Bearer",
        "Bearer realm",
        "Bearer realm=api",
        "Bearer realm=\"api",
        "Bearer realm=\"a\" b=\"c\"",
        "Bearer realm=\"a\", realm=\"b\"",
        "Bearer realm=\"a\", ",
        "Bearer realm=\"\u{7f}\"",
    ] {
        assert_eq!(parse(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(param(&parse(br#"B a="x\"y", b="z""#).unwrap().1, "a").unwrap(), r#"x"y"#);
}

#[test]
fn every_401_has_a_challenge_for_every_scheme() {
    let challenge = Challenge::new("api").unwrap().offering(ALL);
    for kind in RejectionKind::ALL {
        let found = challenges(&challenge, &kind.into());
        if kind.status() == 401 {
            assert_eq!(names(&found), ["Bearer", "Basic", "ApiKey"], "{kind:?}");
        } else {
            assert!(names(&found).iter().all(|name| *name == "Bearer"), "{kind:?}");
        }
        for (_, params) in found {
            assert_eq!(params[0], ("realm".to_owned(), "api".to_owned()));
        }
    }
}

#[test]
fn errors_are_those_of_rfc_6750() {
    let challenge = Challenge::default();
    let error = |kind: RejectionKind| {
        let found = challenges(&challenge, &kind.into());
        found.first().map(|(_, params)| param(params, "error").unwrap_or_default())
    };
    for kind in RejectionKind::ALL {
        let expected = match (kind, kind.status().as_u16()) {
            (RejectionKind::MissingCredential, _) => Some(""),
            (_, 401) => Some("invalid_token"),
            (RejectionKind::AmbiguousCredential, _) => Some("invalid_request"),
            (RejectionKind::InsufficientScope, _) => Some("insufficient_scope"),
            _ => None,
        };
        assert_eq!(error(kind).as_deref(), expected, "{kind:?}");
    }
}

#[test]
fn without_bearer_only_401_is_challenged_and_says_no_error() {
    let challenge = Challenge::new("api").unwrap().offering(&[Scheme::ApiKey]);
    for kind in RejectionKind::ALL {
        let found = challenges(&challenge, &kind.into());
        assert_eq!(found.len(), usize::from(kind.status() == 401), "{kind:?}");
        assert!(found.iter().all(|(_, params)| params.len() == 1));
    }
}

#[test]
fn a_gate_without_a_scheme_still_challenges() {
    let challenge = Challenge::new("api").unwrap().offering(&[]);
    let found = challenges(&challenge, &RejectionKind::KeyInvalid.into());
    assert_eq!(names(&found), ["ApiKey"]);
}

#[test]
fn a_scheme_is_offered_once() {
    let twice = [Scheme::ApiKey, Scheme::Bearer, Scheme::ApiKey];
    let challenge = Challenge::new("api").unwrap().offering(&twice);
    let found = challenges(&challenge, &RejectionKind::MissingCredential.into());
    assert_eq!(names(&found), ["ApiKey", "Bearer"]);
}

#[test]
fn a_realm_is_quoted_and_escaped() {
    let challenge = Challenge::new(r#"a "b" \c"#).unwrap();
    let mut headers = HeaderMap::new();
    challenge.apply(&RejectionKind::MissingCredential.into(), &mut headers);
    assert_eq!(headers[WWW_AUTHENTICATE], r#"Bearer realm="a \"b\" \\c""#);
}

#[test]
fn a_realm_with_other_characters_is_refused() {
    for realm in ["a\r\nb", "a\tb", "ä", "\u{7f}", "\0"] {
        let error = Challenge::new(realm).unwrap_err();
        assert!(error.to_string().starts_with("invalid realm"), "{realm:?}");
    }
}

#[test]
fn a_description_is_replaced_or_left_out() {
    let kind = RejectionKind::TokenExpired;
    let told = |text| {
        let challenge = Challenge::default().text(kind, text).unwrap();
        param(&challenges(&challenge, &kind.into())[0].1, "error_description")
    };
    assert_eq!(told("Sign in again").as_deref(), Some("Sign in again"));
    assert_eq!(told(""), None);
}

#[test]
fn a_description_outside_rfc_6750_is_refused() {
    for text in ["a\"b", "a\\b", "a\nb", "ü", "\t"] {
        let error = Challenge::default().text(RejectionKind::KeyInvalid, text).unwrap_err();
        assert!(error.to_string().starts_with("invalid error_description"), "{text:?}");
    }
}

#[test]
fn scopes_that_are_none_are_left_out_whole() {
    let scope = |scopes: &str| {
        let rejection = Rejection::new(RejectionKind::InsufficientScope).with_scopes(scopes);
        param(&challenges(&Challenge::default(), &rejection)[0].1, "scope")
    };
    assert_eq!(scope("read:a  write:b ").as_deref(), Some("read:a write:b"));
    assert_eq!(scope("read:a ev\"il wr\\ite x\r\ny ü write:b").as_deref(), Some("read:a write:b"));
    assert_eq!(scope("\" \\ \r\n"), None);
    assert_eq!(scope(""), None);
}

#[test]
fn scopes_are_told_with_no_other_kind() {
    for kind in RejectionKind::ALL {
        let rejection = Rejection::new(kind).with_scopes("read:a");
        for (_, params) in challenges(&Challenge::default(), &rejection) {
            let expected = (kind == RejectionKind::InsufficientScope).then(|| "read:a".to_owned());
            assert_eq!(param(&params, "scope"), expected, "{kind:?}");
        }
    }
}

#[test]
fn lines_that_were_there_are_replaced() {
    let mut headers = HeaderMap::new();
    headers.append(WWW_AUTHENTICATE, "Negotiate".parse().unwrap());
    headers.append(WWW_AUTHENTICATE, "Basic realm=\"inner\"".parse().unwrap());
    Challenge::default().apply(&RejectionKind::KeyInvalid.into(), &mut headers);
    assert_eq!(headers.get_all(WWW_AUTHENTICATE).iter().count(), 1);
    Challenge::default().apply(&RejectionKind::AddressDenied.into(), &mut headers);
    assert!(!headers.contains_key(WWW_AUTHENTICATE));
}

fn any_kind() -> impl Strategy<Value = RejectionKind> {
    prop::sample::select(RejectionKind::ALL.to_vec())
}

/// Texts that are likely to break out of a quoted string.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,24}", "[a:\"\\\\, =\r\n\t\u{7f}ü]{0,24}"]
}

proptest! {
    #[test]
    fn whatever_the_realm_it_is_read_back_or_refused(realm in hostile(), kind in any_kind()) {
        let fits = realm.bytes().all(|b| (0x20..0x7f).contains(&b));
        let challenge = Challenge::new(&realm);
        prop_assert_eq!(challenge.is_ok(), fits);
        if let Ok(challenge) = challenge {
            let found = challenges(&challenge.offering(ALL), &kind.into());
            prop_assert!(kind.status() != 401 || found.len() == 3);
            for (_, params) in found {
                prop_assert_eq!(param(&params, "realm"), Some(realm.clone()));
            }
        }
    }

    #[test]
    fn whatever_the_scopes_they_inject_nothing(scopes in hostile(), realm in "[ -~]{0,12}") {
        let rejection = Rejection::new(RejectionKind::InsufficientScope).with_scopes(&*scopes);
        let found = challenges(&Challenge::new(&realm).unwrap(), &rejection);
        let params = &found[0].1;
        prop_assert_eq!(param(params, "error"), Some("insufficient_scope".to_owned()));
        prop_assert!(params.iter().all(|(n, _)| ["realm", "error", "scope"].contains(&n.as_str())));
        for told in param(params, "scope").iter().flat_map(|told| told.split(' ')) {
            prop_assert!(scopes.split(' ').any(|scope| scope == told));
        }
    }

    #[test]
    fn whatever_the_description_it_is_read_back_or_refused(text in hostile()) {
        let kind = RejectionKind::TokenInvalid;
        if let Ok(challenge) = Challenge::default().text(kind, &text) {
            let told = param(&challenges(&challenge, &kind.into())[0].1, "error_description");
            prop_assert_eq!(told.unwrap_or_default(), text);
        }
    }

    #[test]
    fn whatever_the_text_grpc_and_json_carry_it_whole(text in hostile(), kind in any_kind()) {
        let refusals = Refusals::new(Problem::new().text(kind, text.clone()));
        let respond = |wire| refusals.respond(kind.into(), &Standings::default(), wire);
        let grpc = respond(Wire::Grpc);
        let message = grpc.headers()["grpc-message"].as_bytes();
        prop_assert!(message.iter().all(|b| (0x20..0x7f).contains(b)));
        prop_assert_eq!(percent_decoded(message), text.clone());
        let problem: serde_json::Value = serde_json::from_slice(respond(Wire::Http).body()).unwrap();
        prop_assert_eq!(problem["detail"].as_str(), Some(text.as_str()));
    }
}

fn percent_decoded(text: &[u8]) -> String {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(&after[..2]).unwrap();
            out.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &after[2..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    String::from_utf8(out).unwrap()
}
