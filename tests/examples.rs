//! The examples as a newcomer starts them: processes on real sockets that say when they are ready
//! and end when they are asked to.
#![cfg(all(feature = "axum", feature = "tonic"))]
#![allow(clippy::unwrap_used)]

use http::Method;
use support::{Client, Server};

/// The `n`th key that the example printed.
fn key(server: &Server, n: usize) -> String {
    let mut keys = server.ready().split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    keys.by_ref().filter(|word| word.starts_with("sk_live_")).nth(n).unwrap().to_owned()
}

/// The line that says so is the last, and the only one with the URL.
fn assert_ready(server: &Server) {
    let ready = server.ready().trim_end();
    assert!(ready.lines().last().unwrap().contains(server.base()), "{ready}");
    assert_eq!(ready.matches("http://").count(), 1, "{ready}");
    assert!(!server.base().ends_with(":0"), "the real port is told");
}

#[tokio::test]
async fn quickstart() {
    let server = Server::example("quickstart", &[]);
    assert_ready(&server);
    let (client, key) = (server.client(), key(&server, 0));
    let answer = client.get("/orders").bearer(&key).send().await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"orders for key_1\n"[..]));
    assert_eq!(answer.number("x-ratelimit-limit"), 60);
    assert_eq!(client.get("/orders").header("x-api-key", &key).send().await.status, 200);
    let refused = client.get("/orders").send().await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["code"]),
        (401, &"missing_credential".into())
    );
    assert!(server.stop());
}

#[tokio::test]
async fn hyper_plain() {
    let server = Server::example("hyper_plain", &[]);
    assert_ready(&server);
    let (reader, writer) = (key(&server, 0), key(&server, 1));
    for client in [server.client(), Client::http2(server.base())] {
        for (method, path, key, status) in [
            (Method::GET, "/health", None, 200),
            (Method::GET, "/notes", None, 401),
            (Method::GET, "/notes", Some(&reader), 200),
            (Method::POST, "/notes", Some(&reader), 403),
            (Method::POST, "/notes", Some(&writer), 200),
            (Method::PUT, "/notes", Some(&writer), 403),
            (Method::GET, "/other", Some(&writer), 403),
            (Method::GET, "/health/../notes", None, 400),
        ] {
            let mut call = client.call(method.clone(), path);
            if let Some(key) = key {
                call = call.bearer(key);
            }
            assert_eq!(call.send().await.status.as_u16(), status, "{method} {path}");
        }
    }
    assert!(server.stop());
}

#[tokio::test]
async fn custom_store() {
    let server = Server::example("custom_store", &[]);
    assert_ready(&server);
    let client = server.client();
    let [good, disabled, expired] = [0, 1, 2].map(|n| key(&server, n));
    assert_eq!(client.get("/orders").bearer(&good).send().await.body, "orders for key 1\n");
    for (key, code) in [(&disabled, "key_inactive"), (&expired, "key_expired")] {
        let refused = client.get("/orders").bearer(key).send().await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (401, &code.into()));
    }
    client.call(Method::PUT, "/outage").send().await;
    let away = client.get("/orders").bearer(&good).send().await;
    assert_eq!((away.status.as_u16(), &away.json()["code"]), (503, &"unavailable".into()));
    assert!(away.number("retry-after") > 0);
    client.call(Method::DELETE, "/outage").send().await;
    assert_eq!(client.get("/orders").bearer(&good).send().await.status, 200);
    assert!(server.stop());
}

#[tokio::test]
async fn custom_store_that_starts_without_its_database() {
    let server = Server::example("custom_store", &[("OUTAGE", "1")]);
    let good = key(&server, 0);
    assert_eq!(server.client().get("/orders").bearer(&good).send().await.status, 503);
    assert!(server.stop());
}

/// With a plain HTTP/2 client; tonic's own speaks with the same service in its tests.
#[tokio::test]
async fn tonic_greeter() {
    let server = Server::example("tonic_greeter", &[]);
    assert_ready(&server);
    let client = Client::http2(server.base());
    let (greets, streams) = (key(&server, 0), key(&server, 1));
    for (method, key, status) in [
        ("SayHello", None, Some("16")),
        ("SayHello", Some(&greets), None),
        ("SayHellos", Some(&greets), Some("7")),
        ("SayHellos", Some(&streams), None),
        ("Converse", Some(&streams), None),
        ("SayGoodbye", Some(&streams), Some("7")),
    ] {
        let mut call = client
            .post(&format!("/helloworld.Greeter/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(key) = key {
            call = call.bearer(key);
        }
        // One message: not compressed, 5 bytes, of which field 1 is "ada".
        let answer = call.body(&b"\0\0\0\0\x05\x0a\x03ada"[..]).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("grpc-status"), status, "{method}");
        let greeted = answer.body.windows(9).any(|text| text == b"Hello ada");
        assert_eq!(greeted, status.is_none(), "{method}");
    }
    assert!(server.stop());
}
