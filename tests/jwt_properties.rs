//! Whatever comes in: no panic, and nothing passes that the issuer didn't sign.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use issuer::*;
use keygate::Timestamp;
use keygate::jwt::{Algorithm, JwtErrorKind, JwtKey};
use proptest::prelude::*;
use serde_json::{Value, json};

/// JSON up to some depth, in which names repeat now and then.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| json!(value).to_string()),
        ".{0,12}".prop_map(|value| json!(value).to_string()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop_oneof![
            Just("alg"),
            Just("kid"),
            Just("typ"),
            Just("crit"),
            Just("exp"),
            Just("nbf"),
            Just("iss"),
            Just("aud"),
            Just("sub"),
            Just("scope"),
            Just("tenant"),
            Just("x"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((name, inner), 0..8).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused(text in ".{0,400}") {
        prop_assert!(verifier().verify(&text, now()).is_err());
        prop_assert!(verifier().verify_signature(&text).is_err());
    }

    #[test]
    fn arbitrary_text_of_the_right_shape_is_refused(
        text in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}",
    ) {
        prop_assert!(verifier().verify(&text, now()).is_err());
        prop_assert!(verifier().verify_signature(&text).is_err());
    }

    #[test]
    fn arbitrary_signed_bytes_never_become_a_caller(
        header in prop::collection::vec(any::<u8>(), 0..200),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(verifier().verify(&hs256(&header, claims().to_string()), now()).is_err());
        prop_assert!(verifier().verify(&hs256(HEADER, &payload), now()).is_err());
    }

    #[test]
    fn arbitrary_signed_json_never_becomes_a_caller(header in any_json(), payload in any_json()) {
        prop_assert!(verifier().verify(&hs256(HEADER, &payload), now()).is_err());
        prop_assert!(verifier().verify(&token_with_header(&header), now()).is_err());
    }

    #[test]
    fn a_claim_of_any_value_never_panics(name in "[a-z]{1,8}|exp|nbf|iat|aud|iss", value in any_json()) {
        let mut claims = claims();
        if let Ok(value) = serde_json::from_str::<Value>(&value) {
            claims[name] = value;
        }
        let _ = verify(&claims);
    }

    #[test]
    fn any_change_to_any_byte_makes_a_token_bad(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        for algorithm in [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
            let mut token = good_token_of(algorithm).into_bytes();
            let at = at.index(token.len());
            prop_assume!(token[at] != byte);
            token[at] = byte;
            let token = String::from_utf8(token).unwrap();
            prop_assert!(verifier_with(key(algorithm)).verify(&token, now()).is_err(), "{}", token);
        }
    }

    #[test]
    fn any_insertion_or_removal_makes_a_token_bad(at in any::<prop::sample::Index>(), add in any::<char>()) {
        let good = good_token();
        let at = at.index(good.len());
        let mut longer = good.clone();
        longer.insert(at, add);
        prop_assert!(verifier().verify(&longer, now()).is_err());
        let mut shorter = good;
        shorter.remove(at);
        prop_assert!(verifier().verify(&shorter, now()).is_err());
    }

    #[test]
    fn exp_decides_at_every_time(exp in 0_u64..4_000_000_000, now in 0_u64..4_000_000_000) {
        let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "s", "exp": exp });
        let verified = verifier().verify(&token(&claims), Timestamp::from_secs(now));
        match verified {
            Ok(token) => prop_assert!(now < exp + 30 && token.expires().as_secs() == exp),
            Err(error) => prop_assert!(now >= exp + 30 && error.kind() == JwtErrorKind::Expired),
        }
    }

    #[test]
    fn arbitrary_key_material_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for algorithm in ALGORITHMS {
            let _ = JwtKey::der(algorithm, &bytes);
            let _ = JwtKey::pem(algorithm, &bytes);
            let _ = JwtKey::secret(algorithm, &bytes);
        }
        let _ = JwtKey::jwk(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_changed_public_key_never_panics(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let mut der = spki(algorithm);
            let at = at.index(der.len());
            prop_assume!(der[at] != byte);
            der[at] = byte;
            if let Ok(key) = JwtKey::der(algorithm, &der) {
                let verified = verifier_with(key).verify(&good_token_of(algorithm), now());
                prop_assert!(verified.is_err());
            }
        }
    }

    #[test]
    fn arbitrary_json_is_no_panic_as_a_jwk(value in any_json()) {
        let _ = JwtKey::jwk(&value);
        let _ = JwtKey::jwk_as(Algorithm::ES256, &value);
    }
}

#[test]
fn every_single_bit_of_a_token_counts() {
    let good = good_token();
    for at in 0..good.len() {
        for bit in 0..7 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let token = String::from_utf8(bytes).unwrap();
            assert!(verifier().verify(&token, now()).is_err(), "{at} {bit}");
        }
    }
}
