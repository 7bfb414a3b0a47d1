//! Several issuers in one gate: each token is judged by the verifier of its issuer, and no other.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use issuer::*;
use keygate::jwt::{
    Algorithm, JwtError, JwtErrorKind, JwtKey, JwtVerifier, JwtVerifiers, VerifiedToken,
};
use keygate::store::MemoryStore;
use keygate::{AuthLayer, ManualClock, RejectionKind};
use serde_json::{Value, json};

/// The first party, which shares [`SECRET`].
const OURS: &str = "https://api.example/login";
const PARTNER: &str = "https://partner.example";
const OTHER: &str = "https://other.example";

fn rsa() -> JwtKey {
    key(Algorithm::RS256).with_kid("1")
}

fn ec() -> JwtKey {
    key(Algorithm::ES256).with_kid("1")
}

fn of(issuer: &str, audience: &str, key: JwtKey) -> JwtVerifier {
    JwtVerifier::builder(issuer, audience).key(key).build().unwrap()
}

/// Ours by HS256, the partner's by RS256, another's by ES256; all three keys are called `1`.
fn three() -> JwtVerifiers {
    JwtVerifiers::new([
        of(OURS, "ours", secret_key().with_kid("1")),
        of(PARTNER, AUDIENCE, rsa()),
        of(OTHER, AUDIENCE, ec()),
    ])
    .unwrap()
}

fn token_of(algorithm: Algorithm, issuer: Value, audience: &str) -> String {
    let mut claims = claims();
    (claims["iss"], claims["aud"]) = (issuer, json!(audience));
    signed(
        algorithm,
        &json!({ "alg": algorithm.name(), "kid": "1" }).to_string(),
        &claims.to_string(),
    )
}

fn verify(token: &str) -> Result<VerifiedToken, JwtError> {
    three().verify(token, now())
}

#[track_caller]
fn kind(token: &str) -> JwtErrorKind {
    verify(token).expect_err("accepted").kind()
}

#[test]
fn each_issuer_has_its_own_key_algorithm_and_audience() {
    for (algorithm, issuer, audience) in [
        (Algorithm::HS256, OURS, "ours"),
        (Algorithm::RS256, PARTNER, AUDIENCE),
        (Algorithm::ES256, OTHER, AUDIENCE),
    ] {
        let token = verify(&token_of(algorithm, json!(issuer), audience)).unwrap();
        assert_eq!(token.issuer(), Some(issuer));
    }
}

/// Attack row 23: the token of one, signed by the key of another that has the same `kid`.
#[test]
fn the_key_of_one_issuer_never_judges_the_token_of_another() {
    let own = [(OURS, Algorithm::HS256), (PARTNER, Algorithm::RS256), (OTHER, Algorithm::ES256)];
    for (issuer, own_algorithm) in own {
        let audience = if issuer == OURS { "ours" } else { AUDIENCE };
        for (_, algorithm) in own.into_iter().filter(|(other, _)| *other != issuer) {
            let token = token_of(algorithm, json!(issuer), audience);
            assert_eq!(kind(&token), JwtErrorKind::Algorithm, "{issuer} {algorithm}");
        }
        assert!(verify(&token_of(own_algorithm, json!(issuer), audience)).is_ok());
    }
    let two = JwtVerifiers::new([of(PARTNER, AUDIENCE, rsa()), of(OTHER, AUDIENCE, another_rsa())]);
    let token = token_of(Algorithm::RS256, json!(OTHER), AUDIENCE);
    let error = two.unwrap().verify(&token, now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::Signature, "the same algorithm and kid, another key");
}

fn another_rsa() -> JwtKey {
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let key = aws_lc_rs::signature::KeyPair::public_key(&key).as_ref().to_vec();
    JwtKey::der(Algorithm::RS256, &key).unwrap().with_kid("1")
}

/// Attack row 2 across issuers: a public key of the partner is no secret of ours.
#[test]
fn the_public_key_of_one_issuer_is_no_secret_of_another() {
    let mut forged = claims();
    (forged["iss"], forged["aud"]) = (json!(OURS), json!("ours"));
    let message =
        format!("{}.{}", encode(r#"{"alg":"HS256","kid":"1"}"#), encode(forged.to_string()));
    for secret in [
        spki(Algorithm::RS256),
        raw_public_key(Algorithm::RS256),
        pem("PUBLIC KEY", &spki(Algorithm::RS256)).into(),
    ] {
        let token =
            format!("{message}.{}", encode(mac(Algorithm::HS256, &secret, message.as_bytes())));
        assert_eq!(kind(&token), JwtErrorKind::Signature);
    }
}

#[test]
fn an_audience_of_one_issuer_is_none_of_another() {
    let crossed = token_of(Algorithm::RS256, json!(PARTNER), "ours");
    assert_eq!(kind(&crossed), JwtErrorKind::Claims);
}

#[test]
fn a_token_of_an_unknown_issuer_or_of_none_is_bad() {
    for issuer in [
        json!("https://evil.example"),
        json!(""),
        json!(format!("{PARTNER}/")),
        json!("HTTPS://PARTNER.EXAMPLE"),
        json!([PARTNER]),
        json!(["https://evil.example", PARTNER]),
        json!({ "iss": PARTNER }),
        json!(7),
        Value::Null,
    ] {
        let token = token_of(Algorithm::RS256, issuer.clone(), AUDIENCE);
        assert_eq!(kind(&token), JwtErrorKind::Claims, "{issuer}");
    }
    let nameless = claims_without("iss").to_string();
    assert_eq!(
        kind(&signed(Algorithm::RS256, r#"{"alg":"RS256","kid":"1"}"#, &nameless)),
        JwtErrorKind::Claims
    );
}

/// Whoever chooses the verifier must read the same issuer as the verifier itself.
#[test]
fn two_names_of_an_issuer_are_none() {
    let header = r#"{"alg":"RS256","kid":"1"}"#;
    for twice in [
        format!(r#"{{"iss":"{OTHER}","iss":"{PARTNER}""#),
        format!(r#"{{"iss":"{PARTNER}","iss":"{PARTNER}""#),
        format!(r#"{{"iss":"{PARTNER}","\u0069ss":"{OTHER}""#),
    ] {
        let mut rest = claims_without("iss").to_string();
        rest.replace_range(..1, &format!("{twice},"));
        assert_eq!(kind(&signed(Algorithm::RS256, header, &rest)), JwtErrorKind::Claims, "{twice}");
    }
    // Escaped, it is the same name.
    let escaped = claims_without("iss").to_string();
    let escaped =
        escaped.replacen('{', &format!(r#"{{"\u0069ss":"{}","#, PARTNER.replace('/', r"\/")), 1);
    assert!(verify(&signed(Algorithm::RS256, header, &escaped)).is_ok());
}

#[test]
fn what_is_no_token_is_refused_before_an_issuer_is_sought() {
    let list = encode(format!(r#"["{PARTNER}"]"#));
    let object = encode(claims_with("iss", json!(PARTNER)).to_string());
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b".to_owned(),
        "a.!!.c".to_owned(),
        format!("a.{list}.c"),
        format!("a.{}.c", encode(b"\xff\xfe")),
        format!("a.{object}.c.d.e"),
        object.clone(),
        "é.é.é".to_owned(),
        format!("a.{}.c", "A".repeat(100_000)),
    ] {
        assert!(verify(&token).is_err(), "{token:.60}");
    }
    let too_long = token_of(Algorithm::RS256, json!(PARTNER), &"a".repeat(9000));
    assert_eq!(kind(&too_long), JwtErrorKind::Malformed);
}

#[test]
fn a_single_verifier_is_asked_whatever_the_token_says() {
    let any =
        JwtVerifier::builder(PARTNER, AUDIENCE).key(rsa()).danger_any_issuer().build().unwrap();
    let one = JwtVerifiers::new([any]).unwrap();
    let token = token_of(Algorithm::RS256, json!("https://whoever.example"), AUDIENCE);
    assert!(one.verify(&token, now()).is_ok());
}

#[test]
fn verifiers_that_can_not_be_told_apart_are_refused() {
    let any = JwtVerifier::builder(OTHER, AUDIENCE).key(ec()).danger_any_issuer().build().unwrap();
    for (verifiers, reason) in [
        (vec![], "none"),
        (
            vec![of(PARTNER, AUDIENCE, rsa()), of(PARTNER, "ours", ec())],
            "two verifiers of one issuer",
        ),
        (vec![of(PARTNER, AUDIENCE, rsa()), any], "any issuer"),
    ] {
        let error = JwtVerifiers::new(verifiers).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn one_gate_takes_the_tokens_of_all() {
    let clock = ManualClock::new(now());
    let gate = AuthLayer::new(MemoryStore::new()).jwt(three()).clock(clock).into_authenticator();
    let verdict = |token: &str| {
        let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
        let head = request.body(()).unwrap().into_parts().0;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(gate.authenticate(&head)).verdict.map_err(|why| why.kind())
    };
    for (algorithm, issuer, audience) in [
        (Algorithm::HS256, OURS, "ours"),
        (Algorithm::RS256, PARTNER, AUDIENCE),
        (Algorithm::ES256, OTHER, AUDIENCE),
    ] {
        let token = token_of(algorithm, json!(issuer), audience);
        assert!(verdict(&token).unwrap().is_some(), "{issuer}");
        let stranger = token_of(algorithm, json!("https://evil.example"), audience);
        assert_eq!(verdict(&stranger).unwrap_err(), RejectionKind::TokenInvalid);
    }
}
