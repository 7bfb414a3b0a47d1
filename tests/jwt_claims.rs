//! What the claims must be: types, issuer, audience, subject, tenant, scopes. Every token here is
//! well signed.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use issuer::*;
use keygate::ScopeSet;
use keygate::jwt::{JwtErrorKind, VerifiedToken};
use serde_json::{Value, json};

/// JSON of every type but text.
fn no_texts() -> [Value; 8] {
    [
        json!(null),
        json!(true),
        json!(7),
        json!(-7.5),
        json!([]),
        json!(["x"]),
        json!({}),
        json!({ "x": "x" }),
    ]
}

#[track_caller]
fn refused(claims: &Value) {
    assert_eq!(refusal_of(claims), JwtErrorKind::Claims, "{claims}");
}

fn accepted(claims: &Value) -> VerifiedToken {
    verify(claims).unwrap_or_else(|error| panic!("{claims}: {error}"))
}

// ---- The set itself -----------------------------------------------------------------------------

#[test]
fn claims_are_a_json_object() {
    let array = json!([NOW + 600, NOW - 60, "user-7", ISSUER, AUDIENCE]).to_string();
    for (payload, kind) in [
        (array.as_str(), JwtErrorKind::Claims),
        (r#""text""#, JwtErrorKind::Claims),
        ("7", JwtErrorKind::Claims),
        ("null", JwtErrorKind::Claims),
        ("", JwtErrorKind::Claims),
        ("{", JwtErrorKind::Malformed),
        ("{}{}", JwtErrorKind::Malformed),
        ("{} x", JwtErrorKind::Malformed),
        ("\u{feff}{}", JwtErrorKind::Claims),
    ] {
        assert_eq!(refusal(&hs256(HEADER, payload)), kind, "{payload}");
    }
}

#[test]
fn an_empty_object_is_refused() {
    refused(&json!({}));
}

#[test]
fn white_space_around_the_claims_is_json_and_fine() {
    let payload = format!(" \r\n\t{} \n", claims());
    assert!(verifier().verify(&hs256(HEADER, payload), now()).is_ok());
}

#[test]
fn unknown_claims_of_every_type_are_ignored() {
    for value in no_texts() {
        accepted(&claims_with("https://issuer.example/own", value));
    }
}

#[test]
fn names_that_begin_alike_are_different_names() {
    let mut claims = claims();
    for name in ["workspace-1", "workspace-2", "workspac", "workspaces"] {
        claims[name] = json!(name);
    }
    let token = token(&claims);
    for name in ["workspace-1", "workspace-2", "workspac", "workspaces"] {
        let verifier = builder().tenant_claim(name).build().unwrap();
        let seen = verifier.verify(&token, now()).unwrap();
        assert_eq!(seen.tenant().unwrap().as_str(), name);
    }
    let absent = builder().tenant_claim("workspace-3").build().unwrap();
    assert!(absent.verify(&token, now()).unwrap().tenant().is_none());
    let twice = claims_and(r#""workspace-1":1,"workspace-1":1"#);
    assert_eq!(refusal(&hs256(HEADER, twice)), JwtErrorKind::Claims);
    let many: Vec<_> = (0..40).map(|index| format!("\"a-long-name-{index}\":1")).collect();
    accepted_payload(&claims_and(&many.join(",")));
    let twice = format!("{},{}", many.join(","), many[3]);
    assert_eq!(refusal(&hs256(HEADER, claims_and(&twice))), JwtErrorKind::Claims);
}

fn accepted_payload(payload: &str) {
    assert!(verifier().verify(&hs256(HEADER, payload), now()).is_ok(), "{payload}");
}

#[test]
fn escaped_names_and_values_are_the_same_claims() {
    let payload = claims().to_string().replace("\"sub\":\"user-7\"", r#""\u0073ub":"us\u0065r-7""#);
    let token = verifier().verify(&hs256(HEADER, payload), now()).unwrap();
    assert_eq!(token.subject(), "user-7");
}

#[test]
fn hundreds_of_claims_are_read() {
    let mut claims = claims();
    for i in 0..300 {
        claims[format!("claim-{i}")] = json!(i);
    }
    accepted(&claims);
}

// ---- iss ----------------------------------------------------------------------------------------

#[test]
fn the_issuer_is_required() {
    refused(&claims_without("iss"));
}

/// CVE-2025-30144
#[test]
fn a_list_of_issuers_is_no_issuer() {
    refused(&claims_with("iss", json!(["https://evil.example", ISSUER])));
    refused(&claims_with("iss", json!([ISSUER])));
}

#[test]
fn an_issuer_of_another_type_is_refused() {
    for value in no_texts() {
        refused(&claims_with("iss", value));
    }
}

/// GHSA-75c5-xw7c-p5pm
#[test]
fn the_issuer_is_compared_exactly() {
    for issuer in [
        "",
        "https://issuer",
        "https://issuer.example/",
        "https://issuer.example.evil.example",
        "https://evil.example/https://issuer.example",
        "HTTPS://issuer.example",
        "https://ISSUER.example",
        "https://issuer.example ",
        "https://issuer.example\u{0}",
        "issuer.example",
    ] {
        refused(&claims_with("iss", json!(issuer)));
    }
}

#[test]
fn any_issuer_is_accepted_only_when_asked_for() {
    let verifier = builder().danger_any_issuer().build().unwrap();
    let verify = |claims: &Value| verifier.verify(&token(claims), now());
    let other = verify(&claims_with("iss", json!("https://other.example"))).unwrap();
    assert_eq!(other.issuer(), Some("https://other.example"));
    assert_eq!(verify(&claims_without("iss")).unwrap().issuer(), None);
    assert!(verify(&claims_with("iss", json!(["a"]))).is_err());
}

// ---- aud ----------------------------------------------------------------------------------------

/// CVE-2020-26160
#[test]
fn the_audience_is_required() {
    refused(&claims_without("aud"));
    refused(&claims_with("aud", json!([])));
    refused(&claims_with("aud", json!("")));
}

#[test]
fn an_audience_of_another_type_is_refused() {
    for value in [json!(null), json!(7), json!(true), json!({ "aud": AUDIENCE })] {
        refused(&claims_with("aud", value));
    }
    for value in [json!([AUDIENCE, 1]), json!([1, AUDIENCE]), json!([[AUDIENCE]]), json!([null])] {
        refused(&claims_with("aud", value));
    }
}

#[test]
fn the_audience_is_compared_exactly() {
    for audience in [
        "https://api.example/",
        "https://api",
        "https://api.example.evil.example",
        "HTTPS://API.EXAMPLE",
        " https://api.example",
        "https://other.example https://api.example",
    ] {
        refused(&claims_with("aud", json!(audience)));
        refused(&claims_with("aud", json!([audience])));
    }
}

#[test]
fn one_member_of_a_list_of_audiences_is_enough() {
    accepted(&claims_with("aud", json!([AUDIENCE])));
    accepted(&claims_with("aud", json!(["https://other.example", AUDIENCE])));
    refused(&claims_with("aud", json!(["https://other.example", "https://third.example"])));
}

#[test]
fn several_audiences_can_be_configured() {
    let verifier = builder().audience("https://second.example").build().unwrap();
    for audience in [AUDIENCE, "https://second.example"] {
        let token = token(&claims_with("aud", json!(audience)));
        assert!(verifier.verify(&token, now()).is_ok(), "{audience}");
    }
    let third = token(&claims_with("aud", json!("https://third.example")));
    assert_eq!(refusal_by(&verifier, &third), JwtErrorKind::Claims);
}

#[test]
fn any_audience_is_accepted_only_when_asked_for() {
    let verifier = builder().danger_any_audience().build().unwrap();
    let verify = |claims: &Value| verifier.verify(&token(claims), now());
    assert!(verify(&claims_with("aud", json!("https://other.example"))).is_ok());
    assert!(verify(&claims_without("aud")).is_ok());
    assert!(verify(&claims_with("aud", json!(7))).is_err());
    assert!(verify(&claims_with("aud", json!(["a", 7]))).is_err());
}

// ---- exp, nbf, iat ------------------------------------------------------------------------------

#[test]
fn the_expiry_is_required() {
    refused(&claims_without("exp"));
}

/// CVE-2026-25537
#[test]
fn a_time_of_another_type_is_refused() {
    for name in ["exp", "nbf", "iat"] {
        for value in [json!(null), json!(true), json!("1700000600"), json!([1]), json!({ "a": 1 })]
        {
            refused(&claims_with(name, value));
        }
    }
}

#[test]
fn a_negative_time_is_refused() {
    for name in ["exp", "nbf", "iat"] {
        for value in [json!(-1), json!(-0.5), json!(i64::MIN), json!(-1e300)] {
            refused(&claims_with(name, value));
        }
    }
}

#[test]
fn a_time_that_is_no_json_number_is_refused() {
    for exp in [
        "1e400",
        "-1e400",
        "NaN",
        "Infinity",
        "0x10",
        "01700000600",
        "+1700000600",
        "1.",
        ".5",
        "1700000600n",
    ] {
        let payload = claims().to_string().replace("1700000600", exp);
        let refused = refusal(&hs256(HEADER, payload));
        assert!([JwtErrorKind::Malformed, JwtErrorKind::Claims].contains(&refused), "{exp}");
    }
}

#[test]
fn exp_zero_is_long_over() {
    assert_eq!(refusal_of(&claims_with("exp", json!(0))), JwtErrorKind::Expired);
    assert_eq!(refusal_of(&claims_with("exp", json!(0.0))), JwtErrorKind::Expired);
}

#[test]
fn a_token_from_the_far_future_is_refused() {
    for name in ["iat", "nbf"] {
        for value in [json!(NOW + 86_400), json!(u64::MAX), json!(1e300)] {
            assert_eq!(refusal_of(&claims_with(name, value)), JwtErrorKind::NotYetValid, "{name}");
        }
    }
}

#[test]
fn only_the_outermost_times_are_times() {
    accepted(&claims_with("session", json!({ "exp": "never", "iat": null, "nbf": ["x"] })));
}

// ---- sub, jti, required claims --------------------------------------------------------------------

#[test]
fn the_subject_is_a_text_that_is_not_empty() {
    refused(&claims_without("sub"));
    refused(&claims_with("sub", json!("")));
    for value in no_texts() {
        refused(&claims_with("sub", value));
    }
}

#[test]
fn the_subject_may_stand_in_another_claim() {
    let verifier = builder().subject_claim("uid").build().unwrap();
    let named = verifier.verify(&token(&claims_with("uid", json!("u-1"))), now()).unwrap();
    assert_eq!(named.subject(), "u-1");
    assert_eq!(refusal_by(&verifier, &good_token()), JwtErrorKind::Claims);
}

#[test]
fn a_time_is_no_subject_whatever_the_configuration() {
    let verifier = builder().subject_claim("exp").tenant_claim("iat").build().unwrap();
    assert_eq!(refusal_by(&verifier, &good_token()), JwtErrorKind::Claims);
}

#[test]
fn a_token_id_is_a_text_where_present() {
    assert_eq!(accepted(&claims_without("jti")).id(), None);
    for value in no_texts() {
        refused(&claims_with("jti", value));
    }
}

#[test]
fn a_required_claim_must_be_there_and_not_null() {
    let verifier = builder().require_claim("client_id").require_claim("iat").build().unwrap();
    let verify = |claims: &Value| verifier.verify(&token(claims), now()).is_ok();
    assert!(!verify(&claims()));
    assert!(!verify(&claims_with("client_id", json!(null))));
    for value in [json!("web"), json!(7), json!(false), json!([]), json!({})] {
        assert!(verify(&claims_with("client_id", value)));
    }
    let mut without_iat = claims_with("client_id", json!("web"));
    without_iat.as_object_mut().unwrap().remove("iat");
    assert!(!verify(&without_iat));
}

// ---- tenant ---------------------------------------------------------------------------------------

#[test]
fn the_tenant_is_a_text_where_present() {
    assert_eq!(accepted(&claims_without("tenant")).tenant(), None);
    refused(&claims_with("tenant", json!("")));
    for value in no_texts() {
        refused(&claims_with("tenant", value));
    }
}

#[test]
fn the_tenant_may_stand_in_another_claim() {
    let verifier = builder().tenant_claim("org_id").build().unwrap();
    let token = verifier.verify(&token(&claims_with("org_id", json!("org-9"))), now()).unwrap();
    assert_eq!(token.tenant().unwrap().as_str(), "org-9");
    assert_eq!(verifier.verify(&good_token(), now()).unwrap().tenant(), None);
}

// ---- scopes ---------------------------------------------------------------------------------------

fn scopes(claims: &Value) -> Vec<String> {
    accepted(claims).scopes().iter().map(ToString::to_string).collect()
}

#[test]
fn scopes_are_a_space_separated_text() {
    for (text, expected) in [
        ("read:a write:a", vec!["read:a", "write:a"]),
        ("read:a", vec!["read:a"]),
        (" read:a   write:a ", vec!["read:a", "write:a"]),
        ("read:a read:a", vec!["read:a"]),
        ("", vec![]),
        ("https://api.example/read", vec!["https://api.example/read"]),
    ] {
        assert_eq!(scopes(&claims_with("scope", json!(text))), expected, "{text:?}");
    }
}

#[test]
fn scopes_may_be_a_list_of_texts() {
    assert_eq!(scopes(&claims_with("scope", json!(["write:a", "read:a"]))), ["read:a", "write:a"]);
    assert!(scopes(&claims_with("scope", json!([]))).is_empty());
}

#[test]
fn scopes_of_another_type_are_refused() {
    for value in [
        json!(null),
        json!(7),
        json!(true),
        json!({ "read:a": true }),
        json!(["read:a", 7]),
        json!([["read:a"]]),
        json!([null]),
    ] {
        refused(&claims_with("scope", value));
    }
}

#[test]
fn what_is_no_scope_token_is_refused() {
    for value in [
        json!("read\ta"),
        json!("read\"a"),
        json!("read\\a"),
        json!("lesen:ä"),
        json!("a\u{0}b"),
        json!(["two words"]),
        json!([""]),
    ] {
        refused(&claims_with("scope", value));
    }
}

#[test]
fn the_first_scope_claim_present_wins() {
    let mut claims = claims_without("scope");
    claims["permissions"] = json!(["third"]);
    assert_eq!(scopes(&claims), ["third"]);
    claims["scp"] = json!(["second"]);
    assert_eq!(scopes(&claims), ["second"]);
    claims["scope"] = json!("first");
    assert_eq!(scopes(&claims), ["first"]);
    claims["scope"] = json!("");
    assert!(scopes(&claims).is_empty());
}

#[test]
fn the_scope_claims_can_be_named() {
    let verifier = builder().scope_claims(["roles"]).build().unwrap();
    let token = verifier.verify(&token(&claims_with("roles", json!(["admin"]))), now()).unwrap();
    assert_eq!(token.scopes(), &ScopeSet::parse("admin").unwrap());
    let none = verifier.verify(&good_token(), now()).unwrap();
    assert!(none.scopes().is_empty());
}
