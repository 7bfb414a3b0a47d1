//! What the holder of a key that has a successor is told, over real sockets.
#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;
#[path = "common/life.rs"]
mod life;

use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::{all_of, bearer, clock, serve};
use http::{HeaderMap, StatusCode};
use keygate::render::Deprecation;
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{
    AuthLayer, Issued, KeyDigest, KeyFormat, KeyRecord, Keys, Limit, ManualClock, NewKey, Quota,
    Rejection, RejectionKind, Require, ScopeSet, Tenant, Timestamp,
};
use life::{DAY, acme, keys};
use support::{Answer, Client};

/// 2027-01-15 08:00:00 UTC, where the tests' clocks stand.
const SINCE: &str = "@1800000000";
/// Seven days later.
const SUNSET: &str = "Fri, 22 Jan 2027 08:00:00 GMT";

async fn issue(keys: &Keys<MemoryStore>) -> Issued {
    let key = NewKey::new("acme", "job").access(ScopeSet::new(["read"]).unwrap());
    keys.by("ann").issue(key).await.unwrap()
}

async fn rotate(keys: &Keys<MemoryStore>, old: &Issued) -> Issued {
    let week = Duration::from_secs(7 * DAY);
    keys.by("ann").rotate(&acme(), old.record.id(), week).await.unwrap()
}

fn app() -> Router {
    let refuse = || async { Rejection::new(RejectionKind::InsufficientScope).into_response() };
    let ending = || async { ([("deprecation", "@1"), ("sunset", "never")], "ending") };
    let half = || async { ([("sunset", "Sat, 01 Jan 2028 00:00:00 GMT")], "ending") };
    Router::new()
        .route("/", get(|| async { "reached" }))
        .route("/late", get(refuse))
        .route("/ending", get(ending))
        .route("/half", get(half))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .merge(
            Router::new()
                .route("/write", get(|| async { "written" }))
                .route_layer(Require::new(all_of(&["write"]))),
        )
}

async fn served(keys: &Keys<MemoryStore>, clock: &ManualClock) -> Client {
    let limit = Limit::per_key(Quota::per_hour(20).unwrap());
    let layer = AuthLayer::new(keys.store().clone()).clock(clock.clone()).limit(limit).unwrap();
    let app: Router = app().layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Client::new(base)
}

async fn ask(client: &Client, path: &str, key: &Issued) -> Answer {
    client.get(path).header("x-api-key", key.token.reveal()).send().await
}

fn told(answer: &Answer) -> (Option<&str>, Option<&str>) {
    let one = |name: &str| {
        assert!(answer.headers.get_all(name).iter().count() <= 1, "a single field");
        answer.headers.get(name).map(|value| value.to_str().unwrap())
    };
    (one("deprecation"), one("sunset"))
}

#[tokio::test]
async fn an_old_keys_answers_say_since_when_and_until_when() {
    let clock = clock();
    let keys = keys(&clock);
    let client = served(&keys, &clock).await;
    let old = issue(&keys).await;
    assert_eq!(told(&ask(&client, "/", &old).await), (None, None), "before");
    let new = rotate(&keys, &old).await;
    clock.advance(Duration::from_secs(DAY));
    let answer = ask(&client, "/", &old).await;
    assert_eq!((answer.status.as_u16(), told(&answer)), (200, (Some(SINCE), Some(SUNSET))));
    assert_eq!(answer.body, "reached");
    let answer = ask(&client, "/", &new).await;
    assert_eq!((answer.status.as_u16(), told(&answer)), (200, (None, None)));
}

#[tokio::test]
async fn refusals_of_a_known_caller_say_so_too() {
    let clock = clock();
    let keys = keys(&clock);
    let client = served(&keys, &clock).await;
    let old = issue(&keys).await;
    rotate(&keys, &old).await;
    for (path, status) in [("/write", 403), ("/late", 403), ("/broken", 500), ("/none", 404)] {
        let answer = ask(&client, path, &old).await;
        let expected = (status, (Some(SINCE), Some(SUNSET)));
        assert_eq!((answer.status.as_u16(), told(&answer)), expected, "{path}");
    }
    let mut last = ask(&client, "/", &old).await;
    while last.status == 200 {
        last = ask(&client, "/", &old).await;
    }
    assert_eq!((last.status.as_u16(), told(&last)), (429, (Some(SINCE), Some(SUNSET))));
}

/// Who has not proved to hold the key learns nothing of it.
#[tokio::test]
async fn refusals_of_an_unknown_caller_say_nothing() {
    let clock = clock();
    let keys = keys(&clock);
    let client = served(&keys, &clock).await;
    let old = issue(&keys).await;
    rotate(&keys, &old).await;
    let unknown = KeyFormat::sk().generate(keygate::Environment::Live).unwrap();
    let answer = client.get("/").header("x-api-key", unknown.reveal()).send().await;
    assert_eq!((answer.status.as_u16(), told(&answer)), (401, (None, None)));
    clock.advance(Duration::from_secs(7 * DAY));
    let answer = ask(&client, "/", &old).await;
    assert_eq!((answer.status.as_u16(), told(&answer)), (401, (None, None)), "it has ended");
}

#[tokio::test]
async fn what_the_service_says_of_the_route_stands() {
    let clock = clock();
    let keys = keys(&clock);
    let client = served(&keys, &clock).await;
    let old = issue(&keys).await;
    rotate(&keys, &old).await;
    assert_eq!(told(&ask(&client, "/ending", &old).await), (Some("@1"), Some("never")));
    // Halves of two stories would contradict each other (RFC 9745 section 4).
    let half = (None, Some("Sat, 01 Jan 2028 00:00:00 GMT"));
    assert_eq!(told(&ask(&client, "/half", &old).await), half);
}

#[tokio::test]
async fn it_is_said_over_http_2_and_without_axum() {
    let clock = clock();
    let keys = keys(&clock);
    let old = issue(&keys).await;
    rotate(&keys, &old).await;
    let layer = AuthLayer::new(keys.store().clone()).clock(clock);
    let inner = tower::service_fn(|_: http::Request<hyper::body::Incoming>| async {
        let body = http_body_util::Full::new(bytes::Bytes::from("reached"));
        Ok::<_, common::BoxError>(http::Response::new(body))
    });
    let base = serve(tower::Layer::layer(&layer, inner)).await;
    for client in [Client::new(&base), Client::http2(&base)] {
        let answer = ask(&client, "/", &old).await;
        assert_eq!((answer.status.as_u16(), told(&answer)), (200, (Some(SINCE), Some(SUNSET))));
    }
}

#[tokio::test]
async fn an_authenticator_without_a_service_tells_it_in_its_outcome() {
    let clock = clock();
    let keys = keys(&clock);
    let old = issue(&keys).await;
    let gate = AuthLayer::new(keys.store().clone()).clock(clock).into_authenticator();
    let head = bearer(old.token.reveal()).into_parts().0;
    assert_eq!(gate.authenticate(&head).await.deprecation, None);
    rotate(&keys, &old).await;
    let told = gate.authenticate(&head).await.deprecation.unwrap();
    let mut response: Response = "mine".into_response();
    told.apply(response.headers_mut());
    assert_eq!(response.headers()["deprecation"], SINCE);
    assert_eq!(response.headers()["sunset"], SUNSET);
}

#[tokio::test]
async fn a_record_that_a_store_has_written_by_itself_says_what_it_can() {
    let record = |key: &str| KeyRecord::new("k", KeyDigest::of(key), Tenant::new("acme"));
    let at = Timestamp::from_secs;
    let headers = |record: &KeyRecord| {
        let mut headers = HeaderMap::new();
        Deprecation::of(record).unwrap().apply(&mut headers);
        let of = |name| {
            headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned())
        };
        (of("deprecation"), of("sunset"))
    };
    let endless = record("a").with_successor("b".into(), at(5));
    assert_eq!(headers(&endless), (Some("@5".into()), None), "no end is known");
    let odd = endless.clone().with_expires(at(4));
    assert_eq!(headers(&odd), (Some("@5".into()), None), "an end before the beginning");
    let last = endless.with_expires(Timestamp::MAX);
    assert_eq!(headers(&last).1.unwrap(), "Sun, 21 Jul 2554 23:34:33 GMT");
    assert_eq!(Deprecation::of(&record("a").with_expires(at(9))), None, "expiry alone is none");
    assert!(MemoryStore::new().insert(record("a")).await.is_ok());
}
