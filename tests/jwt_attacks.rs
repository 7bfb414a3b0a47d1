//! Attacks on verifiers that were seen in the wild, each with the answer to it. CVE numbers name
//! examples, not the only victims.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::time::Instant;

use issuer::*;
use keygate::KeyDigest;
use keygate::jwt::{Algorithm, JwtErrorKind, JwtKey, JwtVerifier};
use serde_json::{Value, json};
use support::quickest;

/// The refusal of a well-signed token with good claims and this header.
#[track_caller]
fn refusal_of_header(header: &str) -> JwtErrorKind {
    refusal(&token_with_header(header))
}

// ---- Algorithm ----------------------------------------------------------------------------------

/// CVE-2015-2951, CVE-2022-23540
#[test]
fn alg_none_is_refused_in_every_spelling() {
    for alg in ["none", "None", "NONE", "nOnE", "none ", ""] {
        let header = encode(format!(r#"{{"alg":"{alg}"}}"#));
        let payload = encode(claims().to_string());
        assert_eq!(refusal(&format!("{header}.{payload}.")), JwtErrorKind::Algorithm, "{alg}");
        let signed = token_with_header(&format!(r#"{{"alg":"{alg}"}}"#));
        assert_eq!(refusal(&signed), JwtErrorKind::Algorithm, "{alg}");
    }
}

/// CVE-2020-28042
#[test]
fn an_empty_signature_is_refused_for_every_algorithm() {
    for algorithm in ALGORITHMS {
        let token = good_token_of(algorithm);
        let (message, _) = token.rsplit_once('.').unwrap();
        let verifier = verifier_with(key(algorithm));
        assert_eq!(refusal_by(&verifier, &format!("{message}.")), JwtErrorKind::Signature);
        assert_eq!(refusal_by(&verifier, message), JwtErrorKind::Malformed);
    }
}

#[test]
fn algorithm_names_are_case_sensitive() {
    for alg in ["hs256", "Hs256", "HS256 ", " HS256", "HS256\\u0000", "HS-256"] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        assert_eq!(refusal_of_header(&header), JwtErrorKind::Algorithm, "{alg}");
    }
}

#[test]
fn a_header_without_alg_or_with_alg_of_another_type_is_refused() {
    assert_eq!(refusal_of_header("{}"), JwtErrorKind::Algorithm);
    for alg in ["null", "256", r#"["HS256"]"#, r#"{"HS256":1}"#, "true"] {
        assert_eq!(refusal_of_header(&format!(r#"{{"alg":{alg}}}"#)), JwtErrorKind::Malformed);
    }
}

/// CVE-2015-9235, CVE-2016-10555, CVE-2022-29217, CVE-2024-33663, and with white space CVE-2026-34950
#[test]
fn a_public_key_is_never_an_hmac_secret() {
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA] {
        let verifier = verifier_with(key(algorithm));
        let der = spki(algorithm);
        let text = pem("PUBLIC KEY", &der);
        let secrets = [der, raw_public_key(algorithm), text.clone().into(), text.trim().into()];
        for secret in secrets {
            for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let header = encode(format!(r#"{{"alg":"{alg}"}}"#));
                let message = format!("{header}.{}", encode(claims().to_string()));
                let signature = encode(mac(alg, &secret, message.as_bytes()));
                let token = format!("{message}.{signature}");
                assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::Algorithm);
            }
        }
    }
}

#[test]
fn a_public_key_configured_as_a_secret_is_refused() {
    let text = pem("PUBLIC KEY", &spki(Algorithm::RS256));
    for text in [text.clone(), format!("\n  {text}"), format!("ssh-rsa {text}")] {
        assert!(JwtKey::secret(Algorithm::HS256, text).is_err());
    }
}

#[test]
fn a_key_verifies_its_own_algorithm_and_no_other() {
    for own in ALGORITHMS {
        let verifier = verifier_with(key(own));
        for other in ALGORITHMS.into_iter().filter(|other| *other != own) {
            let token = good_token_of(other);
            assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::Algorithm, "{own} {other}");
        }
    }
}

/// The header says one algorithm, the signature is by another of the same key.
#[test]
fn a_header_that_lies_about_its_algorithm_is_refused() {
    let claims = claims().to_string();
    for (own, other) in [
        (Algorithm::RS256, Algorithm::RS384),
        (Algorithm::RS256, Algorithm::PS256),
        (Algorithm::PS256, Algorithm::PS512),
        (Algorithm::HS256, Algorithm::HS512),
    ] {
        let lie = signed(other, &format!(r#"{{"alg":"{own}"}}"#), &claims);
        assert_eq!(refusal_by(&verifier_with(key(own)), &lie), JwtErrorKind::Signature);
    }
}

/// CVE-2026-22817, CVE-2026-22818
#[test]
fn a_jwk_without_alg_never_takes_its_algorithm_from_the_token() {
    let secret = json!({ "kty": "oct", "k": encode(SECRET) }).to_string();
    assert!(JwtKey::jwk(&secret).is_err());
    let modulus = encode([0xc5; 256]);
    let rsa = json!({ "kty": "RSA", "n": modulus, "e": "AQAB" }).to_string();
    assert!(JwtKey::jwk(&rsa).is_err());
    assert!(JwtKey::jwk_as(Algorithm::HS256, &rsa).is_err());
}

// ---- Keys that the token brings along -----------------------------------------------------------

/// CVE-2018-0114, CVE-2026-27962
#[test]
fn an_embedded_jwk_is_not_used() {
    let own = b"attacker-attacker-secret-0123456789-0123456789";
    let jwk = json!({ "kty": "oct", "alg": "HS256", "k": encode(own), "kid": "mine" });
    let header = json!({ "alg": "HS256", "jwk": jwk }).to_string();
    let message = format!("{}.{}", encode(&header), encode(claims().to_string()));
    let signature = encode(mac(Algorithm::HS256, own, message.as_bytes()));
    assert_eq!(refusal(&format!("{message}.{signature}")), JwtErrorKind::Signature);
    // Signed by the issuer, it is only an unneeded member.
    assert!(verifier().verify(&token_with_header(&header), now()).is_ok());
}

#[test]
fn key_addresses_and_certificates_in_the_header_are_not_looked_at() {
    for member in [
        r#""jku":"http://127.0.0.1:1/keys""#,
        r#""x5u":"http://127.0.0.1:1/cert""#,
        r#""x5c":["AAAA"]"#,
        r#""x5t":"AAAA""#,
        r#""jku":7"#,
    ] {
        let token = token_with_header(&format!(r#"{{"alg":"HS256",{member}}}"#));
        assert!(verifier().verify(&token, now()).is_ok(), "{member}");
        assert_eq!(refusal(&forged(&token)), JwtErrorKind::Signature, "{member}");
    }
}

#[test]
fn kid_is_an_opaque_name() {
    let verifier = verifier_with(secret_key().with_kid("main"));
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "' UNION SELECT 'secret",
        "main\\u0000",
        "\\u0000",
        "main\\r\\nInjected: log line",
        "MAIN",
        "main ",
        "",
        "http://127.0.0.1:1/key",
        "|whoami",
    ] {
        let token = token_with_header(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
        assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::UnknownKey, "{kid}");
    }
}

#[test]
fn a_kid_is_text_of_bounded_length() {
    for kid in ["7", "null", r#"["main"]"#, r#"{"a":1}"#, "true"] {
        let header = format!(r#"{{"alg":"HS256","kid":{kid}}}"#);
        assert_eq!(refusal_of_header(&header), JwtErrorKind::Malformed, "{kid}");
    }
    let kid =
        |len| token_with_header(&json!({ "alg": "HS256", "kid": "k".repeat(len) }).to_string());
    assert!(verifier().verify(&kid(256), now()).is_ok());
    assert_eq!(refusal(&kid(257)), JwtErrorKind::Malformed);
    let wide = builder().max_length(65_536).build().unwrap();
    assert_eq!(refusal_by(&wide, &kid(40_000)), JwtErrorKind::Malformed);
}

/// CVE-2019-20933, CVE-2026-44351
#[test]
fn a_token_signed_with_an_empty_secret_is_refused() {
    let verifier = verifier_with(secret_key().with_kid("main"));
    for header in [r#"{"alg":"HS256","kid":"unknown"}"#, r#"{"alg":"HS256"}"#] {
        let message = format!("{}.{}", encode(header), encode(claims().to_string()));
        let signature = encode(mac(Algorithm::HS256, b"", message.as_bytes()));
        assert!(verifier.verify(&format!("{message}.{signature}"), now()).is_err());
    }
}

// ---- Signatures -----------------------------------------------------------------------------------

/// CVE-2022-21449
#[test]
fn psychic_signatures_are_refused() {
    for (algorithm, len) in [(Algorithm::ES256, 64), (Algorithm::ES384, 96)] {
        let verifier = verifier_with(key(algorithm));
        let token = good_token_of(algorithm);
        let (message, good) = token.rsplit_once('.').unwrap();
        let half = decode(good)[..len / 2].to_vec();
        for signature in [
            vec![0; len],
            vec![0xff; len],
            [vec![0; len / 2], half.clone()].concat(),
            [half.clone(), vec![0; len / 2]].concat(),
            [half.clone(), vec![0xff; len / 2]].concat(),
        ] {
            let token = format!("{message}.{}", encode(signature));
            assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::Signature, "{algorithm}");
        }
    }
}

#[test]
fn an_ecdsa_signature_has_exactly_its_length_and_is_not_der() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384] {
        let verifier = verifier_with(key(algorithm));
        let token = good_token_of(algorithm);
        let (message, good) = token.rsplit_once('.').unwrap();
        let good = decode(good);
        let (r, s) = good.split_at(good.len() / 2);
        let der = [&[0x30, 0x44, 2, 0x20], r, &[2, 0x20], s].concat();
        let shapes = [
            good[1..].to_vec(),
            good[..good.len() - 1].to_vec(),
            [&good[..], &[0]].concat(),
            [&[0], &good[..]].concat(),
            [&[0], r, &[0], s].concat(),
            der,
            b"0\x06\x02\x01\x00\x02\x01\x00".to_vec(),
        ];
        for signature in shapes {
            let token = format!("{message}.{}", encode(signature));
            assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::Signature, "{algorithm}");
        }
    }
}

#[test]
fn signatures_longer_or_shorter_than_the_key_are_refused() {
    for algorithm in ALGORITHMS {
        let verifier = verifier_with(key(algorithm));
        let token = good_token_of(algorithm);
        let (message, good) = token.rsplit_once('.').unwrap();
        let good = decode(good);
        for signature in [good[1..].to_vec(), [&good[..], &good[..]].concat(), vec![7; 1024]] {
            let token = format!("{message}.{}", encode(signature));
            assert_eq!(refusal_by(&verifier, &token), JwtErrorKind::Signature, "{algorithm}");
        }
        let endless = format!("{message}.{}", encode([7; 3000]));
        assert_eq!(refusal_by(&verifier, &endless), JwtErrorKind::Malformed, "{algorithm}");
    }
}

/// Bleichenbacher's forgery of 2006 (CVE-2006-4339, CVE-2014-1568 and many since) and its kin: what
/// a verifier accepts that looks for the hash, or takes the padding apart, instead of comparing all.
///
/// Made with the private half of a key that was then thrown away, since libraries refuse to.
#[test]
fn rsa_padding_has_one_form_and_a_pss_salt_one_length() {
    let forms: Value = serde_json::from_str(include_str!("common/rsa_forms.json")).unwrap();
    let jwk = json!({ "kty": "RSA", "n": forms["n"], "e": forms["e"] }).to_string();
    for algorithm in [Algorithm::RS256, Algorithm::PS256] {
        let verifier = verifier_with(JwtKey::jwk_as(algorithm, &jwk).unwrap());
        let forms = &forms[algorithm.name()];
        let token = |signature: &Value| {
            format!("{}.{}", forms["signed"].as_str().unwrap(), signature.as_str().unwrap())
        };
        assert!(verifier.verify_signature(&token(&forms["good"])).is_ok(), "{algorithm}");
        let bad = forms["bad"].as_object().unwrap();
        assert!(bad.len() >= 10);
        for (form, signature) in bad {
            let refused = verifier.verify_signature(&token(signature)).unwrap_err().kind();
            assert_eq!(refused, JwtErrorKind::Signature, "{algorithm}: {form}");
        }
    }
}

#[test]
fn a_truncated_mac_is_refused() {
    let token = good_token();
    let (message, good) = token.rsplit_once('.').unwrap();
    for len in 0..32 {
        let token = format!("{message}.{}", encode(&decode(good)[..len]));
        assert_eq!(refusal(&token), JwtErrorKind::Signature, "{len}");
    }
}

// ---- Header members that change the meaning -------------------------------------------------------

/// CVE-2025-59420, CVE-2026-32597
#[test]
fn crit_is_refused_whatever_it_holds() {
    for crit in [
        r#"["exp"]"#,
        "[]",
        r#"["b64"]"#,
        r#"["alg"]"#,
        r#"["x","x"]"#,
        r#"["http://example.com/UNDEFINED"]"#,
        r#""x""#,
        "null",
        "{}",
    ] {
        let header =
            format!(r#"{{"alg":"HS256","crit":{crit},"http://example.com/UNDEFINED":true}}"#);
        assert_eq!(refusal_of_header(&header), JwtErrorKind::Malformed, "{crit}");
    }
}

#[test]
fn an_unencoded_payload_is_refused() {
    for b64 in ["false", "true", "null"] {
        let header = format!(r#"{{"alg":"HS256","b64":{b64}}}"#);
        assert_eq!(refusal_of_header(&header), JwtErrorKind::Malformed, "{b64}");
        let critical = format!(r#"{{"alg":"HS256","b64":{b64},"crit":["b64"]}}"#);
        assert_eq!(refusal_of_header(&critical), JwtErrorKind::Malformed, "{b64}");
    }
}

/// CVE-2023-51774
#[test]
fn an_encrypted_token_is_refused() {
    for members in [r#""enc":"A128GCM""#, r#""zip":"DEF""#, r#""enc":null"#] {
        let header = format!(r#"{{"alg":"HS256",{members}}}"#);
        assert_eq!(refusal_of_header(&header), JwtErrorKind::Malformed, "{members}");
    }
    let five_parts = format!("{}.AAAA.AAAA.AAAA.AAAA", encode(r#"{"alg":"dir","enc":"A128GCM"}"#));
    assert_eq!(refusal(&five_parts), JwtErrorKind::Malformed);
}

/// CVE-2023-50658, CVE-2024-28180
#[test]
fn no_work_is_done_for_an_iteration_count_or_a_zip_bomb() {
    let header = r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"p2s":"AAAA"}"#;
    let start = Instant::now();
    assert_eq!(refusal_of_header(header), JwtErrorKind::Algorithm);
    // Two thousand million rounds take several times that.
    assert!(start.elapsed() < support::PATIENCE);
}

#[test]
fn a_nested_jwt_is_refused() {
    for cty in ["JWT", "jwt", "application/jwt", "Application/JWT"] {
        let header = format!(r#"{{"alg":"HS256","cty":"{cty}"}}"#);
        assert_eq!(refusal_of_header(&header), JwtErrorKind::Malformed, "{cty}");
    }
    assert_eq!(refusal_of_header(r#"{"alg":"HS256","cty":7}"#), JwtErrorKind::Malformed);
    let json = token_with_header(r#"{"alg":"HS256","cty":"json"}"#);
    assert!(verifier().verify(&json, now()).is_ok());
}

// ---- Tokens of another kind -----------------------------------------------------------------------

#[test]
fn tokens_of_another_kind_are_refused_by_their_typ() {
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "id+jwt",
        "JWE",
        "application/at+jwt/x",
        "text/jwt",
        "application/application/jwt",
        "jwt ",
        "",
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#);
        assert_eq!(refusal_of_header(&header), JwtErrorKind::Malformed, "{typ}");
    }
    for typ in ["7", "null", r#"["JWT"]"#] {
        let header = format!(r#"{{"alg":"HS256","typ":{typ}}}"#);
        assert_eq!(refusal_of_header(&header), JwtErrorKind::Malformed, "{typ}");
    }
}

#[test]
fn the_usual_typs_are_accepted_in_every_case() {
    for typ in [
        "JWT",
        "jwt",
        "at+jwt",
        "at+JWT",
        "application/at+jwt",
        "application/JWT",
        "Application/AT+JWT",
    ] {
        let token = token_with_header(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#));
        assert!(verifier().verify(&token, now()).is_ok(), "{typ}");
    }
    assert!(verifier().verify(&token_with_header(r#"{"alg":"HS256"}"#), now()).is_ok());
}

/// RFC 9068 section 4: an ID token must not pass as access token.
#[test]
fn a_verifier_of_access_tokens_takes_nothing_else() {
    for accepted in ["at+jwt", "application/at+jwt", "AT+JWT"] {
        let verifier = builder().typ([accepted]).build().unwrap();
        for typ in ["at+jwt", "application/at+jwt"] {
            let token = token_with_header(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#));
            assert!(verifier.verify(&token, now()).is_ok(), "{typ}");
        }
        assert_eq!(refusal_by(&verifier, &good_token()), JwtErrorKind::Malformed);
        let silent = token_with_header(r#"{"alg":"HS256"}"#);
        assert_eq!(refusal_by(&verifier, &silent), JwtErrorKind::Malformed);
    }
}

// ---- Duplicates -------------------------------------------------------------------------------------

#[test]
fn duplicate_header_members_are_refused() {
    for header in [
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
        r#"{"alg":"HS256","x":1,"x":1}"#,
        r#"{"alg":"HS256","x":1,"\u0078":1}"#,
        r#"{"alg":"HS256","x":{"y":1,"y":2}}"#,
        r#"{"alg":"HS256","x":[{"y":[{"z":1,"\u007a":2}]}]}"#,
        r#"{"alg":"HS256","":1,"":2}"#,
    ] {
        assert_eq!(refusal_of_header(header), JwtErrorKind::Malformed, "{header}");
    }
}

#[test]
fn duplicate_claims_are_refused() {
    for members in [
        r#""scope":"admin""#,
        r#""\u0073cope":"admin""#,
        r#""sub":"root""#,
        r#""\u0073ub":"root""#,
        r#""exp":9999999999"#,
        r#""iss":"https://issuer.example""#,
        r#""aud":"https://api.example""#,
        r#""role":"user","role":"admin""#,
        r#""role":"user","\u0072ole":"admin""#,
        r#""nested":{"role":"user","role":"admin"}"#,
        r#""list":[1,{"a":{"b":1,"b":1}}]"#,
    ] {
        let token = hs256(HEADER, claims_and(members));
        assert_eq!(refusal(&token), JwtErrorKind::Claims, "{members}");
    }
}

#[test]
fn the_same_name_in_different_objects_is_no_duplicate() {
    let members = r#""a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}],"X":1,"x":2"#;
    assert!(verifier().verify(&hs256(HEADER, claims_and(members)), now()).is_ok());
}

// ---- Form -------------------------------------------------------------------------------------------

/// CVE-2022-39227, CVE-2016-9122
#[test]
fn json_serializations_are_refused() {
    let token = good_token();
    let [header, payload, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let flat = json!({ "protected": header, "payload": payload, "signature": signature });
    let general = json!({
        "payload": payload,
        "signatures": [{ "protected": header, "signature": signature }],
    });
    let polyglot = format!(r#"{{"  {header}.{payload}.{signature}":"","payload":"x"}}"#);
    for text in [flat.to_string(), general.to_string(), polyglot] {
        assert_eq!(refusal(&text), JwtErrorKind::Malformed);
    }
}

#[test]
fn a_token_has_three_parts() {
    let good = good_token();
    let parts: Vec<_> = good.split('.').collect();
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        parts[0].to_owned(),
        parts[..2].join("."),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{}", parts[2]),
        format!("{}..{}.{}", parts[0], parts[1], parts[2]),
        ".".repeat(8000),
    ] {
        assert_eq!(refusal(&token), JwtErrorKind::Malformed, "{token}");
    }
}

/// A second spelling of the same token escapes revocation lists and caches.
#[test]
fn a_token_has_one_spelling() {
    let good = good_token();
    let parts: Vec<_> = good.split('.').collect();
    for i in 0..3 {
        for spoil in [
            |part: &str| format!("{part}="),
            |part: &str| format!("{part}=="),
            |part: &str| format!(" {part}"),
            |part: &str| format!("{part}\n"),
            |part: &str| format!("{part}\0"),
            |part: &str| format!("{}\r\n{}", &part[..4], &part[4..]),
            |part: &str| format!("{part}A"),
            |part: &str| format!("{part}AAAA+"),
            |part: &str| format!("{part}/AAA"),
            |part: &str| format!("{part}%3D"),
            |part: &str| format!("\u{feff}{part}"),
            |part: &str| format!("{part}é"),
        ] {
            let mut parts: Vec<_> = parts.iter().map(|part| part.to_string()).collect();
            parts[i] = spoil(&parts[i]);
            let token = parts.join(".");
            let refused = verifier().verify(&token, now()).unwrap_err().kind();
            let expected = [JwtErrorKind::Malformed, JwtErrorKind::Signature];
            assert!(expected.contains(&refused), "{token}: {refused:?}");
        }
    }
}

/// Forms that only a decoder looks at, under a good signature.
#[test]
fn well_signed_parts_must_be_canonical_base64url() {
    let (header, payload) = (encode(HEADER), encode(claims().to_string()));
    assert!(verifier().verify(&hs256_parts(&header, &payload), now()).is_ok());
    for spoiled in [format!("{payload}="), format!("{payload} "), format!("{payload}+")] {
        assert_eq!(refusal(&hs256_parts(&header, &spoiled)), JwtErrorKind::Malformed, "{spoiled}");
    }
    for spoiled in [format!("{header}="), format!(" {header}"), format!("{header}/")] {
        assert_eq!(refusal(&hs256_parts(&spoiled, &payload)), JwtErrorKind::Malformed, "{spoiled}");
    }
}

#[test]
fn unused_bits_of_the_last_symbol_must_be_zero() {
    // One byte leaves four bits over, two leave two.
    let payload = claims().to_string();
    let payload = format!("{payload}{}", " ".repeat(3 - payload.len() % 3 + 1));
    let encoded = encode(&payload);
    assert_eq!(encoded.len() % 4, 2);
    let last = encoded.chars().last().unwrap();
    assert!(verifier().verify(&hs256_parts(&encode(HEADER), &encoded), now()).is_ok());
    let spoiled = format!("{}{}", &encoded[..encoded.len() - 1], char::from(last as u8 + 1));
    assert_eq!(decoded_loosely(&spoiled), payload.as_bytes());
    assert_eq!(refusal(&hs256_parts(&encode(HEADER), &spoiled)), JwtErrorKind::Malformed);
}

fn decoded_loosely(part: &str) -> Vec<u8> {
    use base64::engine::{Engine, GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(part).unwrap()
}

#[test]
fn the_header_is_one_json_object() {
    for header in [
        "",
        "null",
        "[]",
        r#"["alg","HS256"]"#,
        r#""HS256""#,
        "{",
        r#"{"alg":"HS256""#,
        r#"{"alg":"HS256"}{}"#,
        r#"{"alg":"HS256"} x"#,
        r#"{"alg":"HS256",}"#,
        r#"{alg:"HS256"}"#,
        r#"{'alg':'HS256'}"#,
        "\u{feff}{\"alg\":\"HS256\"}",
        r#"{"alg":"HS256","x":NaN}"#,
        r#"{"alg":"HS256","x":"\ud800"}"#,
        "{\"alg\":\"HS256\",\"x\":\"\n\"}",
    ] {
        assert_eq!(refusal_of_header(header), JwtErrorKind::Malformed, "{header}");
    }
    assert!(
        verifier().verify(&token_with_header(" \t\r\n{ \"alg\" : \"HS256\" }\n"), now()).is_ok()
    );
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let header = b"{\"alg\":\"HS256\",\"x\":\"\xff\"}";
    assert_eq!(refusal(&hs256(header, claims().to_string())), JwtErrorKind::Malformed);
    let payload = [claims_and(r#""x":""#).as_bytes(), b"\xff\"}"].concat();
    assert_eq!(refusal(&hs256(HEADER, payload)), JwtErrorKind::Malformed);
}

// ---- Size -------------------------------------------------------------------------------------------

/// CVE-2025-61920, CVE-2025-30204
#[test]
fn a_token_over_the_cap_is_refused_before_anything_else() {
    let token = token(&claims_with("pad", json!("x".repeat(2_000_000))));
    let (verifier, many_dots) = (verifier(), ".".repeat(2_000_000));
    for text in [&token, &many_dots] {
        let hashed = quickest(|| KeyDigest::of(text));
        let refused = quickest(|| verifier.verify(text, now()).unwrap_err().kind());
        assert!(refused * 5 < hashed, "{refused:?}, and to hash it takes {hashed:?}");
        assert_eq!(refusal(text), JwtErrorKind::Malformed);
    }
}

#[test]
fn the_cap_is_exact_and_can_be_moved() {
    let token = good_token();
    let exact = builder().max_length(token.len()).build().unwrap();
    assert!(exact.verify(&token, now()).is_ok());
    let less = builder().max_length(token.len() - 1).build().unwrap();
    assert_eq!(refusal_by(&less, &token), JwtErrorKind::Malformed);
}

#[test]
fn a_header_longer_than_the_stack_buffer_is_read_all_the_same() {
    for len in [250, 283, 284, 285, 286, 287, 288, 289, 300, 400, 4000] {
        let header = json!({ "alg": "HS256", "x": "y".repeat(len) }).to_string();
        assert!(verifier().verify(&token_with_header(&header), now()).is_ok(), "{len}");
    }
}

#[test]
fn a_header_has_at_most_64_members() {
    let header = |extra: usize| {
        let members: String = (0..extra).map(|i| format!(r#","m{i}":0"#)).collect();
        token_with_header(&format!(r#"{{"alg":"HS256"{members}}}"#))
    };
    assert!(verifier().verify(&header(63), now()).is_ok());
    assert_eq!(refusal(&header(64)), JwtErrorKind::Malformed);
}

#[test]
fn deep_json_is_refused_without_overflowing_the_stack() {
    let wide = builder().max_length(65_536).build().unwrap();
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}0{}", open.repeat(5000), close.repeat(5000));
        let payload = claims_and(&format!(r#""deep":{deep}"#));
        assert_eq!(refusal_by(&wide, &hs256(HEADER, payload)), JwtErrorKind::Malformed);
        let header = format!(r#"{{"alg":"HS256","deep":{deep}}}"#);
        assert_eq!(refusal_by(&wide, &token_with_header(&header)), JwtErrorKind::Malformed);
    }
}

// ---- Issuers ------------------------------------------------------------------------------------------

/// Two issuers, two verifiers: neither speaks for the other, though their keys share a name.
#[test]
fn a_token_of_one_issuer_signed_with_the_key_of_another_is_refused() {
    let other_secret = [&SECRET[32..], &SECRET[..32]].concat();
    let own =
        JwtVerifier::builder(ISSUER, AUDIENCE).key(secret_key().with_kid("1")).build().unwrap();
    let other = JwtVerifier::builder("https://other.example", AUDIENCE)
        .key(JwtKey::secret(Algorithm::HS256, other_secret).unwrap().with_kid("1"))
        .build()
        .unwrap();
    let header = r#"{"alg":"HS256","kid":"1"}"#;
    let good = hs256(header, claims().to_string());
    assert!(own.verify(&good, now()).is_ok());
    assert_eq!(refusal_by(&other, &good), JwtErrorKind::Signature);
    let impostor = hs256(header, claims_with("iss", json!("https://other.example")).to_string());
    assert_eq!(refusal_by(&own, &impostor), JwtErrorKind::Claims);
    assert_eq!(refusal_by(&other, &impostor), JwtErrorKind::Signature);
}

/// The token's own key is the only one that is tried.
#[test]
fn a_token_under_the_wrong_kid_is_refused_though_another_key_would_fit() {
    let other_secret = [&SECRET[32..], &SECRET[..32]].concat();
    let verifier = JwtVerifier::builder(ISSUER, AUDIENCE)
        .key(secret_key().with_kid("new"))
        .key(JwtKey::secret(Algorithm::HS256, other_secret).unwrap().with_kid("old"))
        .build()
        .unwrap();
    let token = |kid| token_with_header(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
    assert!(verifier.verify(&token("new"), now()).is_ok());
    assert_eq!(refusal_by(&verifier, &token("old")), JwtErrorKind::Signature);
    assert_eq!(refusal_by(&verifier, &token("none")), JwtErrorKind::UnknownKey);
    assert_eq!(refusal_by(&verifier, &good_token()), JwtErrorKind::UnknownKey);
}
