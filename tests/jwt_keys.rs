//! Which keys are let in, and which of them a token is checked with.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::time::Duration;

use issuer::*;
use keygate::ConfigError;
use keygate::jwt::{Algorithm, JwtErrorKind, JwtKey, JwtVerifier};
use serde_json::{Value, json};

#[track_caller]
fn verifies(algorithm: Algorithm, key: Result<JwtKey, ConfigError>) {
    let key = key.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    let verified = verifier_with(key).verify(&good_token_of(algorithm), now());
    assert!(verified.is_ok(), "{algorithm}: {verified:?}");
}

#[track_caller]
fn refused(key: Result<JwtKey, ConfigError>, reason: &str) {
    let error = key.expect_err("admitted").to_string();
    assert!(error.contains(reason), "{error:?} does not speak of {reason:?}");
}

fn jwk(value: &Value) -> Result<JwtKey, ConfigError> {
    JwtKey::jwk(&value.to_string())
}

fn with(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value;
    jwk
}

// ---- Forms of keys --------------------------------------------------------------------------------

#[test]
fn every_public_key_is_read_from_pem() {
    for algorithm in PUBLIC {
        let text = pem("PUBLIC KEY", &spki(algorithm));
        verifies(algorithm, JwtKey::pem(algorithm, &text));
        verifies(algorithm, JwtKey::pem(algorithm, format!("# our key\n{text}\n")));
    }
    let pkcs1 = pem("RSA PUBLIC KEY", &raw_public_key(Algorithm::RS256));
    verifies(Algorithm::RS256, JwtKey::pem(Algorithm::RS256, pkcs1));
}

#[test]
fn every_public_key_is_read_from_der() {
    for algorithm in PUBLIC {
        verifies(algorithm, JwtKey::der(algorithm, &spki(algorithm)));
        verifies(algorithm, JwtKey::der(algorithm, &raw_public_key(algorithm)));
    }
}

#[test]
fn every_public_key_is_read_from_a_jwk() {
    for algorithm in PUBLIC {
        let bare = public_jwk(algorithm);
        verifies(algorithm, jwk(&with(&bare, "alg", json!(algorithm.name()))));
        verifies(algorithm, JwtKey::jwk_as(algorithm, &bare.to_string()));
    }
    verifies(Algorithm::EdDSA, jwk(&with(&public_jwk(Algorithm::EdDSA), "alg", json!("Ed25519"))));
}

#[test]
fn a_curve_implies_its_algorithm() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let key = jwk(&public_jwk(algorithm)).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        verifies(algorithm, Ok(key));
    }
}

#[test]
fn a_secret_is_read_from_a_jwk() {
    let secret = json!({ "kty": "oct", "alg": "HS512", "k": encode(SECRET), "kid": "s" });
    let key = jwk(&secret).unwrap();
    assert_eq!((key.algorithm(), key.kid()), (Algorithm::HS512, Some("s")));
    verifies(Algorithm::HS512, Ok(key));
}

#[test]
fn a_jwk_brings_its_kid_and_can_be_given_another() {
    let jwk = with(&public_jwk(Algorithm::ES256), "kid", json!("from-jwk"));
    let key = JwtKey::jwk(&jwk.to_string()).unwrap();
    assert_eq!(key.kid(), Some("from-jwk"));
    assert_eq!(key.with_kid("own").kid(), Some("own"));
    assert_eq!(secret_key().kid(), None);
}

#[test]
fn private_members_and_certificates_of_a_jwk_are_ignored() {
    let mut private = with(&public_jwk(Algorithm::ES256), "d", json!("AAAA"));
    private["x5c"] = json!(["AAAA"]);
    private["x5u"] = json!("http://127.0.0.1:1/");
    private["unknown"] = json!({ "a": 1 });
    verifies(Algorithm::ES256, jwk(&private));
}

#[test]
fn algorithms_have_names() {
    for algorithm in ALGORITHMS {
        assert_eq!(algorithm.to_string().parse::<Algorithm>().unwrap(), algorithm);
    }
    for name in ["none", "ES512", "ES521", "ES256K", "RSA1_5", "hs256", ""] {
        assert!(name.parse::<Algorithm>().is_err(), "{name}");
    }
}

// ---- Secrets ----------------------------------------------------------------------------------------

/// CVE-2026-44351, CVE-2026-45363
#[test]
fn a_secret_is_at_least_as_long_as_the_hash() {
    for (algorithm, len) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)]
    {
        verifies_with_secret(algorithm, &SECRET[..len]);
        refused(JwtKey::secret(algorithm, &SECRET[..len - 1]), "shorter");
        refused(JwtKey::secret(algorithm, b""), "shorter");
        let jwk = json!({ "kty": "oct", "alg": algorithm.name(), "k": encode(&SECRET[..len - 1]) });
        refused(JwtKey::jwk(&jwk.to_string()), "shorter");
    }
}

fn verifies_with_secret(algorithm: Algorithm, secret: &[u8]) {
    let message = format!(
        "{}.{}",
        encode(format!(r#"{{"alg":"{algorithm}"}}"#)),
        encode(claims().to_string())
    );
    let token = format!("{message}.{}", encode(mac(algorithm, secret, message.as_bytes())));
    let verifier = verifier_with(JwtKey::secret(algorithm, secret).unwrap());
    assert!(verifier.verify(&token, now()).is_ok(), "{algorithm}");
}

#[test]
fn a_secret_longer_than_the_block_of_the_hash_is_fine() {
    verifies_with_secret(Algorithm::HS256, &SECRET.repeat(3));
}

#[test]
fn published_secrets_are_refused() {
    for secret in [
        "a-string-secret-at-least-256-bits-long",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "0123456789abcdef0123456789abcdef",
    ] {
        refused(JwtKey::secret(Algorithm::HS256, secret), "published");
        let jwk = json!({ "kty": "oct", "alg": "HS256", "k": encode(secret) });
        refused(JwtKey::jwk(&jwk.to_string()), "published");
    }
}

#[test]
fn trivial_secrets_are_refused() {
    for secret in ["secret".repeat(8), "a".repeat(64), "password".repeat(4), "\0".repeat(32)] {
        refused(JwtKey::secret(Algorithm::HS256, secret), "trivial");
    }
}

#[test]
fn secrets_are_for_hmac_and_public_keys_are_not() {
    for algorithm in PUBLIC {
        refused(JwtKey::secret(algorithm, SECRET), "HS256");
    }
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let der = spki(Algorithm::RS256);
        refused(JwtKey::der(algorithm, &der), "secret");
        refused(JwtKey::pem(algorithm, pem("PUBLIC KEY", &der)), "secret");
        let jwk = public_jwk(Algorithm::RS256).to_string();
        refused(JwtKey::jwk_as(algorithm, &jwk), "kty");
    }
}

// ---- RSA --------------------------------------------------------------------------------------------

fn rsa_jwk(modulus: &[u8], exponent: &[u8]) -> Result<JwtKey, ConfigError> {
    jwk(&json!({ "kty": "RSA", "alg": "RS256", "n": encode(modulus), "e": encode(exponent) }))
}

fn rsa_der(modulus: &[u8], exponent: &[u8]) -> Result<JwtKey, ConfigError> {
    let body = [integer(modulus), integer(exponent)].concat();
    JwtKey::der(Algorithm::RS256, &element(0x30, &body))
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let sign = bytes.first().is_none_or(|first| *first >= 0x80);
    element(2, &[if sign { &[0][..] } else { &[] }, bytes].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = match content.len() {
        len @ 0..=0x7f => vec![len as u8],
        len @ 0x80..=0xff => vec![0x81, len as u8],
        len => vec![0x82, (len >> 8) as u8, len as u8],
    };
    [&[tag], &len[..], content].concat()
}

/// An odd number of so many bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xa5; bits.div_ceil(8)];
    modulus[0] = match bits % 8 {
        0 => 0xc3,
        rest => 1 << (rest - 1),
    };
    modulus
}

const F4: &[u8] = &[1, 0, 1];

/// CVE-2022-23539
#[test]
fn rsa_below_2048_bits_is_refused() {
    for bits in [512, 1024, 2040, 2047] {
        refused(rsa_jwk(&modulus(bits), F4), "2048");
        refused(rsa_der(&modulus(bits), F4), "2048");
        // Leading zeros don't make it longer.
        refused(rsa_jwk(&[vec![0; 256], modulus(bits)].concat(), F4), "2048");
    }
    refused(rsa_jwk(&[], F4), "2048");
}

#[test]
fn rsa_from_2048_to_4096_bits_is_admitted() {
    for bits in [2048, 2049, 3072, 4096] {
        assert!(rsa_jwk(&modulus(bits), F4).is_ok(), "{bits}");
        assert!(rsa_der(&modulus(bits), F4).is_ok(), "{bits}");
    }
}

#[test]
fn rsa_above_8192_bits_is_refused() {
    for bits in [8193, 16_384] {
        refused(rsa_jwk(&modulus(bits), F4), "above");
        refused(rsa_der(&modulus(bits), F4), "above");
    }
}

#[test]
fn an_even_or_trivial_exponent_is_refused() {
    for exponent in [&[1][..], &[2], &[0], &[], &[0, 1], &[1, 0, 0], &[0xff, 0xff, 0xff, 0xfe]] {
        refused(rsa_jwk(&modulus(2048), exponent), "exponent");
    }
    refused(rsa_jwk(&modulus(2048), &[1, 0, 0, 0, 1]), "32 bits");
    assert!(rsa_jwk(&modulus(2048), &[3]).is_ok());
    assert!(rsa_jwk(&modulus(2048), &[0, 1, 0, 1]).is_ok());
}

#[test]
fn an_even_modulus_is_refused() {
    let mut even = modulus(2048);
    even[255] = 0xa4;
    refused(rsa_jwk(&even, F4), "even");
    refused(rsa_der(&even, F4), "even");
}

// ---- Curves -----------------------------------------------------------------------------------------

#[test]
fn a_point_off_the_curve_is_refused() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384] {
        let mut raw = raw_public_key(algorithm);
        *raw.last_mut().unwrap() ^= 1;
        refused(JwtKey::der(algorithm, &raw), "not a valid public key");
        let half = raw.len() / 2;
        let (x, y) = (encode(&raw[1..=half]), encode(&raw[half + 1..]));
        let spoiled = with(&with(&public_jwk(algorithm), "x", json!(x)), "y", json!(y));
        refused(jwk(&spoiled), "not a valid public key");
        let infinity = [vec![4], vec![0; raw.len() - 1]].concat();
        refused(JwtKey::der(algorithm, &infinity), "not a valid public key");
    }
}

#[test]
fn a_key_of_another_curve_or_kind_is_refused() {
    for own in PUBLIC {
        let same_kind = |other: Algorithm| raw_public_key(own) == raw_public_key(other);
        for other in PUBLIC.into_iter().filter(|other| !same_kind(*other)) {
            let der = spki(other);
            assert!(JwtKey::der(own, &der).is_err(), "{own} from {other}");
            assert!(JwtKey::der(own, &raw_public_key(other)).is_err(), "{own} from {other}");
            assert!(JwtKey::pem(own, pem("PUBLIC KEY", &der)).is_err(), "{own} from {other}");
            let jwk = public_jwk(other).to_string();
            assert!(JwtKey::jwk_as(own, &jwk).is_err(), "{own} from {other}");
        }
    }
}

#[test]
fn a_jwk_whose_curve_is_not_its_algorithms_is_refused() {
    let p256 = public_jwk(Algorithm::ES256);
    refused(jwk(&with(&p256, "alg", json!("ES384"))), "crv");
    refused(jwk(&with(&p256, "alg", json!("EdDSA"))), "crv");
    refused(jwk(&with(&p256, "crv", json!("P-384"))), "length");
    refused(jwk(&with(&p256, "crv", json!("P-521"))), "alg");
    refused(jwk(&with(&p256, "crv", json!("secp256k1"))), "alg");
    refused(jwk(&with(&p256, "kty", json!("OKP"))), "kty");
    refused(jwk(&with(&p256, "kty", json!("RSA"))), "kty");
}

/// Under the neutral element every `S`, with `R = S * B`, is a signature of everything.
#[test]
fn an_ed25519_point_of_small_order_is_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for key in [[0; 32], neutral, minus_one] {
        for sign in [0, 0x80] {
            let mut key = key;
            key[31] |= sign;
            refused(JwtKey::der(Algorithm::EdDSA, &key), "small order");
            let jwk_of = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key) });
            refused(jwk(&jwk_of), "small order");
        }
    }
}

#[test]
fn coordinates_have_the_length_of_the_field() {
    let p256 = public_jwk(Algorithm::ES256);
    let x = decode(p256["x"].as_str().unwrap());
    refused(jwk(&with(&p256, "x", json!(encode(&x[1..])))), "length");
    refused(jwk(&with(&p256, "x", json!(encode([&[0], &x[..]].concat())))), "length");
    let ed25519 = public_jwk(Algorithm::EdDSA);
    refused(jwk(&with(&ed25519, "x", json!(encode(&x[1..])))), "32 bytes");
    let compressed = [&[2], &x[..]].concat();
    refused(JwtKey::der(Algorithm::ES256, &compressed), "uncompressed");
}

// ---- What the JWK says of its use -------------------------------------------------------------------

#[test]
fn a_jwk_is_for_verifying_signatures() {
    let bare = public_jwk(Algorithm::ES256);
    let purpose = |usage: Value, ops: Value| {
        let mut jwk = bare.clone();
        jwk["use"] = usage;
        jwk["key_ops"] = ops;
        JwtKey::jwk(&jwk.to_string())
    };
    for (usage, ops) in [
        (json!("sig"), json!(null)),
        (json!(null), json!(["verify"])),
        (json!(null), json!(["sign", "verify"])),
        (json!("sig"), json!(["verify"])),
        (json!("sig"), json!(["sign", "verify"])),
    ] {
        assert!(purpose(usage.clone(), ops.clone()).is_ok(), "{usage} {ops}");
    }
    for (usage, ops) in [
        (json!("enc"), json!(null)),
        (json!("SIG"), json!(null)),
        (json!(""), json!(null)),
        (json!("enc"), json!(["verify"])),
        (json!("sig"), json!(["encrypt"])),
        (json!("sig"), json!(["verify", "encrypt"])),
        (json!(null), json!(["sign"])),
        (json!(null), json!(["encrypt"])),
        (json!(null), json!([])),
        (json!(null), json!("verify")),
        (json!(7), json!(null)),
    ] {
        assert!(purpose(usage.clone(), ops.clone()).is_err(), "{usage} {ops}");
    }
}

#[test]
fn a_jwk_for_another_algorithm_is_refused() {
    let rsa = with(&public_jwk(Algorithm::RS256), "alg", json!("RS256"));
    refused(JwtKey::jwk_as(Algorithm::PS256, &rsa.to_string()), "another algorithm");
    for alg in ["RSA-OAEP", "RSA1_5", "none", "rs256", "ES521", "A256GCM", ""] {
        refused(jwk(&with(&rsa, "alg", json!(alg))), "alg");
        refused(
            JwtKey::jwk_as(Algorithm::RS256, &with(&rsa, "alg", json!(alg)).to_string()),
            "alg",
        );
    }
}

#[test]
fn a_jwk_that_can_not_be_read_is_refused() {
    let good = with(&public_jwk(Algorithm::ES256), "kid", json!("k"));
    for name in ["kty", "alg", "use", "kid", "crv", "x", "y"] {
        for value in [json!(7), json!(["x"]), json!({})] {
            assert!(jwk(&with(&good, name, value.clone())).is_err(), "{name} {value}");
        }
    }
    for name in ["kty", "crv", "x", "y"] {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        assert!(jwk(&without).is_err(), "{name}");
    }
    for x in ["", "====", "a b", "é", "+/+/"] {
        assert!(jwk(&with(&good, "x", json!(x))).is_err(), "{x}");
    }
    for text in ["", "{}", "[]", "null", r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#] {
        assert!(JwtKey::jwk(text).is_err(), "{text}");
    }
    let twice = good.to_string().replacen('{', r#"{"kty":"EC","#, 1);
    assert!(JwtKey::jwk(&twice).is_err());
}

// ---- PEM and DER that are something else --------------------------------------------------------------

#[test]
fn private_keys_are_refused() {
    use aws_lc_rs::encoding::AsDer;
    let rsa: aws_lc_rs::encoding::Pkcs8V1Der<'_> = RSA.as_der().unwrap();
    let ec = P256.to_pkcs8v1().unwrap();
    for (algorithm, der) in [(Algorithm::RS256, rsa.as_ref()), (Algorithm::ES256, ec.as_ref())] {
        assert!(JwtKey::der(algorithm, der).is_err(), "{algorithm}");
        assert!(JwtKey::pem(algorithm, pem("PRIVATE KEY", der)).is_err(), "{algorithm}");
        assert!(JwtKey::pem(algorithm, pem("PUBLIC KEY", der)).is_err(), "{algorithm}");
    }
}

#[test]
fn a_pem_holds_exactly_one_key() {
    let one = pem("PUBLIC KEY", &spki(Algorithm::ES256));
    refused(JwtKey::pem(Algorithm::ES256, format!("{one}{one}")), "one public key");
    for text in ["", "-----BEGIN PUBLIC KEY-----", "no pem", &one[..one.len() / 2]] {
        refused(JwtKey::pem(Algorithm::ES256, text), "one public key");
    }
}

#[test]
fn every_cut_or_lengthened_der_is_refused() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let der = spki(algorithm);
        for len in (0..der.len()).filter(|len| *len != 32) {
            assert!(JwtKey::der(algorithm, &der[..len]).is_err(), "{algorithm} {len}");
        }
        assert!(JwtKey::der(algorithm, &[&der[..], &[0]].concat()).is_err(), "{algorithm}");
    }
}

#[test]
fn lengths_in_der_have_one_form() {
    let good = element(0x30, &[integer(&modulus(2048)), integer(F4)].concat());
    assert!(JwtKey::der(Algorithm::RS256, &good).is_ok());
    let body = &good[4..];
    for prefix in [&[0x30, 0x80][..], &[0x30, 0x83, 0, 1, 0x0a], &[0x30, 0x84, 0, 0, 1, 0x0a]] {
        assert!(JwtKey::der(Algorithm::RS256, &[prefix, body].concat()).is_err());
    }
    let negative = element(0x30, &[element(2, &modulus(2048)), integer(F4)].concat());
    assert!(JwtKey::der(Algorithm::RS256, &negative).is_err());
}

// ---- Sets of keys -------------------------------------------------------------------------------------

fn build(keys: impl IntoIterator<Item = JwtKey>) -> Result<JwtVerifier, ConfigError> {
    JwtVerifier::builder(ISSUER, AUDIENCE).keys(keys).build()
}

#[test]
fn a_verifier_without_keys_is_refused() {
    assert!(build([]).unwrap_err().to_string().contains("no key"));
}

#[test]
fn ambiguous_keys_are_refused() {
    let es256 = || key(Algorithm::ES256);
    assert!(build([es256().with_kid("a"), es256().with_kid("a")]).is_err());
    assert!(build([es256().with_kid("a"), key(Algorithm::RS256).with_kid("a")]).is_err());
    assert!(build([es256(), es256()]).is_err());
    assert!(build([es256(), key(Algorithm::RS256)]).is_ok());
    assert!(build([es256(), es256().with_kid("a"), es256().with_kid("b")]).is_ok());
}

#[test]
fn secrets_and_public_keys_are_not_mixed() {
    let mixed = build([secret_key().with_kid("a"), key(Algorithm::ES256).with_kid("b")]);
    assert!(mixed.unwrap_err().to_string().contains("a verifier each"));
}

#[test]
fn a_configured_kid_has_1_to_256_bytes() {
    assert!(build([secret_key().with_kid("")]).is_err());
    assert!(build([secret_key().with_kid("k".repeat(257))]).is_err());
    assert!(build([secret_key().with_kid("k".repeat(256))]).is_ok());
}

/// What a verifier with these keys says to a token of this `kid`.
fn outcome(keys: Vec<JwtKey>, algorithm: Algorithm, kid: Option<&str>) -> Option<JwtErrorKind> {
    let kid = kid.map_or(String::new(), |kid| format!(r#","kid":"{kid}""#));
    let header = format!(r#"{{"alg":"{algorithm}"{kid}}}"#);
    let token = signed(algorithm, &header, &claims().to_string());
    build(keys).unwrap().verify(&token, now()).err().map(|error| error.kind())
}

#[test]
fn a_kid_finds_its_key() {
    let keys = || vec![key(Algorithm::ES256).with_kid("a"), key(Algorithm::EdDSA).with_kid("b")];
    assert_eq!(outcome(keys(), Algorithm::ES256, Some("a")), None);
    assert_eq!(outcome(keys(), Algorithm::EdDSA, Some("b")), None);
    assert_eq!(outcome(keys(), Algorithm::ES256, Some("b")), Some(JwtErrorKind::Algorithm));
    assert_eq!(outcome(keys(), Algorithm::ES256, Some("c")), Some(JwtErrorKind::UnknownKey));
    assert_eq!(outcome(keys(), Algorithm::RS256, Some("c")), Some(JwtErrorKind::Algorithm));
}

#[test]
fn an_unknown_kid_may_be_that_of_the_key_configured_without_one() {
    let keys = || vec![key(Algorithm::ES256), key(Algorithm::EdDSA).with_kid("b")];
    assert_eq!(outcome(keys(), Algorithm::ES256, Some("whatever")), None);
    assert_eq!(outcome(keys(), Algorithm::ES256, Some("b")), Some(JwtErrorKind::Algorithm));
    assert_eq!(outcome(keys(), Algorithm::EdDSA, Some("x")), Some(JwtErrorKind::UnknownKey));
}

#[test]
fn a_token_without_kid_needs_a_single_key_of_its_algorithm() {
    let named = |kid| key(Algorithm::ES256).with_kid(kid);
    assert_eq!(outcome(vec![named("a")], Algorithm::ES256, None), None);
    let rsa = key(Algorithm::RS256).with_kid("r");
    assert_eq!(outcome(vec![named("a"), rsa], Algorithm::ES256, None), None);
    let two = vec![named("a"), named("b")];
    assert_eq!(outcome(two, Algorithm::ES256, None), Some(JwtErrorKind::UnknownKey));
    let beside_a_nameless = vec![key(Algorithm::ES256), named("b")];
    assert_eq!(outcome(beside_a_nameless, Algorithm::ES256, None), Some(JwtErrorKind::UnknownKey));
}

// ---- Settings -----------------------------------------------------------------------------------------

#[test]
fn settings_out_of_their_bounds_are_refused() {
    assert!(builder().leeway(Duration::from_secs(300)).build().is_ok());
    assert!(builder().leeway(Duration::from_secs(301)).build().is_err());
    assert!(builder().leeway(Duration::MAX).build().is_err());
    assert!(builder().max_length(1).build().is_ok());
    assert!(builder().max_length(65_536).build().is_ok());
    assert!(builder().max_length(0).build().is_err());
    assert!(builder().max_length(65_537).build().is_err());
}

#[test]
fn empty_names_are_refused() {
    let build = |issuer: &str, audience: &str| {
        JwtVerifier::builder(issuer, audience).key(secret_key()).build()
    };
    assert!(build("", AUDIENCE).is_err());
    assert!(build(ISSUER, "").is_err());
    assert!(builder().audience("").build().is_err());
    assert!(builder().typ([""]).build().is_err());
    assert!(builder().typ::<&str>([]).build().is_err());
}

#[test]
fn signed_content_that_is_no_claims_set_is_verified_on_request() {
    let verifier = verifier();
    let token = hs256(HEADER, [0, 159, 146, 150]);
    assert_eq!(verifier.verify_signature(&token).unwrap(), [0, 159, 146, 150]);
    assert!(verifier.verify(&token, now()).is_err());
    assert_eq!(verifier.verify_signature(&hs256(HEADER, "")).unwrap(), b"");
    let forged = verifier.verify_signature(&forged(&token)).unwrap_err();
    assert_eq!(forged.kind(), JwtErrorKind::Signature);
}
