//! Limits through a whole gate: what runs at a time, what is settled later, plans that change, and
//! guesses at one key.
#![allow(clippy::unwrap_used)]

mod common;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use common::{
    bearer, clock, gate, get, head, live_key, one_key, refusal, subject, wait, with_peer,
};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use keygate::RejectionKind::{KeyInvalid, TooManyFailures};
use keygate::limit::{Plans, Reservation};
use keygate::policy::Routes;
use keygate::render::RateLimitHeaders;
use keygate::{
    Auth, AuthLayer, Concurrency, FailureBudget, GateBody, KeyToken, Limit, Policy, Quota, Require,
};
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};

/// A body that sends as many frames as it is told, and may fail then.
struct Frames {
    left: usize,
    fails: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(match self.left {
            0 if self.fails => Some(Err("cut off")),
            0 => None,
            _ => {
                self.left -= 1;
                Some(Ok(Frame::data(Bytes::from_static(b"frame"))))
            }
        })
    }
}

type Answer<B> = Response<GateBody<B>>;

/// A service whose answers have bodies of two frames.
fn streaming(
    layer: &AuthLayer,
    fails: bool,
) -> impl Service<Request<()>, Response = Answer<Frames>, Error = Infallible> + use<> {
    layer.layer(service_fn(move |_: Request<()>| async move {
        Ok(Response::new(Frames { left: 2, fails }))
    }))
}

fn request(key: &KeyToken) -> Request<()> {
    Request::from_parts(bearer(key.reveal()), ())
}

fn frame<B: Body + Unpin>(answer: &mut B) -> Option<Result<Frame<B::Data>, B::Error>> {
    match Pin::new(answer).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(frame) => frame,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn one_at_a_time() -> (AuthLayer, KeyToken) {
    let (store, key) = one_key();
    (gate(store).concurrency(Concurrency::per_key(1).unwrap()).unwrap(), key)
}

// What runs at a time

#[test]
fn a_request_runs_until_its_body_is_at_its_end() {
    let (layer, key) = one_at_a_time();
    let mut service = streaming(&layer, false);
    let mut call = || wait(service.call(request(&key))).unwrap();
    let mut first = call();
    assert_eq!(first.status(), 200);
    for _ in 0..2 {
        assert!(frame(first.body_mut()).unwrap().is_ok());
        let refused = call();
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(refused.headers()["cache-control"], "no-store");
    }
    assert!(frame(first.body_mut()).is_none());
    assert_eq!(call().status(), 200, "though the answer is still there");
    drop(first);
}

#[test]
fn a_request_runs_until_its_body_fails() {
    let (layer, key) = one_at_a_time();
    let mut service = streaming(&layer, true);
    let mut first = wait(service.call(request(&key))).unwrap();
    assert!(frame(first.body_mut()).unwrap().is_ok() && frame(first.body_mut()).unwrap().is_ok());
    assert_eq!(frame(first.body_mut()).unwrap().unwrap_err(), "cut off");
    assert_eq!(wait(service.call(request(&key))).unwrap().status(), 200);
    drop(first);
}

#[test]
fn a_request_runs_until_its_body_is_dropped() {
    let (layer, key) = one_at_a_time();
    let mut service = streaming(&layer, false);
    for _ in 0..3 {
        let answer = wait(service.call(request(&key))).unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(wait(service.call(request(&key))).unwrap().status(), 429);
        drop(answer.into_body());
    }
}

#[test]
fn a_request_runs_until_its_future_is_dropped() {
    let (layer, key) = one_at_a_time();
    let never =
        service_fn(|_: Request<()>| std::future::pending::<Result<Response<()>, Infallible>>());
    let mut service = layer.layer(never);
    for _ in 0..3 {
        let mut running = Box::pin(service.call(request(&key)));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(running.as_mut().poll(cx).is_pending());
        let refused = wait(service.call(request(&key))).unwrap();
        assert_eq!(refused.status(), 429);
        drop(running);
    }
}

#[test]
fn a_request_that_the_service_fails_runs_no_more() {
    let (layer, key) = one_at_a_time();
    let failing = service_fn(|_: Request<()>| async { Err::<Response<()>, _>("away") });
    let mut service = layer.layer(failing);
    for _ in 0..3 {
        assert_eq!(wait(service.call(request(&key))).unwrap_err(), "away");
    }
}

#[test]
fn a_request_that_is_refused_runs_nowhere() {
    let (layer, key) = one_at_a_time();
    let layer = layer.limit(Limit::per_key(Quota::per_hour(2).unwrap())).unwrap();
    let denied = layer.clone().require(Policy::all_of(["admin"]).unwrap());
    let mut service = streaming(&denied, false);
    assert_eq!(wait(service.call(request(&key))).unwrap().status(), 403);
    assert_eq!(wait(service.call(request(&key))).unwrap().status(), 403);
    let limited = wait(service.call(request(&key))).unwrap();
    assert_eq!(
        (limited.status().as_u16(), limited.headers()["retry-after"].as_bytes()),
        (429, &b"3600"[..])
    );
    // Refused behind the gate, it runs until that answer is sent.
    let layer = one_at_a_time();
    let inner = Require::new(Policy::all_of(["admin"]).unwrap()).layer(service_fn(
        |_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) },
    ));
    let mut service = layer.0.layer(inner);
    for _ in 0..3 {
        assert_eq!(wait(service.call(request(&layer.1))).unwrap().status(), 403);
    }
}

#[test]
fn one_too_many_is_counted_by_no_limit() {
    let (layer, key) = one_at_a_time();
    let layer = layer.limit(Limit::per_key(Quota::per_hour(2).unwrap())).unwrap();
    let mut service = streaming(&layer, false);
    let held = wait(service.call(request(&key))).unwrap();
    for _ in 0..5 {
        assert_eq!(wait(service.call(request(&key))).unwrap().status(), 429);
    }
    drop(held);
    let second = wait(service.call(request(&key))).unwrap();
    assert_eq!(second.headers()["x-ratelimit-remaining"], "0");
    assert_eq!(second.status(), 200);
}

#[test]
fn the_draft_tells_how_many_more_may_run_and_the_others_do_not() {
    let (store, key) = one_key();
    let layer = gate(store)
        .concurrency(Concurrency::per_key(2).unwrap().name("at once").unwrap())
        .unwrap()
        .limit(Limit::per_key(Quota::per_hour(9).unwrap()))
        .unwrap()
        .rate_limit_headers(RateLimitHeaders::x().and_draft());
    let mut service = streaming(&layer, false);
    let held = wait(service.call(request(&key))).unwrap();
    let told = |answer: &Answer<Frames>, name| {
        answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned())
    };
    let policy = r#""at once";q=2;qu="concurrent-requests", "key";q=9;w=3600"#;
    assert_eq!(told(&held, "ratelimit-policy").as_deref(), Some(policy));
    assert_eq!(told(&held, "ratelimit").as_deref(), Some(r#""at once";r=1, "key";r=8;t=3600"#));
    assert_eq!(told(&held, "x-ratelimit-limit").as_deref(), Some("9"));
    let last = wait(service.call(request(&key))).unwrap();
    let refused = wait(service.call(request(&key))).unwrap();
    assert_eq!(told(&refused, "ratelimit").as_deref(), Some(r#""at once";r=0"#));
    assert_eq!(told(&refused, "x-ratelimit-limit"), None);
    drop((held, last));
}

#[test]
fn without_a_service_it_runs_until_its_permits_are_dropped() {
    let (layer, key) = one_at_a_time();
    let gate = layer.into_authenticator();
    let parts = bearer(key.reveal());
    let first = wait(gate.authenticate(&parts));
    assert!(first.verdict.is_ok());
    assert!(wait(gate.authenticate(&parts)).verdict.is_err());
    drop(first);
    assert!(wait(gate.authenticate(&parts)).verdict.is_ok());
}

#[test]
fn a_refused_outcome_holds_nothing_however_long_it_is_kept() {
    let (layer, key) = by_tokens();
    let layer = layer.concurrency(Concurrency::per_key(1).unwrap()).unwrap();
    let gate = layer.require(Policy::all_of(["admin"]).unwrap()).into_authenticator();
    let parts = bearer(key.reveal());
    let refused: Vec<_> = (0..5).map(|_| wait(gate.authenticate(&parts))).collect();
    for outcome in &refused {
        let why = outcome.verdict.as_ref().unwrap_err().kind();
        assert_eq!(why, keygate::RejectionKind::InsufficientScope);
        assert!(outcome.reservation.is_none());
    }
}

// What is settled later

type Taking = Auth<BoxCloneService<Request<()>, Response<()>, Infallible>>;

/// A service that hands on the reservation it was given.
fn taking(layer: &AuthLayer) -> (Taking, Arc<Mutex<Vec<Reservation>>>) {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&taken);
    let service = service_fn(move |request: Request<()>| {
        kept.lock().unwrap().extend(request.extensions().get::<Reservation>().cloned());
        async { Ok::<_, Infallible>(Response::new(())) }
    });
    (layer.layer(BoxCloneService::new(service)), taken)
}

fn by_tokens() -> (AuthLayer, KeyToken) {
    let (store, key) = one_key();
    let tokens = Limit::per_key(Quota::per_hour(100).unwrap()).cost(40).settle_later();
    (gate(store).limit(tokens).unwrap(), key)
}

fn left(
    service: &mut impl Service<Request<()>, Response = Answer<()>, Error = Infallible>,
    key: &KeyToken,
) -> String {
    let answer = wait(service.call(request(key))).unwrap();
    answer.headers()["x-ratelimit-remaining"].to_str().unwrap().to_owned()
}

#[test]
fn a_handler_settles_what_the_gate_has_reserved() {
    let (layer, key) = by_tokens();
    let (mut service, taken) = taking(&layer);
    assert_eq!(left(&mut service, &key), "60");
    taken.lock().unwrap().pop().unwrap().commit(7);
    assert_eq!(left(&mut service, &key), "53");
    let stream = taken.lock().unwrap().pop().unwrap();
    stream.spend(3);
    drop(stream);
    assert_eq!(left(&mut service, &key), "50");
    assert_eq!(left(&mut service, &key), "10", "one is held");
    assert_eq!(wait(service.call(request(&key))).unwrap().status(), 429, "two are");
    taken.lock().unwrap().clear();
    assert_eq!(left(&mut service, &key), "50");
}

#[test]
fn a_cancelled_request_gets_its_estimate_back() {
    let (layer, key) = by_tokens();
    let never = service_fn(|request: Request<()>| async move {
        let _request = request;
        std::future::pending::<Result<Response<()>, Infallible>>().await
    });
    let (mut counting, _taken) = taking(&layer);
    let mut service = layer.layer(never);
    let mut running = Box::pin(service.call(request(&key)));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(cx).is_pending());
    assert_eq!(left(&mut counting, &key), "20", "both are held");
    drop(running);
    drop((counting, _taken));
    let (mut counting, _taken) = taking(&layer);
    assert_eq!(left(&mut counting, &key), "60");
}

#[test]
fn a_request_that_is_refused_for_its_scope_holds_nothing() {
    let (layer, key) = by_tokens();
    let layer = layer.require(Policy::all_of(["admin"]).unwrap());
    let (mut service, _taken) = taking(&layer);
    for _ in 0..5 {
        let refused = wait(service.call(request(&key))).unwrap();
        assert_eq!(
            (refused.status().as_u16(), refused.headers()["x-ratelimit-remaining"].as_bytes()),
            (403, &b"60"[..])
        );
    }
}

#[test]
fn two_gates_are_settled_by_one_handler() {
    let (layer, key) = by_tokens();
    let (inner, taken) = taking(&layer);
    // The same layer twice: the outer gate and the inner one each hold 40 of the 100.
    let mut service = layer.layer(inner);
    let answer = wait(service.call(request(&key))).unwrap();
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "60", "the outer gate speaks last");
    assert_eq!(wait(service.call(request(&key))).unwrap().status(), 429);
    taken.lock().unwrap().pop().unwrap().commit(5);
    let answer = wait(service.call(request(&key))).unwrap();
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "50", "5 for each gate were paid");
}

#[test]
fn no_reservation_is_there_where_none_was_made() {
    let (store, key) = one_key();
    let layer = gate(store).limit(Limit::per_key(Quota::per_hour(9).unwrap())).unwrap();
    let (mut service, taken) = taking(&layer);
    assert_eq!(left(&mut service, &key), "8");
    assert!(taken.lock().unwrap().is_empty());
}

#[test]
fn an_authenticator_hands_out_what_was_reserved() {
    let (layer, key) = by_tokens();
    let gate = layer.into_authenticator();
    let parts = bearer(key.reveal());
    let outcome = wait(gate.authenticate(&parts));
    outcome.reservation.unwrap().commit(1);
    let outcome = wait(gate.authenticate(&parts));
    assert_eq!(outcome.standings.as_slice()[0].remaining, 59);
}

// Routes and plans

#[test]
fn a_route_has_its_own_limit_and_cost() {
    let (store, key) = one_key();
    let exports = Limit::per_key(Quota::per_hour(1).unwrap()).on(Method::POST, "/exports").unwrap();
    let calls = Limit::per_tenant(Quota::per_hour(100).unwrap());
    let calls = calls.cost_on(Method::GET, "/search", 20).unwrap();
    let gate = gate(store).limit(exports).unwrap().limit(calls).unwrap().into_authenticator();
    let authorization = format!("Bearer {}", key.reveal());
    let call = |method, path| -> Parts {
        head(method, path, &[("authorization", authorization.as_bytes())])
    };
    let left = |parts: &Parts| {
        let outcome = wait(gate.authenticate(parts));
        let left: Vec<_> = outcome.standings.as_slice().iter().map(|s| s.remaining).collect();
        (outcome.verdict.is_ok(), left)
    };
    assert_eq!(left(&call(Method::GET, "/")), (true, vec![99]));
    assert_eq!(left(&call(Method::GET, "/search?q=x")), (true, vec![79]));
    assert_eq!(left(&call(Method::POST, "/exports")), (true, vec![0, 78]));
    assert_eq!(left(&call(Method::POST, "/exports")), (false, vec![0, 78]));
    assert_eq!(left(&call(Method::POST, "//exports")), (false, vec![0, 78]));
    assert_eq!(left(&call(Method::GET, "/exports")), (true, vec![77]));
}

#[test]
fn a_public_route_is_counted_by_nobody() {
    let (store, _) = one_key();
    let layer = gate(store)
        .routes(Routes::new().public("/health").unwrap())
        .concurrency(Concurrency::per_key(1).unwrap())
        .unwrap();
    let gate = layer.into_authenticator();
    let parts = head(Method::GET, "/health", &[]);
    let all: Vec<_> = (0..3).map(|_| wait(gate.authenticate(&parts))).collect();
    assert!(all.iter().all(|outcome| outcome.verdict.is_ok()));
}

#[test]
fn a_plan_changes_while_the_service_runs() {
    let key = live_key();
    let tenant = keygate::Tenant::new("acme").with_plan("pro");
    let store = common::holding([common::record("key_1", &key, tenant)]);
    let plans = Plans::new([("pro", Quota::per_hour(2).unwrap())]);
    let limit = Limit::per_tenant(Quota::per_hour(1).unwrap()).plans(&plans);
    let (mut service, _taken) = taking(&gate(store).limit(limit).unwrap());
    assert_eq!(left(&mut service, &key), "1");
    plans.set("pro", Quota::per_calendar_month(10).unwrap());
    assert_eq!(left(&mut service, &key), "9");
    let answer = wait(service.call(request(&key))).unwrap();
    // The clock stands in January 2027, and the next month begins with February.
    assert_eq!(answer.headers()["x-ratelimit-reset"], "1801440000");
}

// Guesses at one key

#[test]
fn guesses_at_a_key_from_everywhere_are_bounded_and_its_owner_is_let_in() {
    let (store, key) = one_key();
    let budget =
        FailureBudget::new(Quota::per_hour(1_000).unwrap()).per_prefix(Quota::per_hour(3).unwrap());
    let gate = gate(store).failures(budget).into_authenticator();
    let guess = || {
        // Begins as the real one does; the checksum of another key is wrong for it.
        let (known, other) = (key.reveal(), live_key());
        format!("{}{}", &known[..12], &other.reveal()[12..])
    };
    let from = |n: u8| format!("192.0.2.{n}");
    let tried: Vec<_> =
        (0..50).map(|n| refusal(&gate, &with_peer(bearer(&guess()), &from(n)))).collect();
    assert_eq!(tried[..3], [KeyInvalid; 3]);
    assert!(tried[3..].iter().all(|kind| *kind == TooManyFailures));
    assert_eq!(subject(&gate, &with_peer(bearer(key.reveal()), &from(1))), "key_1");
    let other = live_key();
    assert_eq!(refusal(&gate, &with_peer(bearer(other.reveal()), &from(1))), KeyInvalid);
    let no_key = with_peer(bearer("not.a.jwt"), &from(1));
    assert_ne!(refusal(&gate, &no_key), TooManyFailures, "what shows no prefix");
}

#[test]
fn time_frees_a_prefix() {
    let (store, key) = one_key();
    let time = clock();
    let budget = FailureBudget::new(Quota::per_hour(1_000).unwrap())
        .per_prefix(Quota::per_minute(1).unwrap());
    let gate = gate(store).clock(time.clone()).failures(budget).into_authenticator();
    let bad = bearer(&format!("{}x", key.reveal()));
    assert_eq!(refusal(&gate, &bad), KeyInvalid);
    assert_eq!(refusal(&gate, &bad), TooManyFailures);
    time.advance(Duration::from_secs(60));
    assert_eq!(refusal(&gate, &bad), KeyInvalid);
    assert_eq!(refusal(&gate, &get(&[])), keygate::RejectionKind::MissingCredential);
}

#[test]
fn an_answer_inside_is_whole() {
    let (layer, key) = one_at_a_time();
    let service = streaming(&layer, false);
    let answer = wait(service.oneshot(request(&key))).unwrap();
    let body = wait(answer.into_body().collect()).unwrap().to_bytes();
    assert_eq!(body, "frameframe");
}
