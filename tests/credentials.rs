//! Where a credential is found, which kind it is, and when there are too many.

#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Counting, basic, bearer, gate, get, head, holding, live_key, one_key, record, refusal, subject,
    token, verdict, verifier,
};
use http::Method;
use keygate::RejectionKind::{self, *};
use keygate::{Authenticator, ConfigError, KeyFormat, Source, Tenant};
use proptest::prelude::*;

/// Everything is read, everywhere.
fn everywhere() -> (Authenticator, String) {
    let (store, key) = one_key();
    let sources = [
        Source::bearer(),
        Source::basic(),
        Source::header("x-api-key").unwrap(),
        Source::header("x-token").unwrap().tokens_only(),
        Source::cookie("session").unwrap(),
    ];
    let gate = gate(store).jwt(verifier()).sources(sources).unwrap();
    (gate.into_authenticator(), key.reveal().to_owned())
}

fn of(source: Source) -> (Authenticator, String) {
    let (store, key) = one_key();
    let gate = gate(store).jwt(verifier()).sources([source]).unwrap();
    (gate.into_authenticator(), key.reveal().to_owned())
}

/// A place, its header, what stands before the credential, and who passes with a key and a token.
type Row = (Source, &'static str, &'static str, [Result<&'static str, RejectionKind>; 2]);

#[test]
fn every_place_takes_the_kinds_it_is_for_and_refuses_the_other() {
    let jwt = token("");
    let header = |name| Source::header(name).unwrap();
    let table: [Row; 11] = [
        (Source::bearer(), "authorization", "Bearer ", [Ok("key_1"), Ok("ann")]),
        (Source::bearer().keys_only(), "authorization", "Bearer ", [Ok("key_1"), Err(KeyInvalid)]),
        (
            Source::bearer().tokens_only(),
            "authorization",
            "Bearer ",
            [Err(TokenInvalid), Ok("ann")],
        ),
        (Source::basic(), "authorization", "basic", [Ok("key_1"), Err(KeyInvalid)]),
        (Source::basic().tokens_only(), "authorization", "basic", [Err(TokenInvalid), Ok("ann")]),
        (header("x-api-key"), "x-api-key", "", [Ok("key_1"), Err(KeyInvalid)]),
        (header("X-Api-Key").keys_only(), "x-api-key", "", [Ok("key_1"), Err(KeyInvalid)]),
        (header("x-token").tokens_only(), "x-token", "", [Err(TokenInvalid), Ok("ann")]),
        (Source::cookie("s").unwrap(), "cookie", "s=", [Err(TokenInvalid), Ok("ann")]),
        (Source::cookie("s").unwrap().keys_only(), "cookie", "s=", [Ok("key_1"), Err(KeyInvalid)]),
        (
            Source::cookie("__Host-s").unwrap(),
            "cookie",
            "a=b; __Host-s=",
            [Err(TokenInvalid), Ok("ann")],
        ),
    ];
    for (source, name, before, expected) in table {
        let (gate, key) = of(source.clone());
        for (credential, expected) in [&key, &jwt].into_iter().zip(expected) {
            let value = match before {
                "basic" => basic(&format!("{credential}:")),
                before => format!("{before}{credential}"),
            };
            let parts = get(&[(name, &value)]);
            match expected {
                Ok(who) => assert_eq!(subject(&gate, &parts), who, "{source:?}"),
                Err(kind) => assert_eq!(refusal(&gate, &parts), kind, "{source:?}"),
            }
        }
        assert_eq!(refusal(&gate, &get(&[])), MissingCredential);
    }
}

#[test]
fn a_gate_that_is_new_reads_bearer_and_x_api_key_only() {
    let (store, key) = one_key();
    let gate = gate(store).into_authenticator();
    let key = key.reveal();
    assert_eq!(subject(&gate, &bearer(key)), "key_1");
    assert_eq!(subject(&gate, &get(&[("x-api-key", key)])), "key_1");
    let nowhere = [
        ("proxy-authorization", format!("Bearer {key}")),
        ("x-apikey", key.to_owned()),
        ("api-key", key.to_owned()),
        ("x-forwarded-authorization", format!("Bearer {key}")),
        ("cookie", format!("session={key}; x-api-key={key}")),
        ("referer", format!("https://h/?api_key={key}")),
        ("authorization", basic(&format!("{key}:"))),
    ];
    for (name, value) in nowhere {
        assert_eq!(refusal(&gate, &get(&[(name, &value)])), MissingCredential, "{name}");
    }
    assert_eq!(refusal(&gate, &bearer(&token(""))), KeyInvalid, "no JWT is accepted");
}

#[test]
fn the_query_is_never_read() {
    let (gate, key) = everywhere();
    for name in ["access_token", "api_key", "key", "x-api-key", "token", "session"] {
        let parts = head(Method::GET, &format!("/?{name}={key}"), &[]);
        assert_eq!(refusal(&gate, &parts), MissingCredential, "{name}");
    }
}

#[test]
fn schemes_are_read_in_every_case() {
    let (gate, key) = everywhere();
    for scheme in ["Bearer", "bearer", "BEARER", "BeArEr"] {
        let parts = get(&[("authorization", &format!("{scheme} {key}"))]);
        assert_eq!(subject(&gate, &parts), "key_1", "{scheme}");
        let jwt = get(&[("authorization", &format!("{scheme}   {}", token("")))]);
        assert_eq!(subject(&gate, &jwt), "ann", "{scheme} and three spaces");
    }
    for scheme in ["Basic", "basic", "BASIC"] {
        let value = basic(&format!("{key}:")).replacen("Basic", scheme, 1);
        assert_eq!(subject(&gate, &get(&[("authorization", &value)])), "key_1", "{scheme}");
    }
}

#[test]
fn another_scheme_is_somebody_elses() {
    let (gate, key) = everywhere();
    let others = [
        format!("Token {key}"),
        format!("Digest {key}"),
        format!("Bearer2 {key}"),
        format!("Bearer\t{key}"),
        format!("Bearer,{key}"),
        format!("Bearer:{key}"),
        format!("Bearer={key}"),
        format!("\"Bearer\" {key}"),
        key.clone(),
    ];
    for value in others {
        assert_eq!(
            refusal(&gate, &get(&[("authorization", &value)])),
            MissingCredential,
            "{value}"
        );
    }
}

#[test]
fn what_follows_the_scheme_is_one_word_of_visible_ascii() {
    let (gate, key) = everywhere();
    let odd: [Vec<u8>; 12] = [
        b"Bearer".to_vec(),
        b"Bearer ".to_vec(),
        b"Bearer      ".to_vec(),
        format!("Bearer {key} {key}").into(),
        format!("Bearer {key},{key}").into(),
        format!("Bearer {key} ").into(),
        format!("Bearer {key}, realm=\"x\"").into(),
        format!("Bearer \t{key}").into(),
        format!("Bearer {key}\t").into(),
        format!("Bearer \"{key}\"").into(),
        [b"Bearer ".as_slice(), &[0xFF; 40]].concat(),
        format!("Bearer {key}é").into(),
    ];
    for value in odd {
        let parts = head(Method::GET, "/", &[("authorization", &value)]);
        assert_eq!(refusal(&gate, &parts), KeyInvalid, "{:?}", String::from_utf8_lossy(&value));
    }
    for value in ["", " ", "\t", "a b", &format!("{key} "), &format!(" {key}")] {
        assert_eq!(refusal(&gate, &get(&[("x-api-key", value)])), KeyInvalid, "{value:?}");
        assert_eq!(refusal(&gate, &get(&[("x-token", value)])), TokenInvalid, "{value:?}");
    }
}

#[test]
fn what_is_longer_than_16_kib_is_refused_before_it_is_read() {
    let long = KeyFormat::existing("", 16..=255).unwrap();
    let store = Counting::over(holding([]));
    let gate = gate(store.clone()).jwt(verifier()).key_formats([long]).unwrap();
    let gate = gate.into_authenticator();
    for length in [256, 16 * 1024, 16 * 1024 + 1, 1 << 20] {
        assert_eq!(refusal(&gate, &bearer(&"a".repeat(length))), KeyInvalid, "{length}");
        assert_eq!(refusal(&gate, &get(&[("x-api-key", &"a".repeat(length))])), KeyInvalid);
    }
    let dots = ".".repeat(1 << 20);
    assert_eq!(refusal(&gate, &bearer(&dots)), KeyInvalid);
    assert_eq!(store.asked(), 0);
    assert_eq!(refusal(&gate, &bearer(&"a".repeat(255))), KeyInvalid);
    assert_eq!(store.asked(), 1);
}

#[test]
fn one_place_twice_is_ambiguous_even_with_equal_values() {
    let (gate, key) = everywhere();
    let jwt = token("");
    let session = format!("session={jwt}");
    let authorization = format!("Bearer {key}");
    for (name, value) in [
        ("authorization", authorization.as_str()),
        ("x-api-key", &key),
        ("x-token", &jwt),
        ("cookie", &session),
    ] {
        assert!(verdict(&gate, &get(&[(name, value)])).is_ok(), "{name} alone passes");
        for other in [value, "", "x", "Bearer x", "session=x"] {
            let first = get(&[(name, value), (name, other)]);
            let second = get(&[(name, other), (name, value)]);
            let counts = name != "cookie" || other.starts_with("session=");
            let expected = if counts { Err(AmbiguousCredential) } else { Ok(()) };
            for parts in [first, second] {
                let verdict = verdict(&gate, &parts).map(drop).map_err(|why| why.kind());
                assert_eq!(verdict, expected, "{name}: {other:?}");
            }
        }
    }
    let in_one_line = get(&[("cookie", &format!("{session}; {session}"))]);
    assert_eq!(refusal(&gate, &in_one_line), AmbiguousCredential);
}

#[test]
fn two_places_are_ambiguous_whether_good_or_bad_or_equal() {
    let (gate, key) = everywhere();
    let jwt = token("");
    let authorizations = [format!("Bearer {key}"), basic(&format!("{key}:")), "Bearer".into()];
    let values = [
        ("x-api-key", vec![key.clone(), String::new(), "a b".into()]),
        ("x-token", vec![jwt.clone(), String::new()]),
        ("cookie", vec![format!("session={jwt}"), "session=".into(), "session=\"".into()]),
    ];
    for authorization in &authorizations {
        for (name, values) in &values {
            for value in values {
                let parts = get(&[("authorization", authorization), (name, value)]);
                assert_eq!(refusal(&gate, &parts), AmbiguousCredential, "{authorization} {value}");
            }
        }
    }
    let both = get(&[("x-api-key", &key), ("x-token", &jwt)]);
    assert_eq!(refusal(&gate, &both), AmbiguousCredential);
    let all = get(&[("x-api-key", &key), ("x-token", &jwt), ("cookie", &format!("session={jwt}"))]);
    assert_eq!(refusal(&gate, &all), AmbiguousCredential);
}

#[test]
fn a_foreign_scheme_beside_a_key_is_no_second_credential() {
    let (gate, key) = everywhere();
    let parts = get(&[("authorization", "AWS4-HMAC-SHA256 Credential=x"), ("x-api-key", &key)]);
    assert_eq!(subject(&gate, &parts), "key_1");
}

#[test]
fn basic_takes_the_user_name_and_never_the_password() {
    let (gate, key) = of(Source::basic());
    for password in ["", "x", "a:b:c", "päss"] {
        let parts = get(&[("authorization", &basic(&format!("{key}:{password}")))]);
        assert_eq!(subject(&gate, &parts), "key_1", "{password}");
    }
    let bad = [
        basic(&key),
        basic(&format!(":{key}")),
        basic(&format!("user:{key}")),
        basic(&format!(" {key}:")),
        basic(":"),
        basic(""),
        "Basic".into(),
        format!("Basic {key}:"),
        "Basic !!!!".into(),
        basic(&format!("{key}:")).trim_end_matches('=').to_owned() + "=====",
        basic(&format!("{key}:")) + " x",
    ];
    for value in bad {
        assert_eq!(refusal(&gate, &get(&[("authorization", &value)])), KeyInvalid, "{value}");
    }
    let binary = common::head(Method::GET, "/", &[("authorization", b"Basic //79/Pv6Og==")]);
    assert_eq!(refusal(&gate, &binary), KeyInvalid, "no UTF-8");
}

#[test]
fn a_cookie_is_found_among_others_over_several_lines() {
    let (gate, _) = everywhere();
    let jwt = token("");
    let good = [
        vec![format!("session={jwt}")],
        vec![format!("a=b; session={jwt}; c=d")],
        vec![format!("a=b;session={jwt}")],
        vec![format!("a=b;;; session={jwt};")],
        vec!["a=b".into(), format!("session={jwt}"), "c=d".into()],
        vec![format!("session2=x; xsession=y; Session=z; session={jwt}")],
        vec![format!("session; =; session={jwt}")],
    ];
    for lines in good {
        let headers: Vec<_> = lines.iter().map(|line| ("cookie", line.as_str())).collect();
        assert_eq!(subject(&gate, &get(&headers)), "ann", "{lines:?}");
    }
}

#[test]
fn a_cookie_of_another_name_is_not_the_credential() {
    let (gate, _) = everywhere();
    let jwt = token("");
    for name in ["Session", "SESSION", "session2", "xsession", "__Host-session", "session%20", ""] {
        let parts = get(&[("cookie", &format!("{name}={jwt}"))]);
        assert_eq!(refusal(&gate, &parts), MissingCredential, "{name}");
    }
    assert_eq!(refusal(&gate, &get(&[("cookie", &format!("a=session={jwt}"))])), MissingCredential);
    assert_eq!(refusal(&gate, &get(&[("cookie", &jwt)])), MissingCredential);
}

#[test]
fn a_cookie_that_is_empty_quoted_or_broken_is_a_bad_token() {
    let (gate, _) = everywhere();
    let jwt = token("");
    for value in
        ["", "\"\"", &format!("\"{jwt}\""), &format!("{jwt}, x"), "a b", &format!("{jwt}=")]
    {
        let parts = get(&[("cookie", &format!("session={value}"))]);
        assert_eq!(refusal(&gate, &parts), TokenInvalid, "{value}");
    }
    let binary = head(Method::GET, "/", &[("cookie", b"session=\xFF\xFE.a.b")]);
    assert_eq!(refusal(&gate, &binary), TokenInvalid);
}

#[test]
fn cookies_beyond_64_kib_are_not_searched_and_let_nobody_in() {
    let (gate, _) = everywhere();
    let session = format!("session={}", token(""));
    let fill = |length: usize| format!("a={}", "x".repeat(length - 2));
    let fits = fill(64 * 1024 - session.len());
    assert_eq!(subject(&gate, &get(&[("cookie", &fits), ("cookie", &session)])), "ann");
    let over = fill(64 * 1024 - session.len() + 1);
    assert_eq!(refusal(&gate, &get(&[("cookie", &over), ("cookie", &session)])), TokenInvalid);
    assert_eq!(refusal(&gate, &get(&[("cookie", &fill(1 << 20))])), TokenInvalid);
}

#[test]
fn a_key_is_told_from_a_token_by_its_looks_and_never_by_trying() {
    let (gate, key) = everywhere();
    let table = [
        ("a.b.c", TokenInvalid),
        ("a.b.c.d.e", TokenInvalid),
        ("eyJhbGciOiJkaXIifQ..AAAA.BBBB.CCCC", TokenInvalid),
        (".", TokenInvalid),
        ("..", TokenInvalid),
        ("eyJhbGciOiJub25lIn0", KeyInvalid),
        ("pk_live_0123", KeyInvalid),
        ("sk_live_a.b.c", KeyInvalid),
        ("sk_live_", KeyInvalid),
        ("SK_LIVE_x.y.z", TokenInvalid),
    ];
    for (text, kind) in table {
        assert_eq!(refusal(&gate, &bearer(text)), kind, "{text}");
    }
    assert_eq!(refusal(&gate, &bearer(&format!("{key}.{key}.{key}"))), KeyInvalid);
    let store = Counting::over(holding([]));
    let counted = common::gate(store.clone()).jwt(verifier()).into_authenticator();
    assert_eq!(refusal(&counted, &bearer("a.b.c")), TokenInvalid);
    assert_eq!(subject(&counted, &bearer(&token(""))), "ann");
    assert_eq!(store.asked(), 0, "a token never reaches the keys' store");
}

#[test]
fn sources_that_cannot_work_are_refused_at_start_up() {
    let refused = |sources: Vec<Source>| common::gate(holding([])).sources(sources).unwrap_err();
    let header = |name: &str| Source::header(name).unwrap();
    assert!(matches!(refused(vec![]), ConfigError::Invalid { .. }));
    for twice in [
        vec![Source::bearer(), Source::bearer().keys_only()],
        vec![Source::basic(), Source::basic()],
        vec![header("x-api-key"), header("X-API-Key").tokens_only()],
        vec![Source::cookie("a").unwrap(), Source::bearer(), Source::cookie("a").unwrap()],
    ] {
        assert!(refused(twice).to_string().contains("twice"));
    }
    let cookies = vec![Source::cookie("a").unwrap(), Source::cookie("A").unwrap()];
    assert!(common::gate(holding([])).sources(cookies).is_ok(), "cookies differ by case");
    for name in ["", "a b", "ä", "Authorization", "Proxy-Authorization", "Cookie", "a:b", "a\n"] {
        let error = Source::header(name).unwrap_err().to_string();
        assert!(error.contains(&name.to_lowercase().escape_debug().to_string()), "{error}");
    }
    for name in ["", "a b", "a=b", "a;b", "ä", "a,b", "\"a\""] {
        assert!(Source::cookie(name).is_err(), "{name}");
    }
}

/// Header bytes that HTTP allows: everything but controls, TAB excepted.
fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("HTTP", |b| *b == b'\t' || (*b >= 0x20 && *b != 0x7F));
    proptest::collection::vec(byte, 0..most)
}

proptest! {
    #[test]
    fn arbitrary_header_bytes_never_panic_and_never_pass(
        name in prop_oneof![
            Just("authorization"), Just("x-api-key"), Just("x-token"), Just("cookie"),
        ],
        before in prop_oneof![
            Just(""), Just("Bearer "), Just("bearer"), Just("Basic "), Just("session="),
            Just("Bearer sk_live_"), Just("Bearer eyJhbGciOiJIUzI1NiJ9."),
        ],
        rest in bytes(200),
    ) {
        let (gate, _) = everywhere();
        let value = [before.as_bytes(), &rest].concat();
        let refused = verdict(&gate, &head(Method::GET, "/", &[(name, &value)])).unwrap_err();
        prop_assert!(refused.status().is_client_error());
    }

    #[test]
    fn arbitrary_user_names_never_panic_and_never_pass(text in any::<Vec<u8>>()) {
        let (gate, _) = of(Source::basic());
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &text);
        let parts = get(&[("authorization", &format!("Basic {encoded}"))]);
        prop_assert_eq!(refusal(&gate, &parts), KeyInvalid);
    }

    #[test]
    fn a_good_key_with_anything_around_it_never_passes(
        before in bytes(8), after in bytes(8),
    ) {
        let (gate, key) = of(Source::header("x-api-key").unwrap());
        prop_assume!(!before.is_empty() || !after.is_empty());
        let value = [&before, key.as_bytes(), &after].concat();
        let parts = head(Method::GET, "/", &[("x-api-key", &value)]);
        prop_assert_eq!(refusal(&gate, &parts), KeyInvalid);
    }

    #[test]
    fn a_cookie_is_found_as_a_naive_reader_finds_it(
        pairs in proptest::collection::vec(("[ab]{1,2}", "[x.]{0,3}"), 0..6),
    ) {
        let (store, _) = one_key();
        let gate = gate(store).jwt(verifier()).sources([Source::cookie("a").unwrap()]).unwrap();
        let gate = gate.into_authenticator();
        let line: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = match pairs.iter().filter(|(name, _)| name == "a").count() {
            0 => MissingCredential,
            1 => TokenInvalid,
            _ => AmbiguousCredential,
        };
        let parts = get(&[("cookie", &line.join("; "))]);
        prop_assert_eq!(refusal(&gate, &parts), expected);
    }
}

#[test]
fn a_record_of_another_key_is_not_let_in() {
    let (one, two) = (live_key(), live_key());
    let gate = gate(holding([record("key_1", &one, Tenant::new("acme"))])).into_authenticator();
    assert_eq!(refusal(&gate, &bearer(two.reveal())), KeyInvalid);
    assert_eq!(subject(&gate, &bearer(one.reveal())), "key_1");
}
