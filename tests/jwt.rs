//! What a verifier accepts, what it tells of a token, and when a token is over.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::error::Error;
use std::time::Duration;

use issuer::*;
use keygate::jwt::{Algorithm, JwtErrorKind, JwtKey};
use keygate::{Clock, ManualClock, Rejection, RejectionKind, Scope, Timestamp};
use serde::Deserialize;
use serde_json::json;

#[test]
fn every_algorithm_is_verified() {
    for algorithm in ALGORITHMS {
        let verifier = verifier_with(key(algorithm));
        let verified = verifier.verify(&good_token_of(algorithm), now());
        assert!(verified.is_ok(), "{algorithm}: {verified:?}");
    }
}

#[test]
fn ed25519_goes_by_both_of_its_names() {
    let verifier = verifier_with(key(Algorithm::EdDSA));
    for name in ["EdDSA", "Ed25519"] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        let token = signed(Algorithm::EdDSA, &header, &claims().to_string());
        assert!(verifier.verify(&token, now()).is_ok(), "{name}");
    }
}

/// With all features on, both backends are compiled in and `jsonwebtoken` has no default.
#[test]
fn no_process_wide_crypto_provider_is_needed() {
    for algorithm in ALGORITHMS {
        let verifier = verifier_with(key(algorithm));
        let token = forged(&good_token_of(algorithm));
        assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::Signature, "{algorithm}");
    }
}

#[test]
fn a_verified_token_tells_its_claims() {
    let token = verify(&claims()).unwrap();
    assert_eq!(token.subject(), "user-7");
    assert_eq!(token.tenant().unwrap().as_str(), "acme");
    assert_eq!(token.issuer(), Some(ISSUER));
    assert_eq!(token.id(), Some("token-1"));
    assert_eq!(token.expires(), Timestamp::from_secs(NOW + 600));
    assert_eq!(token.issued_at(), Some(Timestamp::from_secs(NOW - 60)));
    assert!(token.scopes().grants(&Scope::new("write:orders").unwrap()));
    assert!(!token.scopes().grants(&Scope::new("delete:orders").unwrap()));
}

#[test]
fn a_token_needs_no_more_than_iss_aud_sub_and_exp() {
    let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "user-7", "exp": NOW + 1 });
    let token = verify(&claims).unwrap();
    assert_eq!(token.tenant(), None);
    assert_eq!(token.issued_at(), None);
    assert_eq!(token.id(), None);
    assert!(token.scopes().is_empty());
}

#[test]
fn clones_of_a_verifier_and_of_a_token_say_the_same() {
    let verifier = verifier();
    let token = verifier.clone().verify(&good_token(), now()).unwrap();
    assert_eq!(token.clone().subject(), token.subject());
}

// ---- Claims of the application --------------------------------------------------------------

#[derive(Debug, Deserialize, PartialEq)]
struct OwnClaims {
    sub: String,
    exp: u64,
    #[serde(default)]
    features: Vec<String>,
    account: Option<Account>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Account {
    plan: String,
    seats: u32,
}

#[test]
fn an_application_reads_claims_into_its_own_type() {
    let mut claims = claims_with("account", json!({ "plan": "pro", "seats": 12 }));
    claims["features"] = json!(["export", "audit"]);
    let own: OwnClaims = verify(&claims).unwrap().claims().unwrap();
    let account = Account { plan: "pro".to_owned(), seats: 12 };
    assert_eq!(own.account, Some(account));
    assert_eq!(own.features, ["export", "audit"]);
    assert_eq!((own.sub.as_str(), own.exp), ("user-7", NOW + 600));
}

#[test]
fn claims_that_do_not_fit_the_type_are_an_error_not_a_panic() {
    let token = verify(&claims_with("account", json!("none"))).unwrap();
    assert!(token.claims::<OwnClaims>().is_err());
    assert!(token.claims::<serde_json::Value>().is_ok());
}

// ---- Time -------------------------------------------------------------------------------------

#[test]
fn a_token_lives_until_exp_plus_leeway_and_not_a_nanosecond_longer() {
    let verifier = builder().leeway(Duration::from_secs(10)).build().unwrap();
    let token = token(&claims_with("exp", json!(NOW)));
    let clock = ManualClock::new(Timestamp::from_secs(NOW + 10));
    let end = verifier.verify(&token, clock.now()).unwrap_err();
    assert_eq!(end.kind(), JwtErrorKind::Expired);
    clock.set(Timestamp::from_nanos(clock.now().as_nanos() - 1));
    assert!(verifier.verify(&token, clock.now()).is_ok());
}

#[test]
fn without_leeway_a_token_is_over_at_exp() {
    let verifier = builder().leeway(Duration::ZERO).build().unwrap();
    for (exp, good) in
        [(json!(NOW + 1), true), (json!(NOW), false), (json!(NOW as f64 - 0.4), false)]
    {
        let verified = verifier.verify(&token(&claims_with("exp", exp.clone())), now());
        assert_eq!(verified.is_ok(), good, "exp {exp}");
    }
}

#[test]
fn the_default_leeway_is_thirty_seconds() {
    assert!(verify(&claims_with("exp", json!(NOW - 29))).is_ok());
    assert_eq!(refusal_of(&claims_with("exp", json!(NOW - 30))), JwtErrorKind::Expired);
    assert!(verify(&claims_with("nbf", json!(NOW + 30))).is_ok());
    assert_eq!(refusal_of(&claims_with("nbf", json!(NOW + 31))), JwtErrorKind::NotYetValid);
}

#[test]
fn leeway_helps_nbf_and_iat_as_it_helps_exp() {
    let strict = builder().leeway(Duration::ZERO).build().unwrap();
    for name in ["nbf", "iat"] {
        let ahead = token(&claims_with(name, json!(NOW + 1)));
        assert_eq!(refusal_by(&strict, &ahead), JwtErrorKind::NotYetValid, "{name}");
        assert!(verifier().verify(&ahead, now()).is_ok(), "{name}");
        let present = token(&claims_with(name, json!(NOW)));
        assert!(strict.verify(&present, now()).is_ok(), "{name}");
    }
}

#[test]
fn fractions_of_a_second_count() {
    let verifier = builder().leeway(Duration::ZERO).build().unwrap();
    let token = token(&claims_with("exp", json!(NOW as f64 + 0.5)));
    let half = Timestamp::from_secs(NOW).saturating_add(Duration::from_millis(500));
    assert!(verifier.verify(&token, Timestamp::from_secs(NOW)).is_ok());
    assert_eq!(verifier.verify(&token, half).unwrap_err().kind(), JwtErrorKind::Expired);
}

#[test]
fn a_time_written_as_an_exponent_is_a_number_too() {
    let token = hs256(HEADER, claims().to_string().replace("1700000600", "1.7000006e9"));
    assert_eq!(verifier().verify(&token, now()).unwrap().expires().as_secs(), NOW + 600);
}

#[test]
fn times_beyond_all_bounds_saturate() {
    for exp in ["18446744073709551615", "1e300", "1e19"] {
        let claims = claims().to_string().replace("1700000600", exp);
        let verified = verifier().verify(&hs256(HEADER, claims), now()).unwrap();
        assert_eq!(verified.expires(), Timestamp::MAX, "{exp}");
    }
    assert_eq!(refusal_of(&claims_with("nbf", json!(u64::MAX))), JwtErrorKind::NotYetValid);
}

#[test]
fn the_edges_of_the_clock_do_not_overflow() {
    let verifier =
        builder().leeway(Duration::from_secs(300)).max_age(Duration::MAX).build().unwrap();
    let token = token(&claims());
    let early = verifier.verify(&token, Timestamp::EPOCH).unwrap_err();
    assert_eq!(early.kind(), JwtErrorKind::NotYetValid);
    let late = verifier.verify(&token, Timestamp::MAX).unwrap_err();
    assert_eq!(late.kind(), JwtErrorKind::Expired);
}

#[test]
fn an_old_token_is_over_before_its_exp_when_age_is_bounded() {
    let verifier = builder().max_age(Duration::from_secs(100)).build().unwrap();
    for (age, good) in [(100, true), (129, true), (130, false), (3600, false)] {
        let verified = verifier.verify(&token(&claims_with("iat", json!(NOW - age))), now());
        assert_eq!(verified.is_ok(), good, "{age} s old");
        assert!(verified.is_ok() || verified.unwrap_err().kind() == JwtErrorKind::Expired);
    }
}

#[test]
fn bounding_the_age_requires_iat() {
    let verifier = builder().max_age(Duration::from_secs(100)).build().unwrap();
    assert_eq!(refusal_by(&verifier, &token(&claims_without("iat"))), JwtErrorKind::Claims);
}

// ---- Expired or invalid -----------------------------------------------------------------------

#[test]
fn only_an_otherwise_good_token_is_called_expired() {
    let expired = |name, value| {
        let mut claims = claims_with("exp", json!(NOW - 3600));
        claims[name] = value;
        refusal_of(&claims)
    };
    assert_eq!(expired("jti", json!("other")), JwtErrorKind::Expired);
    assert_eq!(expired("iss", json!("https://evil.example")), JwtErrorKind::Claims);
    assert_eq!(expired("aud", json!("https://other.example")), JwtErrorKind::Claims);
    assert_eq!(expired("sub", json!(7)), JwtErrorKind::Claims);
    assert_eq!(expired("scope", json!(["read:a", 7])), JwtErrorKind::Claims);
    assert_eq!(expired("tenant", json!(["acme"])), JwtErrorKind::Claims);
    assert_eq!(expired("jti", json!(7)), JwtErrorKind::Claims);
    assert_eq!(expired("nbf", json!(NOW + 3600)), JwtErrorKind::NotYetValid);
}

#[test]
fn a_forged_token_is_not_called_expired() {
    let token = token(&claims_with("exp", json!(NOW - 3600)));
    assert_eq!(refusal(&forged(&token)), JwtErrorKind::Signature);
}

#[test]
fn an_expired_token_without_a_required_claim_is_not_called_expired() {
    let verifier = builder().require_claim("client_id").build().unwrap();
    let token = token(&claims_with("exp", json!(NOW - 3600)));
    assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::Claims);
}

#[test]
fn a_refused_token_becomes_a_rejection_with_its_reason_inside() {
    let expired = verify(&claims_with("exp", json!(1))).unwrap_err();
    let expired = Rejection::from(expired);
    assert_eq!(expired.kind(), RejectionKind::TokenExpired);
    assert_eq!(expired.source().unwrap().to_string(), "exp has passed");

    let foreign = verify(&claims_with("iss", json!("https://evil.example"))).unwrap_err();
    let foreign = Rejection::from(foreign);
    assert_eq!(foreign.kind(), RejectionKind::TokenInvalid);
    assert_eq!(foreign.source().unwrap().to_string(), "iss is not the expected issuer");
    assert_eq!(foreign.to_string(), "Invalid token");
}

#[test]
fn every_kind_but_expired_is_an_invalid_token() {
    let not_yet = verify(&claims_with("nbf", json!(NOW + 3600))).unwrap_err();
    assert_eq!(Rejection::from(not_yet).kind(), RejectionKind::TokenInvalid);
    let malformed = verifier().verify("..", now()).unwrap_err();
    assert_eq!(Rejection::from(malformed).kind(), RejectionKind::TokenInvalid);
}

// ---- What logs see ----------------------------------------------------------------------------

const CANARY: &str = "canary-4711";

#[test]
fn debug_of_a_token_shows_subject_and_tenant_only() {
    let claims = claims_with("email", json!(CANARY));
    let shown = format!("{:?}", verify(&claims).unwrap());
    assert!(shown.contains("user-7") && shown.contains("acme"), "{shown}");
    assert!(!shown.contains(CANARY) && !shown.contains("token-1"), "{shown}");
}

#[test]
fn debug_of_keys_and_verifiers_shows_no_secret() {
    let verifier = builder().key(key(Algorithm::HS384).with_kid("second")).build().unwrap();
    let shown = format!("{verifier:?} {:?} {:?}", secret_key(), builder());
    assert!(shown.contains("HS256") && shown.contains("second"), "{shown}");
    assert!(!shown.contains(str::from_utf8(SECRET).unwrap()), "{shown}");
    assert!(!shown.contains("117, 72, 53, 100") && !shown.contains("75483564"), "{shown}");
}

/// All that a logger can get out of an error.
fn whole_text(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

#[test]
fn no_error_quotes_the_token() {
    let hostile = [
        hs256(CANARY, CANARY),
        hs256(format!("\"{CANARY}\""), "{}"),
        hs256(HEADER, CANARY),
        hs256(HEADER, format!("\"{CANARY}\"")),
        hs256(HEADER, format!("[\"{CANARY}\"]")),
        token_with_header(&format!(r#"{{"alg":"{CANARY}"}}"#)),
        token_with_header(&format!(r#"{{"alg":["{CANARY}"]}}"#)),
        token_with_header(&format!(r#"{{"alg":"HS256","typ":"{CANARY}"}}"#)),
        token_with_header(&format!(r#"{{"alg":"HS256","exp":"{CANARY}"}}"#)),
        token_with_header(&format!(r#"{{"alg":"HS256","{CANARY}":1,"{CANARY}":2}}"#)),
        hs256(HEADER, claims_and(&format!(r#""{CANARY}":1,"{CANARY}":2"#))),
        hs256_parts(CANARY, "!"),
        format!("{CANARY}.{CANARY}.{CANARY}"),
        format!("{CANARY}é.a.b"),
    ];
    for token in hostile.into_iter().chain(hostile_claims()) {
        let error = verifier().verify(&token, now()).unwrap_err();
        let text = whole_text(&error);
        assert!(!text.contains("canary"), "{text}");
    }
}

fn hostile_claims() -> impl Iterator<Item = String> {
    let names = ["iss", "aud", "sub", "exp", "iat", "nbf", "scope", "tenant", "jti"];
    let values = [json!([CANARY, 1]), json!({ CANARY: CANARY })];
    names
        .into_iter()
        .flat_map(move |name| {
            values.clone().into_iter().map(move |value| token(&claims_with(name, value)))
        })
        .chain([
            token(&claims_with("exp", json!(CANARY))),
            token(&claims_with("iss", json!(CANARY))),
        ])
        .chain([token(&claims_with("scope", json!(format!("{CANARY}\""))))])
}

#[test]
fn an_error_keeps_where_the_json_was_wrong() {
    let error = verifier().verify(&hs256(HEADER, "{\"iss\":"), now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::Malformed);
    assert!(error.source().unwrap().to_string().contains("from byte "));
}

#[test]
fn configuration_errors_do_not_show_keys() {
    let errors = [
        JwtKey::secret(Algorithm::HS256, CANARY).unwrap_err(),
        JwtKey::pem(Algorithm::RS256, pem("PUBLIC KEY", CANARY.as_bytes())).unwrap_err(),
        JwtKey::der(Algorithm::ES256, CANARY.as_bytes()).unwrap_err(),
        JwtKey::jwk(&format!(r#"{{"kty":"oct","alg":"HS256","k":["{CANARY}"]}}"#)).unwrap_err(),
        JwtKey::jwk(&format!(r#"{{"kty":"oct","alg":"HS256","k":"{CANARY}"}}"#)).unwrap_err(),
    ];
    for error in errors {
        let text = whole_text(&error);
        assert!(!text.contains("canary"), "{text}");
    }
}
