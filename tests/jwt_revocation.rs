//! Tokens that are called back before they expire.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response, StatusCode};
use issuer::*;
use keygate::jwt::{JwtErrorKind, JwtVerifier, Revocations, RevokedTokens, VerifiedToken};
use keygate::store::StoreError;
use keygate::{AuthLayer, ManualClock, Rejection, RejectionKind, Timestamp};
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};

/// A list far away, which counts how often it is asked.
#[derive(Clone, Default)]
struct Far(Arc<(AtomicU8, AtomicUsize)>);

const GOOD: u8 = 0;
const REVOKED: u8 = 1;
const AWAY: u8 = 2;

impl Far {
    fn set(&self, answer: u8) {
        self.0.0.store(answer, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Revocations for Far {
    async fn is_revoked(&self, _: &VerifiedToken) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        self.0.1.fetch_add(1, Ordering::SeqCst);
        match self.0.0.load(Ordering::SeqCst) {
            AWAY => Err(StoreError::unavailable("no route to redis://:hunter2@10.0.0.1")),
            answer => Ok(answer == REVOKED),
        }
    }
}

fn with(revocations: impl Revocations) -> JwtVerifier {
    builder().revocations(revocations).build().unwrap()
}

async fn through(verifier: &JwtVerifier, token: &str) -> Response<String> {
    let clock = ManualClock::new(now());
    let inner =
        service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::from("in"))));
    let gate = AuthLayer::tokens_only(verifier.clone()).clock(clock).layer(inner);
    let request = Request::get("/").header("authorization", format!("Bearer {token}"));
    let response = gate.oneshot(request.body(()).unwrap()).await.unwrap();
    let why = response.extensions().get::<Rejection>().cloned();
    let mut answer = Response::new(format!("{why:?}"));
    *answer.status_mut() = response.status();
    why.map(|why| answer.extensions_mut().insert(why));
    answer
}

#[tokio::test]
async fn a_list_is_asked_for_every_request_though_the_token_was_verified_before() {
    let far = Far::default();
    let verifier = with(far.clone());
    let token = good_token();
    for count in 1..=3 {
        assert_eq!(through(&verifier, &token).await.status(), StatusCode::OK);
        assert_eq!(far.asked(), count);
    }
    far.set(REVOKED);
    assert_eq!(through(&verifier, &token).await.status(), StatusCode::UNAUTHORIZED);
    far.set(GOOD);
    assert_eq!(through(&verifier, &token).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_list_that_fails_is_an_outage_and_never_a_pass() {
    let far = Far::default();
    let verifier = with(far.clone());
    let token = good_token();
    for round in 0..2 {
        far.set(AWAY);
        let answer = through(&verifier, &token).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{round}");
        let why = answer.extensions().get::<Rejection>().unwrap();
        assert_eq!(why.kind(), RejectionKind::Unavailable);
        // The next round has the token in memory.
        far.set(GOOD);
        assert_eq!(through(&verifier, &token).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_before_the_list_is_asked() {
    let far = Far::default();
    let verifier = with(far.clone());
    let expired = token(&claims_with("exp", json!(NOW - 60)));
    for bad in [forged(&good_token()), expired, "a.b.c".to_owned()] {
        assert_eq!(through(&verifier, &bad).await.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(far.asked(), 0);
}

#[tokio::test]
async fn what_has_to_be_asked_for_is_refused_where_nobody_can_wait() {
    let verifier = with(Far::default());
    let token = good_token();
    let error = verifier.verify(&token, now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::RevocationsUnavailable);
    assert_eq!(Rejection::from(error).kind(), RejectionKind::Unavailable);
    assert_eq!(verifier.verify_and_ask(&token, now()).await.unwrap().subject(), "user-7");
}

/// As a key that ends while its store is asked.
#[tokio::test]
async fn a_token_that_ends_while_the_list_is_asked_is_refused() {
    struct Slow(ManualClock);
    #[async_trait]
    impl Revocations for Slow {
        async fn is_revoked(&self, _: &VerifiedToken) -> Result<bool, StoreError> {
            self.0.advance(Duration::from_secs(10));
            Ok(false)
        }
    }
    // With the leeway of 30 s it is over after 35 s.
    let (token, clock) = (token(&claims_with("exp", json!(NOW + 5))), ManualClock::new(now()));
    let verifier = with(Slow(clock.clone()));
    for expected in [None, None, None, Some(JwtErrorKind::Expired)] {
        let answer = verifier.verify_or_fetch(&token, &clock).await;
        assert_eq!(answer.err().map(|error| error.kind()), expected);
    }
}

#[test]
fn a_list_that_is_dropped_while_it_is_asked_lets_nobody_in() {
    struct Never;
    #[async_trait]
    impl Revocations for Never {
        async fn is_revoked(&self, _: &VerifiedToken) -> Result<bool, StoreError> {
            std::future::pending().await
        }
    }
    let verifier = with(Never);
    let token = good_token();
    let mut asking = Box::pin(verifier.verify_and_ask(&token, now()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(asking.as_mut().poll(&mut cx).is_pending());
    drop(asking);
    assert!(verifier.verify(&token, now()).is_err());
}

// ---- In memory ----------------------------------------------------------------------------------

fn refused(verifier: &JwtVerifier, token: &str) -> Option<JwtErrorKind> {
    verifier.verify(token, now()).err().map(|error| error.kind())
}

#[test]
fn a_revoked_token_is_refused_from_the_next_request_on_and_no_other() {
    let revoked = RevokedTokens::new();
    let verifier = with(revoked.clone());
    let (one, two) = (good_token(), token(&claims_with("jti", json!("token-2"))));
    let seen = verifier.verify(&one, now()).unwrap();
    assert!(revoked.is_empty());
    revoked.revoke(&seen, now()).unwrap();
    assert_eq!(refused(&verifier, &one), Some(JwtErrorKind::Revoked));
    assert_eq!(refused(&verifier, &two), None);
    assert_eq!(revoked.len(), 1);
}

#[test]
fn a_token_without_an_id_cannot_be_revoked_alone() {
    let revoked = RevokedTokens::new();
    let token = verify(&claims_without("jti")).unwrap();
    assert!(revoked.revoke(&token, now()).is_err());
    assert!(revoked.is_empty());
}

#[test]
fn a_subject_loses_what_it_was_issued_until_then() {
    let revoked = RevokedTokens::new();
    let verifier = with(revoked.clone());
    let issued = |at: u64| token(&claims_with("iat", json!(at)));
    let until = Timestamp::from_secs(NOW + 600);
    revoked.revoke_subject(ISSUER, "user-7", Timestamp::from_secs(NOW - 30), until, now()).unwrap();
    for (token, expected) in [
        (issued(NOW - 31), Some(JwtErrorKind::Revoked)),
        (issued(NOW - 30), Some(JwtErrorKind::Revoked)),
        (issued(NOW - 29), None),
        (token(&claims_without("iat")), Some(JwtErrorKind::Revoked)),
        (token(&claims_with("sub", json!("user-8"))), None),
    ] {
        assert_eq!(refused(&verifier, &token), expected);
    }
}

#[test]
fn a_session_ends_for_all_of_its_tokens() {
    let revoked = RevokedTokens::new();
    let verifier = with(revoked.clone());
    let of = |session: &str, id: &str| {
        let mut claims = claims_with("sid", json!(session));
        claims["jti"] = json!(id);
        token(&claims)
    };
    let until = Timestamp::from_secs(NOW + 600);
    revoked.revoke_session(ISSUER, "s-1", until, now()).unwrap();
    assert_eq!(refused(&verifier, &of("s-1", "t-1")), Some(JwtErrorKind::Revoked));
    assert_eq!(refused(&verifier, &of("s-1", "t-2")), Some(JwtErrorKind::Revoked));
    assert_eq!(refused(&verifier, &of("s-2", "t-1")), None);
    // A name of one kind is none of another.
    assert_eq!(refused(&verifier, &of("s-2", "s-1")), None);
}

#[test]
fn names_belong_to_their_issuer() {
    let revoked = RevokedTokens::new();
    let verifier = with(revoked.clone());
    let until = Timestamp::from_secs(NOW + 600);
    revoked.revoke_subject("https://other.example", "user-7", now(), until, now()).unwrap();
    revoked.revoke_session("https://other.example", "s-1", until, now()).unwrap();
    assert_eq!(refused(&verifier, &token(&claims_with("sid", json!("s-1")))), None);
}

#[test]
fn a_revocation_is_forgotten_when_the_last_token_that_it_means_is_over_with_every_leeway() {
    let revoked = RevokedTokens::with_capacity(1).unwrap();
    let (end, other) = (Timestamp::from_secs(NOW + 600), Timestamp::from_secs(NOW + 5_000));
    revoked.revoke_session(ISSUER, "s-1", end, now()).unwrap();
    let leeway = Duration::from_secs(300);
    let last = end.saturating_add(leeway - Duration::from_nanos(1));
    assert!(revoked.revoke_session(ISSUER, "s-2", other, last).is_err());
    revoked.revoke_session(ISSUER, "s-2", other, end.saturating_add(leeway)).unwrap();
    assert_eq!(revoked.len(), 1);
}

#[test]
fn where_there_is_no_room_revoking_fails_and_nothing_is_forgotten() {
    let revoked = RevokedTokens::with_capacity(2).unwrap();
    let verifier = with(revoked.clone());
    let until = Timestamp::from_secs(NOW + 600);
    for session in ["s-1", "s-2"] {
        revoked.revoke_session(ISSUER, session, until, now()).unwrap();
    }
    assert!(revoked.revoke_session(ISSUER, "s-3", until, now()).unwrap_err().is_unavailable());
    // What is known already can be revoked again.
    revoked.revoke_session(ISSUER, "s-1", until, now()).unwrap();
    for (session, expected) in
        [("s-1", Some(JwtErrorKind::Revoked)), ("s-2", Some(JwtErrorKind::Revoked)), ("s-3", None)]
    {
        assert_eq!(refused(&verifier, &token(&claims_with("sid", json!(session)))), expected);
    }
    assert!(RevokedTokens::with_capacity(0).is_err());
}

#[test]
fn revoking_again_never_shortens() {
    let revoked = RevokedTokens::new();
    let verifier = with(revoked.clone());
    let until = Timestamp::from_secs(NOW + 600);
    revoked.revoke_subject(ISSUER, "user-7", now(), until, now()).unwrap();
    revoked.revoke_subject(ISSUER, "user-7", Timestamp::EPOCH, now(), now()).unwrap();
    assert_eq!(refused(&verifier, &good_token()), Some(JwtErrorKind::Revoked));
}

#[test]
fn revoking_again_never_has_it_forgotten_earlier() {
    let revoked = RevokedTokens::new();
    let verifier = with(revoked.clone());
    let (until, later) = (Timestamp::from_secs(NOW + 600), Timestamp::from_secs(NOW + 599));
    revoked.revoke_session(ISSUER, "s-1", until, now()).unwrap();
    revoked.revoke_session(ISSUER, "s-1", now(), now()).unwrap();
    // Has the list look through its entries.
    revoked.revoke_session(ISSUER, "s-2", Timestamp::MAX, later).unwrap();
    let token = token(&claims_with("sid", json!("s-1")));
    assert_eq!(verifier.verify(&token, later).unwrap_err().kind(), JwtErrorKind::Revoked);
}

#[test]
fn what_is_shown_of_a_list_names_nobody() {
    let revoked = RevokedTokens::new();
    revoked.revoke_session(ISSUER, "s-secret", Timestamp::MAX, now()).unwrap();
    assert!(!format!("{revoked:?}").contains("s-secret"));
}
