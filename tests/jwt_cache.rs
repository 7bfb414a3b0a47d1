//! A token that comes again is known, and never believed longer than one that is verified anew.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::time::Duration;

use issuer::*;
use keygate::Timestamp;
use keygate::jwt::{
    Algorithm, JwtErrorKind, JwtIssuer, JwtVerifier, NewToken, RevokedTokens, SigningKey,
};
use proptest::prelude::*;
use serde_json::json;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

#[track_caller]
fn kind(verifier: &JwtVerifier, token: &str, secs: u64) -> Option<JwtErrorKind> {
    verifier.verify(token, at(secs)).err().map(|error| error.kind())
}

/// True when both have the same facts in memory, not only equal ones.
fn is_known(verifier: &JwtVerifier, token: &str) -> bool {
    let subject = || verifier.verify(token, now()).unwrap();
    std::ptr::eq(subject().subject(), subject().subject())
}

#[test]
fn a_token_that_comes_again_is_the_one_that_was_verified() {
    let token = good_token();
    assert!(is_known(&verifier(), &token));
    assert!(is_known(&verifier().clone(), &token));
    assert!(!is_known(&builder().cache(0).build().unwrap(), &token), "off by one setting");
}

#[test]
fn every_time_of_a_known_token_is_judged_again() {
    let verifier = builder().max_age(Duration::from_secs(400)).build().unwrap();
    let mut claims = claims_with("iat", json!(NOW));
    claims["nbf"] = json!(NOW + 10);
    let good = token(&claims);
    assert_eq!(kind(&verifier, &good, NOW + 5), None);
    // Leeway is 30 seconds, and the clock may be put back.
    assert_eq!(kind(&verifier, &good, NOW - 21), Some(JwtErrorKind::NotYetValid));
    assert_eq!(kind(&verifier, &good, NOW + 429), None);
    assert_eq!(kind(&verifier, &good, NOW + 430), Some(JwtErrorKind::Expired));
    assert_eq!(kind(&verifier, &good, NOW + 5), None);

    let verifier = builder().leeway(Duration::ZERO).build().unwrap();
    let good = good_token();
    assert_eq!(kind(&verifier, &good, NOW + 599), None);
    assert_eq!(kind(&verifier, &good, NOW + 600), Some(JwtErrorKind::Expired));
}

#[test]
fn a_token_is_known_by_all_of_itself() {
    let verifier = verifier();
    let good = good_token();
    assert_eq!(kind(&verifier, &good, NOW), None);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let richer = encode(claims_with("sub", json!("root")).to_string());
    for other in [
        forged(&good),
        format!("{message}."),
        format!("{header}.{richer}.{signature}"),
        format!("{}.{payload}.{signature}", encode(r#"{"alg":"none"}"#)),
        format!("{good}A"),
        format!("{good}="),
        format!(" {good}"),
        good[..good.len() - 1].to_owned(),
        good.to_uppercase(),
    ] {
        assert!(kind(&verifier, &other, NOW).is_some(), "{other}");
        assert_eq!(kind(&verifier, &good, NOW), None);
    }
}

#[test]
fn verifiers_of_other_rules_know_nothing_of_each_other() {
    let token = good_token();
    let (one, other) = (verifier(), JwtVerifier::builder(ISSUER, "https://other.example"));
    let other = other.key(secret_key()).build().unwrap();
    assert_eq!(kind(&one, &token, NOW), None);
    assert_eq!(kind(&other, &token, NOW), Some(JwtErrorKind::Claims));
}

#[test]
fn refused_tokens_push_no_good_one_out() {
    let verifier = builder().cache(8).build().unwrap();
    let good = good_token();
    let known = verifier.verify(&good, now()).unwrap();
    for index in 0..1_000 {
        let claims = claims_with("jti", json!(index));
        let _ = verifier.verify(&forged(&token(&claims)), now());
        let _ = verifier.verify(&token(&claims_with("exp", json!(index))), now());
    }
    let again = verifier.verify(&good, now()).unwrap();
    assert!(std::ptr::eq(known.subject(), again.subject()));
}

#[test]
fn tokens_that_come_once_push_no_token_out_that_comes_often() {
    let verifier = builder().cache(8).build().unwrap();
    let often = good_token();
    let known = verifier.verify(&often, now()).unwrap();
    for index in 0..1_000 {
        let once = token(&claims_with("jti", json!(format!("once-{index}"))));
        assert_eq!(kind(&verifier, &once, NOW), None);
        let again = verifier.verify(&often, now()).unwrap();
        assert!(std::ptr::eq(known.subject(), again.subject()), "{index}");
    }
}

#[test]
fn so_many_tokens_are_remembered_and_no_more() {
    for room in [1, 2, 7, 8, 9, 40] {
        let verifier = builder().cache(room).build().unwrap();
        let tokens: Vec<_> =
            (0..200).map(|index| token(&claims_with("sub", json!(format!("u{index}"))))).collect();
        let first: Vec<_> = tokens.iter().map(|t| verifier.verify(t, now()).unwrap()).collect();
        // Asked for last to first: what is put back in takes no room of one that is still to come.
        let kept = tokens.iter().zip(&first).rev().take_while(|(token, first)| {
            let again = verifier.verify(token, now()).unwrap();
            std::ptr::eq(first.subject(), again.subject())
        });
        assert!((1..=room).contains(&kept.count()), "{room}");
    }
    assert!(builder().cache((1 << 24) + 1).build().is_err());
}

#[test]
fn nothing_of_a_known_token_is_shown() {
    let verifier = verifier();
    let token = good_token();
    let seen = verifier.verify(&token, now()).unwrap();
    let shown = format!("{verifier:?} {seen:?}");
    for part in token.split('.') {
        assert!(!shown.contains(part));
    }
}

#[test]
fn many_threads_agree_on_every_token() {
    let verifier = builder().cache(16).build().unwrap();
    let good: Vec<_> =
        (0..40).map(|index| token(&claims_with("sub", json!(format!("u{index}"))))).collect();
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (verifier, good) = (&verifier, &good);
            scope.spawn(move || {
                for round in 0..2_000 {
                    let index = (start * 7 + round * 3) % good.len();
                    let seen = verifier.verify(&good[index], now()).unwrap();
                    assert_eq!(seen.subject(), format!("u{index}"));
                    assert!(verifier.verify(&forged(&good[index]), now()).is_err());
                }
            });
        }
    });
}

// ---- Keys ---------------------------------------------------------------------------------------

fn secret(index: u8) -> SigningKey {
    let mut secret = *SECRET;
    secret[0] = index;
    SigningKey::secret(Algorithm::HS256, secret).unwrap().with_kid(format!("k{index}"))
}

fn issuer() -> JwtIssuer {
    JwtIssuer::builder(ISSUER, AUDIENCE, secret(0))
        .lifetime(Duration::from_secs(3_600))
        .announcement(Duration::from_secs(60))
        .build()
        .unwrap()
}

#[test]
fn a_known_token_is_dropped_with_its_key() {
    let issuer = issuer();
    let verifier = issuer.verifier().build().unwrap();
    let token = issuer.issue(&NewToken::new("user-7"), now()).unwrap();
    assert_eq!(kind(&verifier, token.reveal(), NOW), None);
    issuer.rotate_now(secret(1), now()).unwrap();
    assert_eq!(kind(&verifier, token.reveal(), NOW), Some(JwtErrorKind::UnknownKey));
}

#[test]
fn a_known_token_stays_known_when_another_key_comes_or_goes() {
    let issuer = issuer();
    let verifier = issuer.verifier().build().unwrap();
    let token = issuer.issue(&NewToken::new("user-7"), now()).unwrap();
    let first = verifier.verify(token.reveal(), now()).unwrap();
    issuer.rotate(secret(1), now()).unwrap();
    let again = verifier.verify(token.reveal(), now()).unwrap();
    assert!(std::ptr::eq(first.subject(), again.subject()));
}

#[test]
fn a_key_under_the_same_id_is_another_key() {
    let issuer = issuer();
    let verifier = issuer.verifier().build().unwrap();
    let token = issuer.issue(&NewToken::new("user-7"), now()).unwrap();
    assert_eq!(kind(&verifier, token.reveal(), NOW), None);
    issuer.rotate_now(secret(1).with_kid("k0"), now()).unwrap();
    assert_eq!(kind(&verifier, token.reveal(), NOW), Some(JwtErrorKind::Signature));
}

#[test]
fn a_retired_key_ends_for_known_tokens_in_the_same_instant() {
    let issuer = issuer();
    let verifier = issuer.verifier().build().unwrap();
    let mut first = *SECRET;
    first[0] = 0;
    let claims = claims_with("exp", json!(NOW + 1_000_000)).to_string();
    let message = format!("{}.{}", encode(r#"{"alg":"HS256","kid":"k0"}"#), encode(claims));
    let long = format!("{message}.{}", encode(mac(Algorithm::HS256, &first, message.as_bytes())));
    assert_eq!(kind(&verifier, &long, NOW), None);
    issuer.rotate(secret(1), now()).unwrap();
    // Announced for 60 seconds, then the life of the last token, then the greatest leeway.
    let end = NOW + 60 + 3_600 + 300;
    assert_eq!(kind(&verifier, &long, end - 1), None);
    assert_eq!(kind(&verifier, &long, end), Some(JwtErrorKind::UnknownKey));
}

// ---- Always what a verification anew says ---------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Show,
    Pass(u64),
    Back(u64),
    Rotate,
    RotateNow,
    Revoke(usize),
    RevokeSubject(usize),
    Issue,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Show),
        2 => (0..2_000u64).prop_map(Step::Pass),
        1 => (0..200u64).prop_map(Step::Back),
        1 => Just(Step::Rotate),
        1 => Just(Step::RotateNow),
        1 => any::<usize>().prop_map(Step::Revoke),
        1 => any::<usize>().prop_map(Step::RevokeSubject),
        3 => Just(Step::Issue),
    ]
}

proptest! {
    #[test]
    fn known_and_unknown_tokens_are_judged_alike_whatever_happens(
        steps in prop::collection::vec(step(), 1..60),
        room in 1usize..12,
    ) {
        let issuer = issuer();
        let revoked = RevokedTokens::new();
        let verifier = |room: usize| {
            let verifier = issuer.verifier().cache(room).max_age(Duration::from_secs(3_000));
            verifier.revocations(revoked.clone()).build().unwrap()
        };
        let (remembers, forgets) = (verifier(room), verifier(0));
        let (mut secs, mut keys, mut tokens) = (NOW, 0u8, Vec::new());
        for step in steps {
            let pick = |index: usize| index.checked_rem(tokens.len()).map(|index| &tokens[index]);
            match step {
                Step::Show => {}
                Step::Pass(time) => secs += time,
                Step::Back(time) => secs -= time,
                Step::Rotate if keys < 60 => {
                    keys += 1;
                    let _ = issuer.rotate(secret(keys), at(secs));
                }
                Step::RotateNow if keys < 60 => {
                    keys += 1;
                    issuer.rotate_now(secret(keys), at(secs)).unwrap();
                }
                Step::Rotate | Step::RotateNow => {}
                Step::Revoke(index) => {
                    if let Some(Ok(seen)) = pick(index).map(|token: &String| forgets.verify(token, at(secs))) {
                        revoked.revoke(&seen, at(secs)).unwrap();
                    }
                }
                Step::RevokeSubject(index) => {
                    let (subject, until) = (format!("u{}", index % 3), at(secs + 4_000));
                    revoked.revoke_subject(ISSUER, &subject, at(secs), until, at(secs)).unwrap();
                }
                Step::Issue => {
                    let new = NewToken::new(format!("u{}", tokens.len() % 3));
                    if let Ok(token) = issuer.issue(&new.with_not_before(at(secs + 40)), at(secs)) {
                        tokens.push(token.reveal().to_owned());
                    }
                }
            }
            for token in &tokens {
                prop_assert_eq!(kind(&remembers, token, secs), kind(&forgets, token, secs));
            }
        }
    }
}
