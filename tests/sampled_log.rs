//! A flood of refusals in the log.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use common::{Away, all_of, api_key, bearer, call, clock, counted, counter, issue};
use common::{unknown_key, verifier};
use keygate::store::{KeyStore, MemoryStore};
use keygate::{AuthLayer, RefusalSampling};
use tower::Layer;

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Collects what this thread logs, and so what its test does.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_writer(|| Log).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

fn logged() -> String {
    String::from_utf8(LOG.take()).unwrap()
}

fn gate(store: impl KeyStore) -> AuthLayer {
    AuthLayer::new(store).jwt(verifier()).clock(clock())
}

#[tokio::test]
async fn a_flood_of_refusals_is_a_few_lines_that_say_so() {
    listen();
    let (clock, store) = (clock(), MemoryStore::new());
    let key = issue(&store, "key_1").await;
    let layer = AuthLayer::new(store).require(all_of(&["write"])).clock(clock.clone());
    let service = layer.layer(counted(&counter()));
    for _ in 0..500 {
        assert_eq!(call(&service, api_key(&unknown_key())).await.status, 401);
        assert_eq!(call(&service, api_key(&key)).await.status, 403);
    }
    let log = logged();
    assert_eq!(log.lines().count(), 200, "100 of the tenant, 100 of nobody");
    assert_eq!(log.matches("acme").count(), 100);
    assert!(!log.contains("left_out"), "{log}");
    clock.advance(std::time::Duration::from_secs(60));
    call(&service, api_key(&key)).await;
    let log = logged();
    assert!(log.lines().count() == 1 && log.contains("left_out=400"), "{log}");
}

#[tokio::test]
async fn an_outage_is_told_of_whoever_floods_the_log() {
    listen();
    let sampling = RefusalSampling::new();
    let good =
        gate(MemoryStore::new()).sample_refusals(sampling.clone()).layer(counted(&counter()));
    let away = gate(Away { peeks: false }).sample_refusals(sampling).layer(counted(&counter()));
    for _ in 0..200 {
        call(&good, bearer(&unknown_key())).await;
    }
    logged();
    for _ in 0..200 {
        call(&away, bearer(&unknown_key())).await;
    }
    let log = logged();
    assert_eq!((log.lines().count(), log.matches("ERROR").count()), (100, 100), "{log}");
}

#[tokio::test]
async fn every_refusal_is_told_of_where_that_is_asked_for() {
    listen();
    let layer = gate(MemoryStore::new()).sample_refusals(RefusalSampling::all());
    let service = layer.layer(counted(&counter()));
    for _ in 0..100 {
        call(&service, bearer(&unknown_key())).await;
    }
    assert_eq!(logged().lines().count(), 100);
}
