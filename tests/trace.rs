//! What a gate writes into the log: one line for each refusal, an alarm for outages alone.
#![cfg(all(feature = "tracing", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use common::{Away, all_of, api_key, bearer, call, claims, clock, counted, counter, issue, signed};
use common::{unknown_key, verifier};
use keygate::store::{KeyStore, MemoryStore};
use keygate::{AuthLayer, RejectionKind};
use serde_json::json;
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

/// tower-jwt writes two lines at ERROR for each bad token, composable-tower-http one at WARN:
/// whoever likes can fill such a log and wake somebody up.
#[tokio::test]
async fn a_bad_credential_is_one_line_in_the_log_and_no_alarm() {
    listen();
    let service = gate(MemoryStore::new()).layer(counted(&counter()));
    let forged = signed(&json!({"alg": "HS256"}), &claims(), "another secret of enough length!");
    for (credential, kind) in [
        (unknown_key(), "key_invalid"),
        (forged, "token_invalid"),
        ("a.b.c".to_owned(), "token_invalid"),
    ] {
        assert_eq!(call(&service, bearer(&credential)).await.status, 401);
        let log = logged();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("INFO") && log.contains(kind), "{log}");
        assert!(!log.contains(&credential), "{log}");
    }
}

#[tokio::test]
async fn an_outage_is_an_error_with_its_cause() {
    listen();
    let service = gate(Away { peeks: false }).layer(counted(&counter()));
    let key = unknown_key();
    assert_eq!(call(&service, bearer(&key)).await.status, 503);
    let log = logged();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("ERROR") && log.contains(RejectionKind::Unavailable.code()), "{log}");
    assert!(log.contains("connection to db-7.internal refused"), "{log}");
    assert!(!log.contains(&key), "{log}");
}

#[tokio::test]
async fn a_refused_caller_is_named_and_one_let_in_is_not() {
    listen();
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let service = gate(store.clone()).layer(counted(&counter()));
    assert_eq!(call(&service, api_key(&key)).await.status, 200);
    assert_eq!(logged(), "");
    let service = gate(store).require(all_of(&["write"])).layer(counted(&counter()));
    assert_eq!(call(&service, api_key(&key)).await.status, 403);
    let log = logged();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("key_1") && log.contains("acme"), "{log}");
    assert!(!log.contains(&key), "{log}");
}
