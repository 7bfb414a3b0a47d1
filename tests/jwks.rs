//! Which keys of a published set are used.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use issuer::*;
use keygate::jwt::remote::RemoteKeys;
use keygate::jwt::{Algorithm, Jwks, JwtErrorKind, JwtKey, JwtVerifier};
use serde_json::{Value, json};

/// The JWK of the issuer's public key for an algorithm, without `alg`.
fn jwk(algorithm: Algorithm, kid: &str) -> Value {
    with(public_jwk(algorithm), "kid", json!(kid))
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

fn parse(keys: &[Value], allowed: &[Algorithm]) -> Jwks {
    Jwks::parse(json!({ "keys": keys }).to_string(), allowed).unwrap()
}

fn verifier(set: Jwks) -> JwtVerifier {
    let keys = RemoteKeys::pushed(set);
    JwtVerifier::builder(ISSUER, AUDIENCE).remote_keys(keys).build().unwrap()
}

fn token(algorithm: Algorithm, kid: &str) -> String {
    let header = json!({ "alg": algorithm.name(), "kid": kid }).to_string();
    signed(algorithm, &header, &claims().to_string())
}

/// The only key is skipped, for this reason.
#[track_caller]
fn skipped(key: &Value, reason: &str) {
    let set = parse(std::slice::from_ref(key), &PUBLIC);
    assert!(set.keys().is_empty(), "{key} is used");
    let told = set.skipped()[0].reason();
    assert!(told.contains(reason), "{key}: {told}");
}

// ---- Which key serves what ----------------------------------------------------------------------

#[test]
fn a_key_that_names_its_algorithm_serves_that_one_only() {
    for own in PUBLIC {
        let named = with(jwk(own, "1"), "alg", json!(own.name()));
        let verifier = verifier(parse(&[named], &PUBLIC));
        for algorithm in PUBLIC {
            let verified = verifier.verify(&token(algorithm, "1"), now());
            assert_eq!(verified.is_ok(), algorithm == own, "{own} {algorithm}");
        }
    }
}

#[test]
fn a_key_without_an_algorithm_serves_those_of_its_type_that_are_allowed() {
    for own in PUBLIC {
        let verifier = verifier(parse(&[jwk(own, "1")], &PUBLIC));
        for algorithm in PUBLIC {
            let is_rsa = |algorithm: Algorithm| {
                algorithm.name().contains('S') && !algorithm.name().starts_with('E')
            };
            let serves = algorithm == own || is_rsa(algorithm) && is_rsa(own);
            let verified = verifier.verify(&token(algorithm, "1"), now());
            assert_eq!(verified.is_ok(), serves, "{own} {algorithm}: {verified:?}");
        }
    }
    let narrow = parse(&[jwk(Algorithm::RS256, "1")], &[Algorithm::PS256, Algorithm::ES256]);
    let algorithms: Vec<_> = narrow.keys().iter().map(JwtKey::algorithm).collect();
    assert_eq!(algorithms, [Algorithm::PS256]);
}

#[test]
fn ed25519_is_known_by_both_of_its_names() {
    for alg in ["EdDSA", "Ed25519"] {
        let named = with(jwk(Algorithm::EdDSA, "1"), "alg", json!(alg));
        let verifier = verifier(parse(&[named], &PUBLIC));
        for header in ["EdDSA", "Ed25519"] {
            let header = json!({ "alg": header, "kid": "1" }).to_string();
            let token = signed(Algorithm::EdDSA, &header, &claims().to_string());
            assert!(verifier.verify(&token, now()).is_ok(), "{alg} {header}");
        }
    }
}

#[test]
fn an_algorithm_that_is_not_allowed_is_refused_whether_its_key_is_known_or_not() {
    let named = with(jwk(Algorithm::RS256, "1"), "alg", json!("RS256"));
    let set = parse(&[named, jwk(Algorithm::ES256, "2")], &[Algorithm::ES256]);
    assert!(set.skipped()[0].reason().contains("no algorithm that is allowed"));
    let verifier = verifier(set);
    for kid in ["1", "2", "3"] {
        let error = verifier.verify(&token(Algorithm::RS256, kid), now()).unwrap_err();
        assert_eq!(error.kind(), JwtErrorKind::Algorithm, "{kid}");
    }
    let error = verifier.verify(&token(Algorithm::ES256, "3"), now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::UnknownKey);
}

#[test]
fn keys_of_different_types_may_share_a_kid() {
    let keys = PUBLIC.map(|own| with(jwk(own, "1"), "alg", json!(own.name())));
    let verifier = verifier(parse(&keys, &PUBLIC));
    for algorithm in PUBLIC {
        assert!(verifier.verify(&token(algorithm, "1"), now()).is_ok(), "{algorithm}");
    }
}

#[test]
fn a_token_without_kid_is_judged_by_the_only_key_of_its_algorithm() {
    let (rsa, ec) = (jwk(Algorithm::RS256, "1"), jwk(Algorithm::ES256, "2"));
    let token = good_token_of(Algorithm::ES256);
    let set = parse(&[rsa, ec.clone()], &PUBLIC);
    assert!(verifier(set).verify(&token, now()).is_ok());
    let set = parse(&[ec.clone(), with(ec, "kid", json!("3"))], &PUBLIC);
    let error = verifier(set).verify(&token, now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::UnknownKey, "never tried with several");
}

// ---- Which keys are skipped ---------------------------------------------------------------------

#[test]
fn a_published_secret_is_no_key() {
    let secret = json!({ "kty": "oct", "kid": "1", "k": encode(SECRET) });
    skipped(&secret, "a secret among public keys");
    for alg in ["HS256", "RS256", "ES256"] {
        skipped(&with(secret.clone(), "alg", json!(alg)), "a secret among public keys");
    }
    let mixed = parse(&[secret, jwk(Algorithm::ES256, "2")], &PUBLIC);
    assert_eq!((mixed.keys().len(), mixed.skipped().len()), (1, 1));
    let verifier = verifier(mixed);
    for kid in ["1", "2"] {
        let token = hs256(json!({ "alg": "HS256", "kid": kid }).to_string(), claims().to_string());
        assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::Algorithm);
    }
}

#[test]
fn a_published_private_key_is_no_key() {
    for own in PUBLIC {
        let private = with(jwk(own, "1"), "d", json!(encode(b"private")));
        skipped(&private, "whoever reads it can sign");
    }
}

#[test]
fn keys_for_other_purposes_and_broken_ones_are_skipped() {
    let (rsa, ec) = (jwk(Algorithm::RS256, "1"), jwk(Algorithm::ES256, "1"));
    for (key, reason) in [
        (with(ec.clone(), "use", json!("enc")), "use is not sig"),
        (with(ec.clone(), "key_ops", json!(["sign"])), "key_ops"),
        (
            with(with(ec.clone(), "use", json!("sig")), "key_ops", json!(["verify", "encrypt"])),
            "key_ops",
        ),
        (with(ec.clone(), "alg", json!("ES384")), "kty or crv"),
        (with(ec.clone(), "alg", json!("RS256")), "kty or crv"),
        (with(ec.clone(), "alg", json!("HS256")), "no algorithm that is allowed"),
        (with(ec.clone(), "alg", json!("none")), "no algorithm that is allowed"),
        (with(ec.clone(), "alg", json!("ECDH-ES")), "no algorithm that is allowed"),
        (with(ec.clone(), "crv", json!("secp256k1")), "no algorithm that is allowed"),
        (with(ec.clone(), "crv", json!("P-521")), "no algorithm that is allowed"),
        (with(ec.clone(), "x", ec["y"].clone()), "not a valid public key"),
        (with(ec.clone(), "x", json!("AA")), "wrong length"),
        (with(ec.clone(), "x", json!("not base64url!")), "not base64url"),
        (with(ec.clone(), "x", Value::Null), "without a member"),
        (with(ec.clone(), "kid", json!("")), "1 to 256 bytes"),
        (with(ec.clone(), "kid", json!("k".repeat(257))), "1 to 256 bytes"),
        (with(ec.clone(), "kid", json!(7)), "not a JWK"),
        (with(ec.clone(), "key_ops", json!("verify")), "not a JWK"),
        (with(ec.clone(), "kty", json!("AKP")), "kty or crv"),
        (with(ec, "kty", Value::Null), "not a JWK"),
        (with(rsa.clone(), "n", json!(encode([0xff; 128]))), "below 2048 bits"),
        (with(rsa.clone(), "e", json!("AQ")), "exponent is 1"),
        (with(rsa, "kty", json!("EC")), "no algorithm that is allowed"),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": encode([0; 32]) }), "small order"),
        (
            json!({ "kty": "OKP", "crv": "X25519", "x": encode([9; 32]) }),
            "no algorithm that is allowed",
        ),
        (json!(["EC", "ES256"]), "not a JWK"),
        (json!("text"), "not a JWK"),
        (Value::Null, "not a JWK"),
        (json!({}), "not a JWK"),
    ] {
        skipped(&key, reason);
    }
    let twice = r#"{"keys":[{"kty":"EC","kty":"RSA"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let set = Jwks::parse(twice, &PUBLIC).unwrap();
    assert_eq!((set.keys().len(), set.skipped().len()), (1, 1), "a member that stands twice");
}

/// RFC 7517 sections 4 and 5: what is not understood is ignored.
#[test]
fn a_member_that_nobody_reads_may_be_of_any_type() {
    let key = jwk(Algorithm::ES256, "1");
    for (name, value) in [
        ("x5c", json!("str")),
        ("x5c", json!([7])),
        ("x5t", json!(7)),
        ("x5t#S256", json!(["a"])),
        ("x5u", json!(null)),
        ("oth", json!({})),
        ("ext", json!("true")),
        ("exp", json!("soon")),
    ] {
        let set = parse(&[with(key.clone(), name, value.clone())], &PUBLIC);
        assert_eq!((set.keys().len(), set.skipped().len()), (1, 0), "{name} {value}");
    }
}

#[test]
fn of_two_different_keys_with_one_kid_and_algorithm_neither_is_used() {
    let ours = with(jwk(Algorithm::EdDSA, "1"), "alg", json!("EdDSA"));
    let theirs = with(ours.clone(), "x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
    let set = parse(&[ours.clone(), theirs.clone(), jwk(Algorithm::ES256, "1")], &PUBLIC);
    assert_eq!(set.keys().len(), 1, "that of another type is used still");
    assert_eq!(set.skipped().len(), 2);
    assert!(set.skipped()[0].reason().contains("another key has its kid"));
    // RSA without `alg` meets RSA with one.
    let named = with(jwk(Algorithm::RS256, "1"), "alg", json!("RS256"));
    let mut other = jwk(Algorithm::RS256, "1");
    let mut modulus = decode(other["n"].as_str().unwrap());
    modulus[100] ^= 1;
    other["n"] = json!(encode(modulus));
    assert!(parse(&[named, other], &PUBLIC).keys().is_empty());
    // One key that stands there twice contradicts nothing.
    let doubled = parse(&[theirs.clone(), theirs], &PUBLIC);
    assert_eq!((doubled.keys().len(), doubled.skipped().len()), (1, 1));
    assert!(doubled.skipped()[0].reason().contains("twice"));
}

#[test]
fn a_hundred_keys_of_a_set_are_looked_at() {
    let keys: Vec<_> = (0..5000).map(|n| jwk(Algorithm::EdDSA, &n.to_string())).collect();
    let set = parse(&keys, &PUBLIC);
    assert_eq!((set.keys().len(), set.skipped().len()), (100, 4900));
}

// ---- Whole sets ---------------------------------------------------------------------------------

#[test]
fn what_is_no_key_set_is_an_error_that_quotes_nothing() {
    let deep = format!(r#"{{"keys":{}"#, "[".repeat(100_000));
    for json in [
        "",
        " ",
        "null",
        "[]",
        "[[]]",
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":"SECRET"}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[]} x"#,
        r#"{"keys":[SECRET]}"#,
        r#"{"keys":["#,
        "\u{feff}{\"keys\":[]}",
        &deep,
    ] {
        let error = Jwks::parse(json, &PUBLIC).unwrap_err().to_string();
        assert!(!error.contains("SECRET"), "{error}");
    }
}

#[test]
fn a_set_with_bytes_that_are_not_utf_8_is_none_wherever_they_stand() {
    for json in [
        &b"{\"keys\":[\"\xff\"]}"[..],
        b"{\"keys\":[],\"more\":\"\xff\"}",
        b"{\"\xff\":1,\"keys\":[]}",
    ] {
        assert!(Jwks::parse(json, &PUBLIC).is_err());
    }
}

#[test]
fn deep_nesting_in_a_member_that_nobody_reads_harms_nothing() {
    let key = jwk(Algorithm::EdDSA, "1").to_string();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let inside = format!(r#"{{"keys":[{},"more":{deep}}}]}}"#, &key[..key.len() - 1]);
    let beside = format!(r#"{{"more":{deep},"keys":[{key}]}}"#);
    for json in [inside, beside] {
        // Skipped or refused: both will do. It must not end the process.
        if let Ok(set) = Jwks::parse(json, &PUBLIC) {
            assert!(set.keys().len() <= 1);
        }
    }
}

#[test]
fn secrets_can_not_be_allowed_and_something_has_to_be() {
    let none: &[Algorithm] = &[];
    for allowed in [none, &[Algorithm::HS256], &[Algorithm::RS256, Algorithm::HS512]] {
        assert!(Jwks::parse(r#"{"keys":[]}"#, allowed).is_err(), "{allowed:?}");
    }
}

#[test]
fn nothing_of_a_key_is_shown() {
    let secret = json!({ "kty": "oct", "kid": "1", "k": encode(SECRET) });
    let private = with(jwk(Algorithm::EdDSA, "2"), "d", json!("cHJpdmF0ZQ"));
    let set = parse(&[secret, private, jwk(Algorithm::ES256, "3")], &PUBLIC);
    let shown = format!("{set:?} {:?}", RemoteKeys::pushed(set.clone()));
    for hidden in [encode(SECRET), "cHJpdmF0ZQ".to_owned()] {
        assert!(!shown.contains(&hidden), "{shown}");
    }
}

// ---- Pushed sets --------------------------------------------------------------------------------

#[test]
fn a_pushed_set_replaces_the_one_before() {
    let keys = RemoteKeys::pushed(parse(&[jwk(Algorithm::ES256, "1")], &PUBLIC));
    let verifier =
        JwtVerifier::builder(ISSUER, AUDIENCE).remote_keys(keys.clone()).build().unwrap();
    assert!(verifier.verify(&token(Algorithm::ES256, "1"), now()).is_ok());
    keys.push(parse(&[jwk(Algorithm::EdDSA, "2")], &PUBLIC));
    let error = verifier.verify(&token(Algorithm::ES256, "1"), now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::UnknownKey);
    assert!(verifier.verify(&token(Algorithm::EdDSA, "2"), now()).is_ok());
    assert_eq!((keys.stats().keys, keys.stats().fetches), (1, 0));
}

#[test]
fn fixed_and_published_keys_are_for_a_verifier_each() {
    let keys = RemoteKeys::pushed(parse(&[jwk(Algorithm::ES256, "1")], &PUBLIC));
    for key in [secret_key(), key(Algorithm::ES256)] {
        let built =
            JwtVerifier::builder(ISSUER, AUDIENCE).remote_keys(keys.clone()).key(key).build();
        assert!(built.unwrap_err().to_string().contains("a verifier each"));
    }
}
