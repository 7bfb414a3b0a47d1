//! A header that was read before is read no more, and believed no more than one that comes first.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::time::Duration;

use issuer::*;
use keygate::jwt::{Algorithm, JwtErrorKind, JwtIssuer, JwtVerifier, SigningKey};
use serde_json::json;

/// Verifies every token anew, header or not.
fn verifier() -> JwtVerifier {
    builder().cache(0).build().unwrap()
}

#[track_caller]
fn kind(verifier: &JwtVerifier, token: &str) -> Option<JwtErrorKind> {
    verifier.verify(token, now()).err().map(|error| error.kind())
}

fn secret(index: u8) -> SigningKey {
    let mut secret = *SECRET;
    secret[0] = index;
    SigningKey::secret(Algorithm::HS256, secret).unwrap().with_kid("k")
}

fn signed_with(index: u8, header: &str) -> String {
    let mut secret = *SECRET;
    secret[0] = index;
    let message = format!("{}.{}", encode(header), encode(claims().to_string()));
    format!("{message}.{}", encode(mac(Algorithm::HS256, &secret, message.as_bytes())))
}

fn issuer() -> JwtIssuer {
    let issuer = JwtIssuer::builder(ISSUER, AUDIENCE, secret(0));
    issuer.announcement(Duration::from_secs(60)).build().unwrap()
}

#[test]
fn a_known_header_makes_no_forged_token_good() {
    let verifier = verifier();
    let good = good_token();
    assert_eq!(kind(&verifier, &good), None);
    assert_eq!(kind(&verifier, &forged(&good)), Some(JwtErrorKind::Signature));
    let [header, payload, signature] = parts(&good);
    let other = encode(claims_with("sub", json!("admin")).to_string());
    let token = format!("{header}.{other}.{signature}");
    assert_eq!(kind(&verifier, &token), Some(JwtErrorKind::Signature));
    for bad in [
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}."),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
    ] {
        assert!(kind(&verifier, &bad).is_some(), "{bad}");
    }
    assert_eq!(kind(&verifier, &good), None);
}

#[test]
fn a_header_is_known_by_all_of_its_letters() {
    let verifier = verifier();
    let good = good_token();
    assert_eq!(kind(&verifier, &good), None);
    let [header, payload, signature] = parts(&good);
    for at in 0..header.len() {
        for letter in ["A", "b", "=", "é", ""] {
            let other = format!("{}{letter}{}", &header[..at], &header[at + 1..]);
            let is_bad = kind(&verifier, &format!("{other}.{payload}.{signature}")).is_some();
            assert!(is_bad || other == header, "{other}");
        }
    }
}

#[test]
fn headers_that_break_a_rule_are_refused_each_time() {
    let verifier = verifier();
    for header in [
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","typ":"secevent+jwt"}"#,
        r#"{"alg":"HS256","b64":true}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS384"}"#,
    ] {
        for _ in 0..3 {
            assert!(kind(&verifier, &token_with_header(header)).is_some(), "{header}");
        }
    }
    assert_eq!(kind(&verifier, &good_token()), None);
}

#[test]
fn verifiers_that_share_keys_judge_a_known_header_by_rules_of_their_own() {
    let issuer = issuer();
    let usual = issuer.verifier().cache(0).build().unwrap();
    let other = issuer.verifier().cache(0).typ(["other+jwt"]).build().unwrap();
    let good = signed_with(0, r#"{"alg":"HS256","kid":"k","typ":"JWT"}"#);
    for _ in 0..2 {
        assert_eq!(kind(&usual, &good), None);
        assert_eq!(kind(&other, &good), Some(JwtErrorKind::Malformed));
    }
    let good = signed_with(0, r#"{"alg":"HS256","kid":"k","typ":"other+jwt"}"#);
    for _ in 0..2 {
        assert_eq!(kind(&other, &good), None);
        assert_eq!(kind(&usual, &good), Some(JwtErrorKind::Malformed));
    }
}

#[test]
fn a_known_header_leads_to_the_key_that_has_the_id_now() {
    const HEADER: &str = r#"{"alg":"HS256","kid":"k"}"#;
    let issuer = issuer();
    let verifier = issuer.verifier().cache(0).build().unwrap();
    let (old, new) = (signed_with(0, HEADER), signed_with(1, HEADER));
    assert_eq!(kind(&verifier, &old), None);
    assert_eq!(kind(&verifier, &new), Some(JwtErrorKind::Signature));
    issuer.rotate_now(secret(1), now()).unwrap();
    assert_eq!(kind(&verifier, &old), Some(JwtErrorKind::Signature));
    assert_eq!(kind(&verifier, &new), None);
    issuer.rotate_now(secret(2).with_kid("l"), now()).unwrap();
    assert_eq!(kind(&verifier, &new), Some(JwtErrorKind::UnknownKey));
}

#[test]
fn there_may_be_any_number_of_headers() {
    let verifier = verifier();
    let tokens: Vec<_> =
        (0..20).map(|n| token_with_header(&format!(r#"{{"alg":"HS256","n":{n}}}"#))).collect();
    for token in tokens.iter().chain(&tokens) {
        assert_eq!(kind(&verifier, token), None);
        assert_eq!(kind(&verifier, &forged(token)), Some(JwtErrorKind::Signature));
    }
}

#[test]
fn nothing_of_a_known_header_is_shown() {
    let verifier = verifier();
    let good = token_with_header(r#"{"alg":"HS256","x":"CANARY"}"#);
    assert_eq!(kind(&verifier, &good), None);
    let shown = format!("{verifier:?}");
    assert!(!shown.contains("CANARY") && !shown.contains(parts(&good)[0]), "{shown}");
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}
