//! Tokens of one's own: what is issued, with which keys, and who learns of them.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use issuer::*;
use keygate::jwt::{
    Algorithm, JwtErrorKind, JwtIssuer, JwtIssuerBuilder, JwtKey, JwtVerifier, NewToken, Profile,
    SigningKey, VerifiedToken,
};
use keygate::{DocumentBody, ManualClock, Rejection, RejectionKind, ScopeSet, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt;

const HOUR: Duration = Duration::from_secs(3_600);

fn private_pem(algorithm: Algorithm) -> String {
    fn der<K: AsDer<Pkcs8V1Der<'static>>>(key: &K) -> Vec<u8> {
        key.as_der().unwrap().as_ref().to_vec()
    }
    let der = match algorithm {
        Algorithm::ES256 => P256.to_pkcs8v1().unwrap().as_ref().to_vec(),
        Algorithm::ES384 => P384.to_pkcs8v1().unwrap().as_ref().to_vec(),
        Algorithm::EdDSA => ED25519.to_pkcs8v1().unwrap().as_ref().to_vec(),
        _ => der(&*RSA),
    };
    pem("PRIVATE KEY", &der)
}

fn signing(algorithm: Algorithm) -> SigningKey {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            SigningKey::secret(algorithm, SECRET)
        }
        _ => SigningKey::pem(algorithm, private_pem(algorithm)),
    }
    .unwrap()
}

/// Those that can sign here.
fn algorithms() -> impl Iterator<Item = Algorithm> {
    let is_rsa = |algorithm: &Algorithm| algorithm.name().starts_with(['R', 'P']);
    ALGORITHMS.into_iter().filter(move |a| cfg!(feature = "aws_lc_rs") || !is_rsa(a))
}

fn with(key: SigningKey) -> JwtIssuerBuilder {
    JwtIssuer::builder(ISSUER, AUDIENCE, key)
}

fn of(algorithm: Algorithm) -> JwtIssuer {
    with(signing(algorithm)).build().unwrap()
}

/// Built with both of its backends, it has to be told before it is first used.
fn choose_a_backend_for_jsonwebtoken() {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// A new secret each time.
fn secret(kid: &str) -> SigningKey {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).unwrap();
    SigningKey::secret(Algorithm::HS256, secret).unwrap().with_kid(kid)
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(index).unwrap())).unwrap()
}

fn accepted(verifier: &JwtVerifier, token: &str, secs: u64) -> VerifiedToken {
    verifier.verify(token, at(secs)).unwrap()
}

#[track_caller]
fn refused(verifier: &JwtVerifier, token: &str, secs: u64) -> JwtErrorKind {
    verifier.verify(token, at(secs)).unwrap_err().kind()
}

// ---- Tokens -------------------------------------------------------------------------------------

#[test]
fn every_algorithm_signs_what_its_verifier_and_any_other_library_accepts() {
    choose_a_backend_for_jsonwebtoken();
    for algorithm in algorithms() {
        let issuer = of(algorithm);
        let token = issuer.issue(&NewToken::new("user-7"), now()).unwrap();
        let own = issuer.verifier().build().unwrap();
        assert_eq!(accepted(&own, token.reveal(), NOW).subject(), "user-7", "{algorithm}");
        let configured = verifier_with(key(algorithm));
        assert_eq!(accepted(&configured, token.reveal(), NOW).subject(), "user-7", "{algorithm}");
        assert!(own.verify(&forged(token.reveal()), now()).is_err(), "{algorithm}");

        let name = part(token.reveal(), 0)["alg"].as_str().unwrap().parse().unwrap();
        let mut validation = jsonwebtoken::Validation::new(name);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_exp = false;
        let theirs = match algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                jsonwebtoken::DecodingKey::from_secret(SECRET)
            }
            _ => {
                let jwk = signing(algorithm).public_jwk().unwrap();
                jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_str(&jwk).unwrap()).unwrap()
            }
        };
        let read = jsonwebtoken::decode::<Value>(token.reveal(), &theirs, &validation).unwrap();
        assert_eq!(read.claims["sub"], "user-7", "{algorithm}");
    }
}

#[test]
fn a_token_says_who_for_whom_since_when_and_until_when() {
    let issuer = with(secret("k1")).lifetime(HOUR).build().unwrap();
    let scopes = ScopeSet::new(["write:orders", "read:orders"]).unwrap();
    let new = NewToken::new("user-7")
        .with_tenant("acme")
        .with_scopes(scopes)
        .with_client_id("client-1")
        .with_not_before(at(NOW + 5))
        .with_session("s-1", at(NOW - 9))
        .with_claim("roles", ["admin"])
        .unwrap();
    let token = issuer.issue(&new, now()).unwrap();
    assert_eq!(part(token.reveal(), 0), json!({ "typ": "JWT", "alg": "HS256", "kid": "k1" }));
    let expected = json!({
        "iss": ISSUER,
        "sub": "user-7",
        "aud": AUDIENCE,
        "iat": NOW,
        "nbf": NOW + 5,
        "exp": NOW + 3_600,
        "jti": token.id(),
        "sid": "s-1",
        "auth_time": NOW - 9,
        "client_id": "client-1",
        "tenant": "acme",
        "scope": "read:orders write:orders",
        "roles": ["admin"],
    });
    assert_eq!(part(token.reveal(), 1), expected);
    assert_eq!(token.expires(), at(NOW + 3_600));
    let seen = accepted(&issuer.verifier().build().unwrap(), token.reveal(), NOW);
    assert_eq!(seen.tenant().unwrap().as_str(), "acme");
    assert_eq!(seen.session_id(), Some("s-1"));
    assert_eq!(seen.not_before(), Some(at(NOW + 5)));
    assert_eq!(seen.scopes().iter().count(), 2);
}

#[test]
fn ids_are_of_128_bits_and_never_the_same() {
    let issuer = of(Algorithm::HS256);
    let ids: HashSet<_> = (0..1_000)
        .map(|_| issuer.issue(&NewToken::new("user-7"), now()).unwrap().id().to_owned())
        .collect();
    assert_eq!(ids.len(), 1_000);
    assert!(ids.iter().all(|id| decode(id).len() == 16));
}

#[test]
fn an_access_token_follows_rfc_9068() {
    let issuer = with(signing(Algorithm::ES256)).profile(Profile::AccessToken).build().unwrap();
    assert!(issuer.issue(&NewToken::new("user-7"), now()).is_err());
    let new = NewToken::new("user-7").with_client_id("client-1");
    let token = issuer.issue(&new, now()).unwrap();
    assert_eq!(part(token.reveal(), 0)["typ"], "at+jwt");
    accepted(&issuer.verifier().build().unwrap(), token.reveal(), NOW);
    let strict = verifier_with(key(Algorithm::ES256));
    accepted(&strict, token.reveal(), NOW);
}

#[test]
fn whatever_text_is_issued_is_the_text_that_is_read() {
    let issuer = of(Algorithm::EdDSA);
    let verifier = issuer.verifier().build().unwrap();
    let names = ["\"", "\\", "é\u{1F511}", "\u{0}\n\u{7f}", "a b", "</script>", &"x".repeat(1_000)];
    for text in names {
        let new = NewToken::new(text).with_tenant(text).with_claim("own", text).unwrap();
        let token = issuer.issue(&new, now()).unwrap();
        let seen = accepted(&verifier, token.reveal(), NOW);
        assert_eq!((seen.subject(), seen.tenant().unwrap().as_str()), (text, text));
        assert_eq!(seen.claims::<Value>().unwrap()["own"], text);
    }
}

#[test]
fn what_no_verifier_would_take_is_not_issued() {
    let issuer = of(Algorithm::HS256);
    let user = || NewToken::new("user-7");
    let mistakes = [
        NewToken::new(""),
        user().with_tenant(""),
        user().with_lifetime(HOUR),
        user().with_claim("tenant", "acme").unwrap(),
    ];
    for new in mistakes {
        let error = issuer.issue(&new, now()).unwrap_err();
        assert_eq!(Rejection::from(error).kind(), RejectionKind::Unavailable);
    }
    for reserved in ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "auth_time"] {
        assert!(user().with_claim(reserved, 1).is_err(), "{reserved}");
    }
    assert!(user().with_claim("own", std::collections::HashMap::from([([1], 2)])).is_err());
}

#[test]
fn nothing_shows_a_token_or_a_key() {
    let issuer = of(Algorithm::HS256);
    let token = issuer.issue(&NewToken::new("user-7"), now()).unwrap();
    let key = signing(Algorithm::HS256);
    let shown = format!("{token:?} {issuer:?} {key:?} {:?} {:?}", issuer.verifier(), issuer.jwks());
    for secret in token.reveal().split('.').chain([str::from_utf8(SECRET).unwrap()]) {
        assert!(!shown.contains(secret), "{shown}");
    }
}

// ---- Keys ---------------------------------------------------------------------------------------

#[test]
fn a_weak_or_mistaken_key_is_refused_and_not_shown() {
    let rsa_1024 = "no key of 1024 bits is made any more";
    let good = private_pem(Algorithm::ES256);
    let mistakes = [
        SigningKey::secret(Algorithm::HS256, "short"),
        SigningKey::secret(Algorithm::HS256, "a".repeat(64)),
        SigningKey::secret(Algorithm::ES256, SECRET),
        SigningKey::pem(Algorithm::HS256, &good),
        SigningKey::pem(Algorithm::ES384, &good),
        SigningKey::pem(Algorithm::RS256, &good),
        SigningKey::pem(Algorithm::EdDSA, &good),
        SigningKey::pem(Algorithm::ES256, rsa_1024),
        SigningKey::pem(Algorithm::ES256, ""),
        SigningKey::pem(Algorithm::ES256, &good[..good.len() / 2]),
        SigningKey::pem(Algorithm::ES256, pem("PUBLIC KEY", &spki(Algorithm::ES256))),
    ];
    for mistake in mistakes {
        let error = mistake.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&good[40..60]) && !shown.contains("short\""), "{shown}");
    }
}

#[test]
#[cfg(not(feature = "aws_lc_rs"))]
fn rsa_does_not_sign_in_pure_rust() {
    let error = SigningKey::pem(Algorithm::RS256, private_pem(Algorithm::RS256)).unwrap_err();
    assert!(error.to_string().contains("aws_lc_rs"), "{error}");
}

#[test]
fn a_public_key_is_named_by_its_thumbprint() {
    choose_a_backend_for_jsonwebtoken();
    for algorithm in algorithms().filter(|a| !a.name().starts_with('H')) {
        let key = signing(algorithm);
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&key.public_jwk().unwrap()).unwrap();
        let print = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
        assert_eq!(key.verifying().kid(), Some(print.unwrap().as_str()), "{algorithm}");
    }
    assert_eq!(signing(Algorithm::HS256).verifying().kid(), None);
    assert_eq!(signing(Algorithm::HS256).public_jwk(), None);
}

#[test]
fn a_key_is_announced_before_it_signs_and_trusted_after_it_has() {
    let minute = Duration::from_secs(60);
    let issuer = with(secret("old")).lifetime(HOUR).announcement(minute).build().unwrap();
    let verifier = issuer.verifier().build().unwrap();
    let issue = |secs: u64| issuer.issue(&NewToken::new("user-7"), at(secs)).unwrap();
    let kid = |secs: u64| part(issue(secs).reveal(), 0)["kid"].as_str().unwrap().to_owned();

    let before = issue(NOW);
    issuer.rotate(secret("new"), now()).unwrap();
    assert_eq!(kid(NOW + 59), "old");
    assert_eq!(kid(NOW + 60), "new");
    let last = issue(NOW + 59);
    accepted(&verifier, before.reveal(), NOW + 3_599);
    accepted(&verifier, last.reveal(), NOW + 59 + 3_599);
    accepted(&verifier, issue(NOW + 100).reveal(), NOW + 100);
}

#[test]
fn no_token_is_refused_while_keys_rotate_and_requests_run() {
    let issuer = with(secret("k0")).announcement(Duration::ZERO).build().unwrap();
    let verifier = issuer.verifier().cache(16).build().unwrap();
    std::thread::scope(|scope| {
        let worker = || {
            for round in 0..2_000u64 {
                let token = issuer.issue(&NewToken::new("user-7"), at(NOW + round)).unwrap();
                for _ in 0..2 {
                    accepted(&verifier, token.reveal(), NOW + round);
                }
            }
        };
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        for index in 1..=10 {
            issuer.rotate(secret(&format!("k{index}")), at(NOW + index)).unwrap();
        }
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

#[test]
fn a_leaked_key_is_trusted_no_more_from_this_moment() {
    let issuer = with(secret("leaked")).build().unwrap();
    let verifier = issuer.verifier().build().unwrap();
    let token = issuer.issue(&NewToken::new("user-7"), now()).unwrap();
    accepted(&verifier, token.reveal(), NOW);
    issuer.rotate_now(secret("new"), now()).unwrap();
    assert_eq!(refused(&verifier, token.reveal(), NOW), JwtErrorKind::UnknownKey);
    accepted(&verifier, issuer.issue(&NewToken::new("user-7"), now()).unwrap().reveal(), NOW);
}

#[test]
fn a_rotation_that_cannot_be_changes_nothing() {
    let issuer = with(secret("k1")).build().unwrap();
    let mistakes = [
        secret("k1"),
        SigningKey::secret(Algorithm::HS256, SECRET).unwrap().with_kid(""),
        signing(Algorithm::ES256),
    ];
    for mistake in mistakes {
        issuer.rotate(mistake, now()).unwrap_err();
    }
    let token = issuer.issue(&NewToken::new("user-7"), at(NOW + 700)).unwrap();
    assert_eq!(part(token.reveal(), 0)["kid"], "k1");
}

#[test]
fn a_key_that_has_signed_is_no_new_key() {
    let (one, two) = (secret("k1"), secret("k2"));
    let issuer = with(one.clone()).build().unwrap();
    issuer.rotate(one.clone(), now()).unwrap_err();
    issuer.rotate(two.clone(), now()).unwrap();
    for (key, secs) in [(one, NOW + 700), (two, NOW + 700)] {
        issuer.rotate(key.with_kid("another"), at(secs)).unwrap_err();
    }
    for secs in [NOW, NOW + 300, NOW + 700] {
        issuer.issue(&NewToken::new("user-7"), at(secs)).unwrap();
    }
}

#[test]
fn a_key_that_was_announced_by_configuration_is_rotated_to() {
    let (one, two) = (secret("k1"), secret("k2"));
    let issuer = with(one).announced_key(two.clone()).build().unwrap();
    issuer.rotate(two, now()).unwrap();
    let token = issuer.issue(&NewToken::new("user-7"), at(NOW + 600)).unwrap();
    assert_eq!(part(token.reveal(), 0)["kid"], "k2");
}

#[test]
fn keys_that_never_end_are_not_gathered_without_end() {
    let issuer = with(secret("k0")).build().unwrap();
    let refused = (1..100).position(|index| {
        issuer.rotate(secret(&format!("k{index}")), at(NOW + 700 * index)).is_err()
    });
    assert_eq!(refused, None, "each ends after 1,800 seconds");
    let issuer = with(secret("k0")).announcement(Duration::ZERO).build().unwrap();
    let rotated = (1..100)
        .take_while(|index| issuer.rotate(secret(&format!("k{index}")), at(NOW + index)).is_ok());
    assert_eq!(rotated.count(), 15);
}

#[test]
fn configuration_may_announce_and_retire_keys_of_other_processes() {
    let (old, new) = (secret("old"), secret("new"));
    let before = with(old.clone()).announced_key(new.clone()).build().unwrap();
    let after = with(new).retired_key(old, at(NOW + 100)).build().unwrap();
    let token = before.issue(&NewToken::new("user-7"), now()).unwrap();
    let next = after.issue(&NewToken::new("user-7"), now()).unwrap();
    let verifier = after.verifier().build().unwrap();
    accepted(&verifier, token.reveal(), NOW + 99);
    assert_eq!(refused(&verifier, token.reveal(), NOW + 100), JwtErrorKind::UnknownKey);
    accepted(&before.verifier().build().unwrap(), next.reveal(), NOW);
}

#[test]
fn settings_out_of_bounds_are_refused_with_their_value() {
    let day = Duration::from_secs(86_400);
    let mistakes = [
        (with(secret("k")).lifetime(Duration::ZERO), "0ns"),
        (with(secret("k")).lifetime(2 * day), "172800s"),
        (with(secret("k")).announcement(8 * day), "691200s"),
        (with(secret("k")).tenant_claim(""), "tenant claim"),
        (with(secret("k")).tenant_claim("sub"), "\"sub\""),
        (JwtIssuer::builder("", AUDIENCE, secret("k")), "issuer"),
        (JwtIssuer::builder(ISSUER, "", secret("k")), "audience"),
        (with(secret("k")).announced_key(secret("k")), "JWT keys"),
        (with(secret("k")).announced_key(signing(Algorithm::ES256)), "JWT keys"),
    ];
    for (builder, said) in mistakes {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let mixed = with(secret("k")).build().unwrap().verifier().key(secret_key()).build();
    assert!(mixed.is_err(), "a verifier of an issuer has its keys and no others");
}

// ---- The key set --------------------------------------------------------------------------------

async fn ask(issuer: &JwtIssuer, secs: u64, request: Request<()>) -> http::Response<DocumentBody> {
    issuer.jwks().clock(ManualClock::new(at(secs))).oneshot(request).await.unwrap()
}

async fn published(issuer: &JwtIssuer, secs: u64) -> Vec<Value> {
    let answer = ask(issuer, secs, Request::new(())).await;
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice::<Value>(&text).unwrap()["keys"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_key_set_has_every_public_key_and_nothing_private() {
    for algorithm in algorithms() {
        let issuer = of(algorithm);
        let keys = published(&issuer, NOW).await;
        let Some(jwk) = keys.first() else {
            assert!(algorithm.name().starts_with("HS"), "secrets are not published");
            continue;
        };
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert!(jwk.get(private).is_none(), "{algorithm}: {private}");
        }
        assert_eq!(
            (jwk["use"].as_str(), jwk["alg"].as_str()),
            (Some("sig"), Some(algorithm.name()))
        );
        let verifier = verifier_with(JwtKey::jwk(&jwk.to_string()).unwrap());
        let token = issuer.issue(&NewToken::new("user-7"), now()).unwrap();
        accepted(&verifier, token.reveal(), NOW);
    }
}

#[tokio::test]
async fn the_key_set_names_a_key_from_its_announcement_to_its_end() {
    let issuer = with(signing(Algorithm::ES256)).lifetime(HOUR).build().unwrap();
    issuer.rotate(signing(Algorithm::EdDSA), now()).unwrap();
    let algorithms = async |secs| {
        let keys = published(&issuer, secs).await;
        keys.iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(algorithms(NOW).await, ["ES256", "EdDSA"]);
    let end = NOW + 600 + 3_600 + 300;
    assert_eq!(algorithms(end - 1).await, ["ES256", "EdDSA"]);
    assert_eq!(algorithms(end).await, ["EdDSA"]);
}

#[tokio::test]
async fn caches_keep_the_key_set_as_long_as_keys_are_announced() {
    let issuer = with(signing(Algorithm::ES256)).announcement(HOUR).build().unwrap();
    let first = ask(&issuer, NOW, Request::new(())).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()["content-type"], "application/jwk-set+json");
    assert_eq!(first.headers()["cache-control"], "public, max-age=3600");
    let etag = first.headers()["etag"].clone();
    for given in [etag.to_str().unwrap(), "*", &format!("\"x\", W/{}", etag.to_str().unwrap())] {
        let request = Request::get("/").header("if-none-match", given).body(()).unwrap();
        let answer = ask(&issuer, NOW, request).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{given}");
        assert_eq!(answer.headers()["etag"], etag);
        assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    issuer.rotate(signing(Algorithm::EdDSA), now()).unwrap();
    let request = Request::get("/").header("if-none-match", &etag).body(()).unwrap();
    assert_eq!(ask(&issuer, NOW, request).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_key_set_is_read_and_not_written() {
    let issuer = of(Algorithm::ES256);
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let request = Request::builder().method(method).uri("/").body(()).unwrap();
        let answer = ask(&issuer, NOW, request).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], "GET, HEAD");
    }
    let head = ask(&issuer, NOW, Request::head("/").body(()).unwrap()).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert!(head.headers().contains_key("content-length"));
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
}
