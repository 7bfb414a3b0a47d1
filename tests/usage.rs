//! The use of keys: counted off the requests' way, written in batches, bounded, and not lost.
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;
#[path = "common/life.rs"]
mod life;

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::MatchedPath;
use axum::routing::get;
use common::{BoxError, api_key, call, claims, clock, issue, token, verifier};
use http::{Method, Request};
use keygate::store::{MemoryStore, Month, StoreError, Usage, UsageStore, Use};
use keygate::usage::{Endpoints, UsageRecorder};
use keygate::{AuthLayer, KeyId, Limit, ManualClock, Quota, Timestamp};
use life::{DAY, due};
use support::Client;
use tower::{Layer, ServiceExt};

const NOW: Timestamp = Timestamp::from_secs(common::NOW);

fn id(name: &str) -> KeyId {
    KeyId::from(name)
}

async fn usage(store: &MemoryStore, key: &str) -> Usage {
    store.usage(&id(key), Month::of(NOW)).await.unwrap()
}

fn counts(usage: &Usage) -> Vec<(&str, u64)> {
    usage.by_endpoint.iter().map(|(endpoint, count)| (endpoint.as_str(), *count)).collect()
}

/// Keeps what it is given, batch by batch; fails as often as it is told.
#[derive(Clone, Default)]
struct Recording {
    inner: MemoryStore,
    batches: Arc<Mutex<Vec<Vec<Use>>>>,
    outages: Arc<AtomicUsize>,
}

#[async_trait]
impl UsageStore for Recording {
    async fn add_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        if due(&self.outages) {
            return Err(StoreError::unavailable("connection to db-7.internal refused"));
        }
        self.batches.lock().unwrap().push(uses.to_vec());
        self.inner.add_uses(uses).await
    }

    async fn usage(&self, key: &KeyId, month: Month) -> Result<Usage, StoreError> {
        self.inner.usage(key, month).await
    }
}

impl Recording {
    fn total(&self) -> u64 {
        self.batches.lock().unwrap().iter().flatten().map(|used| used.count).sum()
    }
}

// ---- Counting -----------------------------------------------------------------------------------

#[tokio::test]
async fn uses_alike_are_one_row_with_the_last_time() {
    let (recorder, store) = (UsageRecorder::new(), Recording::default());
    let later = NOW.saturating_add(Duration::from_secs(9));
    for at in [NOW, later, NOW] {
        recorder.record(&id("k1"), "GET /a", at);
    }
    recorder.record(&id("k1"), "GET /b", NOW);
    recorder.record(&id("k2"), "GET /a", NOW);
    assert_eq!(recorder.waiting(), 3);
    recorder.flush(&store).await.unwrap();
    assert_eq!((recorder.waiting(), recorder.dropped()), (0, 0));
    let batches = store.batches.lock().unwrap().clone();
    assert_eq!((batches.len(), batches[0].len()), (1, 3));
    let first = usage(&store.inner, "k1").await;
    assert_eq!(counts(&first), [("GET /a", 3), ("GET /b", 1)]);
    assert_eq!((first.total, first.last_used), (4, Some(later)));
    assert_eq!(usage(&store.inner, "k2").await.total, 1);
    recorder.flush(&store).await.unwrap();
    assert_eq!(store.batches.lock().unwrap().len(), 1, "nothing is written twice, or for nothing");
}

#[tokio::test]
async fn months_are_kept_apart() {
    let (recorder, store) = (UsageRecorder::new(), MemoryStore::new());
    let next = NOW.saturating_add(Duration::from_secs(31 * DAY));
    recorder.record(&id("k1"), "GET /a", NOW);
    recorder.record(&id("k1"), "GET /a", next);
    assert_eq!(recorder.waiting(), 2);
    recorder.flush(&store).await.unwrap();
    for month in [NOW, next].map(Month::of) {
        let usage = store.usage(&id("k1"), month).await.unwrap();
        assert_eq!((usage.total, usage.last_used), (1, Some(next)), "{month}");
    }
}

#[tokio::test]
async fn the_last_use_never_goes_back() {
    let (recorder, store) = (UsageRecorder::new(), MemoryStore::new());
    recorder.record(&id("k1"), "GET /a", NOW);
    recorder.flush(&store).await.unwrap();
    recorder.record(&id("k1"), "GET /a", NOW.saturating_sub(Duration::from_secs(60)));
    recorder.flush(&store).await.unwrap();
    assert_eq!(usage(&store, "k1").await.last_used, Some(NOW));
}

#[tokio::test]
async fn many_rows_are_written_in_batches() {
    let (recorder, store) = (UsageRecorder::new(), Recording::default());
    for index in 0..25_000 {
        recorder.record(&id(&format!("k{index}")), "GET /a", NOW);
    }
    recorder.flush(&store).await.unwrap();
    let sizes: Vec<_> = store.batches.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 25_000);
    assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
    assert!(sizes.len() < 350, "{sizes:?}");
}

// ---- Bounds -------------------------------------------------------------------------------------

#[tokio::test]
async fn what_has_no_room_is_dropped_and_counted() {
    let recorder = UsageRecorder::with_limits(10, 10).unwrap();
    for round in 0..3 {
        for index in 0..15 {
            recorder.record(&id(&format!("k{index}")), "GET /a", NOW);
        }
        assert_eq!((recorder.waiting(), recorder.dropped()), (10, (round + 1) * 5));
    }
    let store = Recording::default();
    recorder.flush(&store).await.unwrap();
    assert_eq!(store.total(), 30, "known rows count on under overload");
    recorder.record(&id("k14"), "GET /a", NOW);
    assert_eq!((recorder.waiting(), recorder.dropped()), (1, 15), "there is room again");
    assert!(UsageRecorder::with_limits(0, 1).is_err() && UsageRecorder::with_limits(1, 0).is_err());
}

/// A closure that gives paths for patterns must not fill a database.
#[tokio::test]
async fn endpoints_are_bounded_over_all_time() {
    let recorder = UsageRecorder::with_limits(1000, 5).unwrap();
    let store = MemoryStore::new();
    for index in 0..100 {
        recorder.record(&id("k1"), &format!("GET /contacts/{index}"), NOW);
        recorder.record(&id("k1"), &"long".repeat(100), NOW);
        recorder.flush(&store).await.unwrap();
    }
    let usage = usage(&store, "k1").await;
    assert_eq!((usage.total, recorder.dropped()), (200, 0), "all are counted");
    assert!(usage.by_endpoint.len() <= 6, "{:?}", counts(&usage));
    assert!(usage.by_endpoint["other"] >= 195);
}

#[test]
fn endpoints_are_the_patterns_that_are_given() {
    let patterns = ["GET /a", "/a", "POST /b/{id}", "GET /b/{id}", "/files/{*rest}"];
    let endpoints = Endpoints::new(patterns).unwrap();
    let label = |method: Method, path: &str| {
        let (head, ()) = Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
        endpoints.label(&head).to_owned()
    };
    assert_eq!(label(Method::GET, "/a?x=1"), "GET /a");
    assert_eq!(label(Method::PUT, "/a"), "/a", "whatever order they stand in");
    assert_eq!(label(Method::POST, "/b/17"), "POST /b/{id}");
    assert_eq!(label(Method::GET, "/b/17"), "GET /b/{id}");
    assert_eq!(label(Method::DELETE, "/b/17"), "other");
    assert_eq!(label(Method::GET, "/files/x/y"), "/files/{*rest}");
    for path in ["/", "/a/", "/b", "/b/1/2", "//a"] {
        assert_eq!(label(Method::GET, path), "other", "{path}");
    }
    for wrong in ["", "a", "GET a", "G(T /a", "GET  /a", "GET /{", "GET /a b"] {
        assert!(Endpoints::new([wrong]).is_err(), "{wrong:?}");
    }
    assert!(Endpoints::new(["GET /b/{id}", "POST /b/{name}"]).is_err(), "one path, two patterns");
}

// ---- Writing ------------------------------------------------------------------------------------

#[tokio::test]
async fn what_can_not_be_written_is_kept_and_written_later() {
    let (recorder, store) = (UsageRecorder::new(), Recording::default());
    (0..2500).for_each(|index| recorder.record(&id(&format!("k{index}")), "GET /a", NOW));
    store.outages.store(1, Ordering::SeqCst);
    let error = recorder.flush(&store).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!((recorder.failed(), recorder.waiting(), store.total()), (1, 2500, 0));
    // While the store was away, one of the rows was used again, and a new one came.
    recorder.record(&id("k1"), "GET /a", NOW);
    recorder.record(&id("new"), "GET /a", NOW);
    recorder.flush(&store).await.unwrap();
    assert_eq!((store.total(), recorder.waiting(), recorder.dropped()), (2502, 0, 0));
    assert_eq!(usage(&store.inner, "k1").await.total, 2);
}

#[tokio::test]
async fn rows_that_wait_for_a_store_take_no_more_room_than_before() {
    let (recorder, store) = (UsageRecorder::with_limits(10, 10).unwrap(), Recording::default());
    for _ in 0..5 {
        (0..15).for_each(|index| recorder.record(&id(&format!("k{index}")), "GET /a", NOW));
        store.outages.store(1, Ordering::SeqCst);
        recorder.flush(&store).await.unwrap_err();
        assert_eq!(recorder.waiting(), 10);
    }
    recorder.flush(&store).await.unwrap();
    assert_eq!((store.total(), recorder.dropped(), recorder.waiting()), (50, 25, 0));
}

/// A store that never answers.
struct Silent;

#[async_trait]
impl UsageStore for Silent {
    async fn add_uses(&self, _: &[Use]) -> Result<(), StoreError> {
        pending().await
    }

    async fn usage(&self, _: &KeyId, _: Month) -> Result<Usage, StoreError> {
        pending().await
    }
}

#[tokio::test]
async fn a_write_that_is_given_up_loses_nothing() {
    let recorder = UsageRecorder::new();
    recorder.record(&id("k1"), "GET /a", NOW);
    {
        let mut flush = Box::pin(recorder.flush(&Silent));
        assert!(common::poll(&mut flush).is_pending());
        recorder.record(&id("k1"), "GET /a", NOW);
    }
    let store = Recording::default();
    recorder.flush(&store).await.unwrap();
    assert_eq!((store.total(), recorder.waiting(), recorder.dropped()), (2, 0, 0));
}

/// A store of which each write ends when the test says so, and as it says.
#[derive(Clone, Default)]
struct Slow {
    inner: MemoryStore,
    answers: Arc<Mutex<VecDeque<bool>>>,
}

impl Slow {
    fn answer(&self, is_written: bool) {
        self.answers.lock().unwrap().push_back(is_written);
    }
}

#[async_trait]
impl UsageStore for Slow {
    async fn add_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        let answer = |_: &mut Context<'_>| match self.answers.lock().unwrap().pop_front() {
            Some(is_written) => Poll::Ready(is_written),
            None => Poll::Pending,
        };
        match poll_fn(answer).await {
            true => self.inner.add_uses(uses).await,
            false => Err(StoreError::unavailable("timed out")),
        }
    }

    async fn usage(&self, key: &KeyId, month: Month) -> Result<Usage, StoreError> {
        self.inner.usage(key, month).await
    }
}

/// Whoever reads after a flush reads all that was counted before it.
#[tokio::test]
async fn a_flush_waits_for_what_another_is_writing() {
    let (recorder, store) = (UsageRecorder::new(), Slow::default());
    recorder.record(&id("k1"), "GET /a", NOW);
    let mut first = Box::pin(recorder.flush(&store));
    assert!(common::poll(&mut first).is_pending());
    let mut second = Box::pin(recorder.flush(&store));
    let mut third = Box::pin(recorder.flush(&store));
    assert!(common::poll(&mut second).is_pending(), "it is not in the store yet");
    assert!(common::poll(&mut third).is_pending());
    store.answer(true);
    assert!(matches!(common::poll(&mut first), Poll::Ready(Ok(()))));
    assert!(matches!(common::poll(&mut second), Poll::Ready(Ok(()))));
    assert!(matches!(common::poll(&mut third), Poll::Ready(Ok(()))));
    assert_eq!(usage(&store.inner, "k1").await.total, 1);
}

#[tokio::test]
async fn a_flush_wakes_whoever_waits_for_it() {
    let (recorder, store) = (UsageRecorder::new(), Slow::default());
    recorder.record(&id("k1"), "GET /a", NOW);
    let mut first = Box::pin(recorder.flush(&store));
    assert!(common::poll(&mut first).is_pending());
    let waiting = tokio::spawn({
        let (recorder, store) = (recorder.clone(), store.clone());
        async move { recorder.flush(&store).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    store.answer(true);
    first.await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_flush_writes_itself_what_another_gives_up() {
    for is_dropped in [false, true] {
        let (recorder, store) = (UsageRecorder::new(), Slow::default());
        recorder.record(&id("k1"), "GET /a", NOW);
        let mut first = Box::pin(recorder.flush(&store));
        assert!(common::poll(&mut first).is_pending());
        let mut second = Box::pin(recorder.flush(&store));
        assert!(common::poll(&mut second).is_pending());
        if is_dropped {
            drop(first);
        } else {
            store.answer(false);
            assert!(matches!(common::poll(&mut first), Poll::Ready(Err(_))));
        }
        assert!(common::poll(&mut second).is_pending(), "it writes what has come back");
        store.answer(true);
        assert!(matches!(common::poll(&mut second), Poll::Ready(Ok(()))));
        assert_eq!((usage(&store.inner, "k1").await.total, recorder.waiting()), (1, 0));
    }
}

#[tokio::test]
async fn a_flush_does_not_wait_for_what_began_after_it() {
    let (recorder, store, later) = (UsageRecorder::new(), Slow::default(), Slow::default());
    recorder.record(&id("k1"), "GET /a", NOW);
    let mut first = Box::pin(recorder.flush(&store));
    assert!(common::poll(&mut first).is_pending());
    let mut second = Box::pin(recorder.flush(&store));
    assert!(common::poll(&mut second).is_pending());
    recorder.record(&id("k2"), "GET /a", NOW);
    let mut endless = Box::pin(recorder.flush(&later));
    assert!(common::poll(&mut endless).is_pending());
    assert!(common::poll(&mut second).is_pending());
    store.answer(true);
    let _ = common::poll(&mut first);
    assert!(matches!(common::poll(&mut second), Poll::Ready(Ok(()))), "one still writes");
    assert!(common::poll(&mut endless).is_pending());
}

#[tokio::test]
async fn an_outage_is_told_to_each_who_flushes() {
    let (recorder, store) = (UsageRecorder::new(), Slow::default());
    recorder.record(&id("k1"), "GET /a", NOW);
    let mut flushes: Vec<_> = (0..3).map(|_| Box::pin(recorder.flush(&store))).collect();
    for flush in &mut flushes {
        assert!(common::poll(flush).is_pending());
    }
    for flush in &mut flushes {
        store.answer(false);
        assert!(matches!(common::poll(flush), Poll::Ready(Err(_))));
    }
    assert_eq!((recorder.failed(), recorder.waiting(), recorder.dropped()), (3, 1, 0));
}

/// A pause that ends when the test says so.
#[derive(Clone, Default)]
struct Pause(Arc<AtomicUsize>);

impl Pause {
    fn end(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn wait(&self) -> impl Future<Output = ()> {
        let over = Arc::clone(&self.0);
        poll_fn(move |_| if due(&over) { Poll::Ready(()) } else { Poll::Pending })
    }
}

#[tokio::test]
async fn a_task_writes_after_each_pause_and_the_rest_at_the_end() {
    let (recorder, store, pause) = (UsageRecorder::new(), Recording::default(), Pause::default());
    let mut run = pin!(recorder.run(&store, || pause.wait()));
    let mut poll = || run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    recorder.record(&id("k1"), "GET /a", NOW);
    assert!(poll().is_pending());
    assert_eq!(store.total(), 0, "not before the pause is over");
    pause.end();
    assert!(poll().is_pending());
    assert_eq!(store.total(), 1);
    recorder.record(&id("k1"), "GET /a", NOW);
    recorder.close();
    recorder.record(&id("k1"), "GET /a", NOW);
    assert!(matches!(poll(), Poll::Ready(Ok(()))), "no pause at the end");
    assert_eq!((store.total(), recorder.waiting(), recorder.dropped()), (3, 0, 0));
    recorder.record(&id("k1"), "GET /a", NOW);
    assert_eq!((recorder.waiting(), recorder.dropped()), (0, 1), "after the end");
}

#[tokio::test]
async fn an_outage_at_the_end_is_waited_out_for_a_while() {
    for (outages, written) in [(4, 2), (5, 2), (6, 0), (1000, 0)] {
        let (recorder, store) = (UsageRecorder::new(), Recording::default());
        recorder.record(&id("k1"), "GET /a", NOW);
        recorder.record(&id("k2"), "GET /a", NOW);
        store.outages.store(outages, Ordering::SeqCst);
        let mut pauses = 0;
        let pause = || {
            pauses += 1;
            // The first pause ends by itself; in the second the end is near.
            recorder.close();
            ready(())
        };
        let result = recorder.run(&store, pause).await;
        assert_eq!((result.is_ok(), store.total()), (written > 0, written), "{outages} outages");
        assert_eq!((recorder.dropped(), recorder.waiting()), (2 - written, 0));
        assert!(pauses <= 5);
    }
}

#[tokio::test]
async fn nothing_is_lost_between_threads_a_task_and_a_clean_stop() {
    const THREADS: u64 = 4;
    const EACH: u64 = 20_000;
    let (recorder, store) = (UsageRecorder::new(), Recording::default());
    let task = tokio::spawn({
        let (recorder, store) = (recorder.clone(), store.clone());
        async move { recorder.run(&store, tokio::task::yield_now).await }
    });
    let counting = tokio::task::spawn_blocking({
        let recorder = recorder.clone();
        move || {
            thread::scope(|scope| {
                for thread in 0..THREADS {
                    let recorder = &recorder;
                    scope.spawn(move || {
                        for index in 0..EACH {
                            let key = id(&format!("k{}", (thread * 7 + index) % 50));
                            recorder.record(&key, ["GET /a", "GET /b"][index as usize % 2], NOW);
                        }
                    });
                }
            });
        }
    });
    counting.await.unwrap();
    recorder.close();
    task.await.unwrap().unwrap();
    assert_eq!((store.total(), recorder.dropped(), recorder.waiting()), (THREADS * EACH, 0, 0));
}

#[tokio::test]
async fn what_is_not_written_is_counted_whatever_goes_wrong() {
    let (recorder, store) = (UsageRecorder::with_limits(20, 3).unwrap(), Recording::default());
    let mut recorded = 0;
    for round in 0..200_usize {
        for index in 0..round % 31 {
            let endpoint = format!("GET /{}", index % 5);
            recorder.record(&id(&format!("k{}", index * round % 40)), &endpoint, NOW);
            recorded += 1;
        }
        store.outages.store(round % 3, Ordering::SeqCst);
        let _ = recorder.flush(&store).await;
        assert!(recorder.waiting() <= 20);
    }
    store.outages.store(0, Ordering::SeqCst);
    recorder.flush(&store).await.unwrap();
    assert!(recorder.dropped() > 0);
    assert_eq!(store.total() + recorder.dropped(), recorded);
}

// ---- Behind the gate ----------------------------------------------------------------------------

fn endpoints() -> Endpoints {
    Endpoints::new(["GET /", "GET /contacts/{id}"]).unwrap()
}

#[tokio::test]
async fn a_layer_counts_who_was_let_in_by_pattern_and_time() {
    let (clock, store) = (clock(), MemoryStore::new());
    let key = issue(&store, "key_1").await;
    let recorder = UsageRecorder::new().clock(clock.clone());
    let limit = Limit::per_key(Quota::per_hour(5).unwrap());
    let gate = AuthLayer::new(store.clone()).clock(clock.clone()).jwt(verifier());
    let inner = tower::service_fn(|_| async {
        Ok::<_, BoxError>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    let service = recorder.layer(endpoints()).layer(inner);
    let service = gate.limit(limit).unwrap().layer(service);
    for path in ["/", "/contacts/1", "/contacts/2", "/nowhere", "/", "/", "/"] {
        let mut request = api_key(&key);
        *request.uri_mut() = path.parse().unwrap();
        call(&service, request).await;
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(call(&service, api_key("sk_live_wrong")).await.status, 401);
    assert_eq!(call(&service, common::bearer(&token(&claims()))).await.status, 200);
    recorder.flush(&store).await.unwrap();
    let usage = usage(&store, "key_1").await;
    let expected = [("GET /", 2), ("GET /contacts/{id}", 2), ("other", 1)];
    assert_eq!(counts(&usage), expected, "two were over the limit");
    assert_eq!(usage.last_used, Some(NOW.saturating_add(Duration::from_secs(4))));
    assert_eq!((recorder.waiting(), recorder.dropped()), (0, 0));
}

#[tokio::test]
async fn axum_names_its_routes_by_itself() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let recorder = UsageRecorder::new().clock(clock());
    let usage_layer = recorder.layer_by(|head| match head.extensions.get::<MatchedPath>() {
        Some(path) => format!("{} {}", head.method, path.as_str()).into(),
        None => "none".into(),
    });
    let app: Router = Router::new()
        .route("/contacts/{id}", get(|| async { "one" }))
        .layer(usage_layer)
        .layer(AuthLayer::new(store.clone()).clock(clock()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    for id in 0..30 {
        let path = format!("/contacts/{id}");
        assert_eq!(client.get(&path).header("x-api-key", &key).send().await.status, 200);
    }
    recorder.flush(&store).await.unwrap();
    assert_eq!(counts(&usage(&store, "key_1").await), [("GET /contacts/{id}", 30)]);
}

/// A dead store costs requests nothing but the count of what was not written.
#[tokio::test]
async fn requests_do_not_feel_a_store_that_never_answers() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let recorder = UsageRecorder::with_limits(1, 10).unwrap().clock(ManualClock::new(NOW));
    let mut writer = Box::pin(recorder.run(&Silent, || ready(())));
    let inner = tower::service_fn(|_| async {
        Ok::<_, BoxError>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    let service = recorder.layer(endpoints()).layer(inner);
    let service = AuthLayer::new(store).clock(clock()).layer(service);
    for path in ["/", "/contacts/1", "/", "/contacts/2"] {
        let mut request = api_key(&key);
        *request.uri_mut() = path.parse().unwrap();
        let mut answer = Box::pin(service.clone().oneshot(request));
        assert!(common::poll(&mut answer).is_ready(), "at once");
        assert!(common::poll(&mut writer).is_pending());
    }
    drop(writer);
    assert_eq!(recorder.waiting() as u64 + recorder.dropped(), 4, "all are accounted for");
}
