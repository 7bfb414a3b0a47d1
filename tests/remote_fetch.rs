//! Keys fetched by a client of one's own, without the feature `remote` and without a runtime's help.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use issuer::*;
use keygate::jwt::remote::{Fetch, FetchError, Refresh, RemoteKeys, RemoteKeysBuilder};
use keygate::jwt::{Algorithm, JwtErrorKind, JwtVerifier};
use keygate::{Clock, ManualClock, Rejection, RejectionKind, Timestamp};
use serde_json::json;

const URL: &str = "https://issuer.example/jwks?tenant=acme";

/// What the client does when it is asked.
#[derive(Clone, Debug)]
enum Does {
    Answers(Vec<u8>),
    Fails,
    Panics,
    Hangs,
}

/// A client that is told what to do. Time passes when the test says so.
#[derive(Clone, Debug)]
struct Scripted {
    does: Arc<Mutex<Does>>,
    asked: Arc<AtomicUsize>,
    clock: ManualClock,
}

#[async_trait]
impl Fetch for Scripted {
    async fn get(&self, request: Request<()>, limit: usize) -> Result<Response<Bytes>, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!((request.uri().to_string().as_str(), limit), (URL, 256 * 1024));
        let does = self.does.lock().unwrap().clone();
        match does {
            Does::Answers(body) => Ok(Response::new(body.into())),
            Does::Fails => Err("no route to host".into()),
            Does::Panics => panic!("a client that panics"),
            Does::Hangs => std::future::pending().await,
        }
    }

    async fn sleep(&self, time: Duration) {
        let end = keygate::Clock::monotonic(&self.clock) + time;
        std::future::poll_fn(|_| match keygate::Clock::monotonic(&self.clock) < end {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }
}

struct World {
    client: Scripted,
    keys: RemoteKeys,
    refresh: Refresh,
    verifier: JwtVerifier,
}

impl World {
    fn that(does: Does) -> Self {
        let clock = ManualClock::new(now());
        let client = Scripted { does: Arc::new(Mutex::new(does)), asked: Arc::default(), clock };
        let builder = RemoteKeys::jwks(URL).clock(client.clock.clone());
        let (keys, refresh) = builder.build(client.clone()).unwrap();
        let verifier = JwtVerifier::builder(ISSUER, AUDIENCE).remote_keys(keys.clone());
        Self { client, keys, refresh, verifier: verifier.build().unwrap() }
    }

    fn then(&self, does: Does) {
        *self.client.does.lock().unwrap() = does;
    }

    fn pass(&self, time: Duration) {
        self.client.clock.advance(time);
    }

    fn asked(&self) -> usize {
        self.client.asked.load(Ordering::SeqCst)
    }

    /// The verdict of one poll: none for who has to wait.
    fn verify(&self, token: &str) -> Option<Result<(), JwtErrorKind>> {
        let verified = now_or_never(self.verifier.verify_or_fetch(token, &self.client.clock))?;
        Some(verified.map(drop).map_err(|error| error.kind()))
    }

    /// Polls the task once; it is never done.
    fn attend(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        assert!(std::pin::Pin::new(&mut self.refresh).poll(&mut context).is_pending());
    }
}

fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn published() -> Does {
    let raw = raw_public_key(Algorithm::EdDSA);
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": encode(raw) });
    Does::Answers(json!({ "keys": [key] }).to_string().into_bytes())
}

fn token() -> String {
    signed(Algorithm::EdDSA, r#"{"alg":"EdDSA","kid":"1"}"#, &claims().to_string())
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_request_fetches_where_no_task_does() {
    let world = World::that(published());
    assert_eq!(
        world.verifier.verify(&token(), now()).unwrap_err().kind(),
        JwtErrorKind::KeysUnavailable
    );
    assert_eq!(world.asked(), 0, "nothing is fetched by who does not wait");
    assert_eq!(world.verify(&token()), Some(Ok(())));
    assert!(world.verifier.verify(&token(), now()).is_ok());
    assert_eq!(world.asked(), 1);
}

#[test]
fn the_task_fetches_ahead_so_that_no_request_does() {
    let mut world = World::that(published());
    world.attend();
    for round in 1..20 {
        assert_eq!(world.asked(), round);
        // Up to a tenth earlier; before that, never.
        for _ in 0..539 {
            world.pass(SECOND);
            world.attend();
        }
        assert!(world.verifier.verify(&token(), now()).is_ok());
        assert_eq!(world.asked(), round, "too early");
        while world.asked() == round {
            world.pass(SECOND);
            world.attend();
            assert!(world.keys.stats().age.unwrap() <= Duration::from_secs(600));
        }
    }
}

#[test]
fn after_a_failure_the_task_asks_again_soon_and_then_less_often() {
    let mut world = World::that(Does::Fails);
    let mut asked_at = Vec::new();
    for tenth in 0..6000_u32 {
        world.attend();
        if world.asked() > asked_at.len() {
            asked_at.push(f64::from(tenth) / 10.0);
        }
        world.pass(SECOND / 10);
    }
    let pauses: Vec<_> = asked_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (n, pause) in pauses.iter().enumerate() {
        let longest = f64::from(1_u32 << n.min(6)).min(60.0);
        assert!((longest / 2.0..=longest + 0.2).contains(pause), "{n}: {pause} s of {longest}");
    }
    assert_eq!(world.keys.stats().failures as usize, asked_at.len());
    world.then(published());
    world.pass(Duration::from_secs(60));
    world.attend();
    assert!(!world.keys.stats().is_failing);
    assert!(world.verifier.verify(&token(), now()).is_ok());
}

/// The task goes on with what a request has begun and left.
#[test]
fn the_task_takes_part_in_a_fetch_that_a_request_has_begun() {
    let mut world = World::that(published());
    world.attend();
    world.then(Does::Hangs);
    let unknown = signed(Algorithm::EdDSA, r#"{"alg":"EdDSA","kid":"2"}"#, &claims().to_string());
    assert_eq!(world.verify(&unknown), None, "waits, and leaves");
    world.attend();
    world.pass(10 * SECOND);
    world.attend();
    assert!(world.keys.stats().is_failing, "brought to its end by the task");
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_client_that_never_answers_is_left_after_the_timeout() {
    let world = World::that(Does::Hangs);
    let (clock, token) = (&world.client.clock, token());
    let mut waiting = pin!(world.verifier.verify_or_fetch(&token, clock));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        world.pass(SECOND);
    }
    let Poll::Ready(Err(error)) = waiting.as_mut().poll(&mut context) else {
        panic!("waits still")
    };
    assert_eq!(error.kind(), JwtErrorKind::KeysUnavailable);
    let refused = Rejection::from(error);
    assert_eq!((refused.kind(), refused.status().as_u16()), (RejectionKind::Unavailable, 503));
    assert!(refused.retry_after_secs().is_some_and(|secs| (1..=10).contains(&secs)));
}

#[test]
fn a_client_that_panics_is_a_failed_fetch_for_all_others() {
    let mut world = World::that(published());
    world.attend();
    world.then(Does::Panics);
    let flight = std::panic::AssertUnwindSafe(|| now_or_never(world.keys.refresh()));
    assert!(std::panic::catch_unwind(flight).is_err());
    let stats = world.keys.stats();
    assert_eq!((stats.failures, stats.is_failing, stats.waiting), (1, true, 0));
    assert_eq!(world.verify(&token()), Some(Ok(())), "known keys stay in use");
    world.then(published());
    world.pass(SECOND);
    world.attend();
    assert!(!world.keys.stats().is_failing);
}

#[test]
fn a_body_that_a_client_read_beyond_the_limit_is_refused() {
    let Does::Answers(mut body) = published() else { unreachable!() };
    body.resize(256 * 1024, b' ');
    let world = World::that(Does::Answers(body.clone()));
    assert!(now_or_never(world.keys.refresh()).unwrap().is_ok(), "exactly the limit");
    body.push(b' ');
    world.then(Does::Answers(body));
    let error = now_or_never(world.keys.refresh()).unwrap().unwrap_err();
    assert!(error.to_string().contains("longer than 262144 bytes"), "{error}");
}

#[test]
fn an_error_keeps_its_cause_and_all_who_waited_share_it() {
    let world = World::that(Does::Fails);
    let error = now_or_never(world.keys.refresh()).unwrap().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "no route to host");
    assert_eq!(std::error::Error::source(&error.clone()).unwrap().to_string(), cause);
}

#[test]
fn a_wall_clock_that_is_put_back_keeps_no_key_in_use() {
    let world = World::that(published());
    assert_eq!(world.verify(&token()), Some(Ok(())));
    world.pass(Duration::from_secs(609));
    world.client.clock.set(now());
    assert!(world.verifier.verify(&token(), now()).is_ok());
    world.pass(SECOND);
    world.client.clock.set(now());
    let error = world.verifier.verify(&token(), now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::KeysUnavailable);
}

/// Verified tokens are remembered, for no longer than the keys that they were verified with.
#[test]
fn a_token_that_was_good_is_refused_when_the_keys_run_out_or_its_key_is_withdrawn() {
    let world = World::that(published());
    for _ in 0..2 {
        assert_eq!(world.verify(&token()), Some(Ok(())));
    }
    world.pass(Duration::from_secs(610));
    world.client.clock.set(now());
    let error = world.verifier.verify(&token(), now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::KeysUnavailable);
    assert_eq!(world.verify(&token()), Some(Ok(())), "fetched anew");
    let other = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "2",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    world.then(Does::Answers(other.to_string().into_bytes()));
    now_or_never(world.keys.refresh()).unwrap().unwrap();
    let error = world.verifier.verify(&token(), now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::UnknownKey);
}

/// A clock that is read at the edge: once, it says that the keys have run out.
#[derive(Clone, Debug)]
struct Edge {
    clock: ManualClock,
    is_over: Arc<AtomicBool>,
}

impl Clock for Edge {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        let late = self.is_over.swap(false, Ordering::SeqCst);
        self.clock.monotonic() + Duration::from_secs(if late { 100_000 } else { 0 })
    }
}

/// As when a fetch lands between the look at the keys' time and the look for the key.
#[test]
fn a_token_that_is_verified_while_keys_run_out_and_come_back_is_not_good_when_they_run_out_again() {
    let clock = ManualClock::new(now());
    let edge = Edge { clock: clock.clone(), is_over: Arc::default() };
    let does = Arc::new(Mutex::new(published()));
    let client = Scripted { does, asked: Arc::default(), clock: clock.clone() };
    let (keys, _refresh) = RemoteKeys::jwks(URL).clock(edge.clone()).build(client).unwrap();
    now_or_never(keys.refresh()).unwrap().unwrap();
    let verifier = JwtVerifier::builder(ISSUER, AUDIENCE).remote_keys(keys).build().unwrap();
    edge.is_over.store(true, Ordering::SeqCst);
    assert!(verifier.verify(&token(), now()).is_ok());
    clock.advance(Duration::from_secs(100_000));
    let error = verifier.verify(&token(), now()).unwrap_err();
    assert_eq!(error.kind(), JwtErrorKind::KeysUnavailable);
}

#[test]
fn pushed_keys_stand_in_until_the_next_fetch() {
    let mut world = World::that(Does::Fails);
    world.attend();
    let Does::Answers(json) = published() else { unreachable!() };
    let set = keygate::jwt::Jwks::parse(json, &[Algorithm::EdDSA]).unwrap();
    world.keys.push(set);
    assert_eq!(world.verify(&token()), Some(Ok(())));
    assert!(!world.keys.stats().is_failing);
    assert_eq!(world.keys.stats().usable_for, Some(Duration::from_secs(610)));
    world.pass(Duration::from_secs(600));
    world.attend();
    assert_eq!(world.asked(), 2, "as if they had been fetched");
}

#[test]
fn nothing_of_the_url_but_the_issuer_is_shown() {
    let world = World::that(Does::Fails);
    let error = now_or_never(world.keys.refresh()).unwrap().unwrap_err();
    let shown =
        format!("{error} {error:?} {:?} {:?} {:?}", world.keys, world.verifier, world.refresh);
    assert!(!shown.contains("tenant=acme"), "{shown}");
}

// ---- Configuration ------------------------------------------------------------------------------

fn refused(builder: RemoteKeysBuilder) -> String {
    let World { client, .. } = World::that(Does::Fails);
    builder.build(client).map(drop).expect_err("taken").to_string()
}

#[test]
fn mistaken_settings_are_refused_with_their_value() {
    let secs = Duration::from_secs;
    let keys = || RemoteKeys::jwks(URL);
    for (builder, told) in [
        (RemoteKeys::jwks("http://issuer.example/jwks"), "not https"),
        (RemoteKeys::jwks("issuer.example/jwks"), "issuer.example/jwks"),
        (RemoteKeys::discover("http://issuer.example"), "http://issuer.example"),
        (RemoteKeys::discover("https://issuer.example?x"), "a query"),
        (RemoteKeys::discover(""), "issuer"),
        (keys().algorithms([]), "none"),
        (keys().algorithms([Algorithm::RS256, Algorithm::HS256]), "HS256"),
        (keys().refresh_between(secs(0), secs(600)), "0ns"),
        (keys().refresh_between(secs(601), secs(600)), "601s"),
        (keys().refresh_between(secs(60), secs(86_401)), "86401s"),
        (keys().refresh_between(secs(0), secs(0)), "longest interval"),
        (keys().timeout(secs(0)), "timeout"),
        (keys().timeout(secs(61)), "61s"),
        (keys().cooldown(Duration::from_millis(999)), "999ms"),
        (keys().cooldown(secs(3601)), "3601s"),
        (keys().outage(secs(609)), "609s"),
        (keys().outage(Duration::MAX), "outage"),
        (keys().max_size(1023), "1023"),
        (keys().max_size(usize::MAX), "longest answer"),
    ] {
        let error = refused(builder);
        assert!(error.contains(told), "{error:?} does not speak of {told:?}");
    }
}

#[test]
fn keys_found_by_an_issuer_are_for_its_verifier_only() {
    let keys = || {
        let World { client, .. } = World::that(Does::Fails);
        RemoteKeys::discover("https://issuer.example").build(client).unwrap().0
    };
    for issuer in ["https://other.example", "https://issuer.example/"] {
        let built = JwtVerifier::builder(issuer, AUDIENCE).remote_keys(keys()).build();
        assert!(built.unwrap_err().to_string().contains("of the same issuer"), "{issuer}");
    }
    let any = JwtVerifier::builder("https://issuer.example", AUDIENCE).danger_any_issuer();
    assert!(any.remote_keys(keys()).build().is_err());
    let same = JwtVerifier::builder("https://issuer.example", AUDIENCE).remote_keys(keys());
    assert!(same.build().is_ok());
}
