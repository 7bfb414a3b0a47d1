//! Kinds of token, and rules for single claims. Every token here is well signed.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::time::Duration;

use issuer::*;
use keygate::Timestamp;
use keygate::jwt::{
    Algorithm, ClaimRule, JwtErrorKind, JwtVerifier, JwtVerifierBuilder, Profile, VerifiedToken,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

fn header(typ: &str) -> String {
    json!({ "alg": "HS256", "typ": typ }).to_string()
}

fn access_claims() -> Value {
    claims_with("client_id", json!("client-1"))
}

fn access() -> JwtVerifier {
    builder().profile(Profile::AccessToken).build().unwrap()
}

fn id_builder() -> JwtVerifierBuilder {
    builder().profile(Profile::IdToken)
}

/// An ID token as it comes with an access token.
fn id_claims() -> Value {
    let mut claims = claims();
    for name in ["scope", "tenant", "jti"] {
        claims.as_object_mut().unwrap().remove(name);
    }
    claims["nonce"] = json!("n-0S6_WzA2Mj");
    claims["auth_time"] = json!(NOW - 60);
    claims
}

#[track_caller]
fn kind(verifier: &JwtVerifier, token: &str) -> Option<JwtErrorKind> {
    verifier.verify(token, now()).err().map(|error| error.kind())
}

#[track_caller]
fn refuses(verifier: &JwtVerifier, header: &str, claims: &Value) {
    let token = hs256(header, claims.to_string());
    assert_eq!(kind(verifier, &token), Some(JwtErrorKind::Claims), "{claims}");
}

fn accept(verifier: &JwtVerifier, header: &str, claims: &Value) -> VerifiedToken {
    let token = hs256(header, claims.to_string());
    verifier.verify(&token, now()).unwrap_or_else(|error| panic!("{claims}: {error}"))
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name).unwrap();
    claims
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

// ---- RFC 9068 -----------------------------------------------------------------------------------

#[test]
fn an_access_token_has_its_typ_in_any_case_with_or_without_application() {
    let claims = access_claims().to_string();
    for typ in ["at+jwt", "at+JWT", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert_eq!(kind(&access(), &hs256(header(typ), &claims)), None, "{typ}");
    }
    for typ in ["JWT", "jwt", "logout+jwt", "id+jwt", "at+jwt ", "", "text/at+jwt", "dpop+jwt"] {
        let seen = kind(&access(), &hs256(header(typ), &claims));
        assert_eq!(seen, Some(JwtErrorKind::Malformed), "{typ}");
    }
    let untyped = hs256(r#"{"alg":"HS256"}"#, &claims);
    assert_eq!(kind(&access(), &untyped), Some(JwtErrorKind::Malformed));
}

#[test]
fn an_access_token_has_every_claim_that_rfc_9068_requires() {
    let at = header("at+jwt");
    accept(&access(), &at, &access_claims());
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        refuses(&access(), &at, &without(access_claims(), name));
        for wrong in [json!(null), json!({}), json!([]), json!(true)] {
            refuses(&access(), &at, &with(access_claims(), name, wrong));
        }
    }
    for name in ["sub", "client_id", "jti"] {
        refuses(&access(), &at, &with(access_claims(), name, json!(7)));
    }
}

#[test]
fn an_access_token_names_its_subject_though_another_claim_is_taken_for_it() {
    let verifier =
        builder().profile(Profile::AccessToken).subject_claim("client_id").build().unwrap();
    let at = header("at+jwt");
    assert_eq!(accept(&verifier, &at, &access_claims()).subject(), "client-1");
    refuses(&verifier, &at, &without(access_claims(), "sub"));
}

#[test]
fn an_access_token_s_typ_cannot_be_set() {
    let error = builder().profile(Profile::AccessToken).typ(["JWT"]).build().unwrap_err();
    assert!(error.to_string().contains("JWT"), "{error}");
}

// ---- ID tokens ----------------------------------------------------------------------------------

#[test]
fn an_id_token_is_no_access_token_and_an_access_token_no_id_token() {
    let id = id_builder().build().unwrap();
    let token = hs256(HEADER, id_claims().to_string());
    assert_eq!(kind(&id, &token), None);
    assert_eq!(kind(&access(), &token), Some(JwtErrorKind::Malformed));
    let token = hs256(header("at+jwt"), access_claims().to_string());
    assert_eq!(kind(&access(), &token), None);
    assert_eq!(kind(&id, &token), Some(JwtErrorKind::Malformed));
}

#[test]
fn an_id_token_needs_a_subject_and_when_it_was_issued() {
    let id = id_builder().build().unwrap();
    accept(&id, r#"{"alg":"HS256"}"#, &id_claims());
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        refuses(&id, HEADER, &without(id_claims(), name));
    }
}

#[test]
fn every_audience_of_an_id_token_is_ours_and_several_need_an_authorized_party() {
    let id = id_builder().audience("other").build().unwrap();
    let aud = |aud: Value| with(id_claims(), "aud", aud);
    accept(&id, HEADER, &aud(json!([AUDIENCE])));
    refuses(&id, HEADER, &aud(json!([AUDIENCE, "stranger"])));
    refuses(&id, HEADER, &aud(json!([AUDIENCE, "other"])));
    accept(&id, HEADER, &with(aud(json!([AUDIENCE, "other"])), "azp", json!(AUDIENCE)));
    refuses(&id, HEADER, &with(aud(json!([AUDIENCE, "other"])), "azp", json!("stranger")));
    refuses(&id, HEADER, &with(id_claims(), "azp", json!("stranger")));
    refuses(&id, HEADER, &with(id_claims(), "azp", json!(7)));
}

#[test]
fn a_nonce_is_the_one_that_was_asked_with() {
    let id = id_builder().build().unwrap();
    let token = accept(&id, HEADER, &id_claims());
    assert!(token.check_nonce("n-0S6_WzA2Mj").is_ok());
    for other in ["", "n-0S6_WzA2M", "n-0S6_WzA2Mk", "N-0S6_WzA2Mj"] {
        assert_eq!(token.check_nonce(other).unwrap_err().kind(), JwtErrorKind::Claims);
    }
    assert!(accept(&id, HEADER, &without(id_claims(), "nonce")).check_nonce("").is_err());
    let wrong = accept(&id, HEADER, &with(id_claims(), "nonce", json!(["n-0S6_WzA2Mj"])));
    let error = wrong.check_nonce("n-0S6_WzA2Mj").unwrap_err();
    assert!(!format!("{error:?}").contains("n-0S6"), "{error:?}");
}

#[test]
fn an_access_token_s_hash_is_made_with_the_hash_of_the_signature() {
    let access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    let half = |hash: &[u8]| encode(&hash[..hash.len() / 2]);
    let hashes = [
        (Algorithm::HS256, half(&Sha256::digest(access_token))),
        (Algorithm::ES384, half(&Sha384::digest(access_token))),
        (Algorithm::PS512, half(&Sha512::digest(access_token))),
        (Algorithm::EdDSA, half(&Sha512::digest(access_token))),
    ];
    // OpenID Connect Core 1.0, appendix A.3.
    assert_eq!(hashes[0].1, "77QmUPtjPfzWtF2AnpK9RQ");
    for (algorithm, hash) in hashes {
        let verifier = JwtVerifier::builder(ISSUER, AUDIENCE)
            .profile(Profile::IdToken)
            .key(key(algorithm))
            .build()
            .unwrap();
        let claims = with(id_claims(), "at_hash", json!(hash)).to_string();
        let token = signed(algorithm, &format!(r#"{{"alg":"{algorithm}"}}"#), &claims);
        let token = verifier.verify(&token, now()).unwrap();
        assert!(token.check_access_token(access_token).is_ok(), "{algorithm}");
        assert!(token.check_access_token("another").is_err(), "{algorithm}");
    }
    let id = id_builder().build().unwrap();
    assert!(accept(&id, HEADER, &id_claims()).check_access_token(access_token).is_err());
}

#[test]
fn a_sign_in_is_as_recent_as_was_asked_for() {
    let id = id_builder().build().unwrap();
    let token = accept(&id, HEADER, &id_claims());
    assert!(token.check_sign_in(Duration::from_secs(60), now()).is_ok());
    assert!(token.check_sign_in(Duration::from_secs(59), now()).is_err());
    let never = accept(&id, HEADER, &without(id_claims(), "auth_time"));
    assert!(never.check_sign_in(Duration::MAX, now()).is_err());
}

// ---- Plain JWTs ---------------------------------------------------------------------------------

#[test]
fn a_plain_jwt_is_what_every_verifier_takes_unless_told_otherwise() {
    let plain = builder().profile(Profile::PlainJwt).build().unwrap();
    for header in [HEADER, r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","typ":"at+jwt"}"#] {
        accept(&plain, header, &claims());
        accept(&verifier(), header, &claims());
    }
    assert_eq!(Profile::default(), Profile::PlainJwt);
}

#[test]
fn a_forbidden_claim_keeps_id_tokens_out_of_an_api() {
    let api = builder().forbid_claim("nonce").build().unwrap();
    accept(&api, HEADER, &claims());
    refuses(&api, HEADER, &id_claims());
    refuses(&api, HEADER, &claims_with("nonce", json!(null)));
}

// ---- Rules for claims ---------------------------------------------------------------------------

#[test]
fn a_claim_is_what_its_rule_says() {
    let present: &[(Value, bool)] =
        &[(json!(false), true), (json!({}), true), (json!(""), true), (json!(null), false)];
    let text: &[(Value, bool)] =
        &[(json!("x"), true), (json!(""), false), (json!(7), false), (json!(["x"]), false)];
    let number: &[(Value, bool)] =
        &[(json!(7), true), (json!(-7.5), true), (json!("7"), false), (json!({ "x": 7 }), false)];
    let texts: &[(Value, bool)] = &[
        (json!(["a", "b"]), true),
        (json!("a"), true),
        (json!([]), false),
        (json!(["a", 7]), false),
        (json!(["a", ""]), false),
        (json!({}), false),
    ];
    let flag: &[(Value, bool)] =
        &[(json!(true), true), (json!(false), false), (json!("true"), false), (json!(1), false)];
    let one: &[(Value, bool)] =
        &[(json!("a"), true), (json!("b"), true), (json!("A"), false), (json!(["a"]), false)];
    let rules = [
        (ClaimRule::present(), present),
        (ClaimRule::text(), text),
        (ClaimRule::number(), number),
        (ClaimRule::texts(), texts),
        (ClaimRule::is(true), flag),
        (ClaimRule::one_of(["a", "b"]), one),
    ];
    for (rule, cases) in rules {
        let verifier = builder().require_claim_as("own", rule.clone()).build().unwrap();
        refuses(&verifier, HEADER, &claims());
        for (value, good) in cases {
            let token = token(&claims_with("own", value.clone()));
            let expected = (!good).then_some(JwtErrorKind::Claims);
            assert_eq!(kind(&verifier, &token), expected, "{rule:?} {value}");
        }
    }
}

#[test]
fn several_rules_for_a_claim_all_hold() {
    let verifier = builder()
        .require_claim_as("own", ClaimRule::one_of(["a", "b"]))
        .require_claim_as("own", ClaimRule::one_of(["b", "c"]))
        .build()
        .unwrap();
    accept(&verifier, HEADER, &claims_with("own", json!("b")));
    refuses(&verifier, HEADER, &claims_with("own", json!("a")));
}

#[test]
fn a_time_is_a_number_and_needs_no_other_rule() {
    let verifier = builder().require_claim_as("nbf", ClaimRule::number()).build().unwrap();
    accept(&verifier, HEADER, &claims());
    refuses(&verifier, HEADER, &claims_without("nbf"));
}

#[test]
fn rules_that_no_token_keeps_are_refused_at_start_up() {
    let none: [&str; 0] = [];
    let mistakes = [
        builder().require_claim_as("own", ClaimRule::one_of(none)),
        builder().require_claim("own").forbid_claim("own"),
        builder().forbid_claim("exp"),
        builder().forbid_claim("iss"),
        builder().forbid_claim("aud"),
    ];
    for mistake in mistakes {
        let error = mistake.build().unwrap_err().to_string();
        assert!(["own", "exp", "iss", "aud"].iter().any(|name| error.contains(name)), "{error}");
    }
}

#[test]
fn an_oldest_age_needs_to_know_when_the_token_was_issued() {
    let verifier = builder().max_age(Duration::from_secs(300)).build().unwrap();
    accept(&verifier, HEADER, &claims());
    refuses(&verifier, HEADER, &claims_without("iat"));
    let old = token(&claims_with("iat", json!(NOW - 331)));
    assert_eq!(kind(&verifier, &old), Some(JwtErrorKind::Expired));
    let later = Timestamp::from_secs(NOW + 270);
    let good = good_token();
    assert_eq!(verifier.verify(&good, later).unwrap_err().kind(), JwtErrorKind::Expired);
}
