//! Convotic's contract, driven over HTTP against the example as a process: every row of it, every
//! default chosen where it is silent, and each way to fail. What no request can bring about (expired
//! keys, suspended workspaces, a store that is away, time that passes) is in `gates`, which puts the
//! example's own gate around a service.

#![allow(clippy::unwrap_used)]

mod api;
mod credentials;
mod cross_site;
mod dashboard;
mod gates;
mod keys;
mod limits;
mod process;
mod sessions;
mod sign_in;

use std::collections::BTreeSet;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Call, Client, Server};

const SECRET: &str = "convotic-tests-know-this-secret-0";
const COOKIE: &str = "__Host-session";

/// A running Convotic whose secret is known, and a client of it.
struct Convotic {
    server: Server,
    client: Client,
}

/// An issued key.
struct Key {
    id: String,
    text: String,
}

impl Convotic {
    fn production() -> Self {
        Self::with(&[("JWT_SECRET", SECRET), ("APP_ENV", "production")])
    }

    fn staging() -> Self {
        Self::with(&[("JWT_SECRET", SECRET), ("APP_ENV", "staging")])
    }

    fn with(environment: &[(&str, &str)]) -> Self {
        let server = Server::example("convotic", environment);
        let client = server.client();
        Self { server, client }
    }

    /// Signs the demo person in; the answer is what a browser would send back.
    async fn sign_in(&self) -> String {
        let answer = self.client.post("/auth/demo").send().await;
        assert_eq!(answer.status, StatusCode::OK);
        let cookie = answer.header("set-cookie").expect("a cookie");
        cookie.split(';').next().expect("a pair").to_owned()
    }

    /// The session of somebody in another workspace.
    async fn session_in(&self, workspace: &str) -> String {
        let mut claims = claims_of(&self.sign_in().await);
        claims["workspace"] = json!(workspace);
        session(&signed(&claims))
    }

    async fn create_key(&self, session: &str, name: &str) -> Key {
        let answer = self
            .client
            .post("/dashboard/api-keys")
            .header("cookie", session)
            .json(&json!({ "name": name }))
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        let text = |member: &str| answer.json()[member].as_str().expect(member).to_owned();
        Key { id: text("id"), text: text("key") }
    }

    /// A key of the demo workspace.
    async fn key(&self) -> Key {
        self.create_key(&self.sign_in().await, "production-backend").await
    }

    async fn revoke(&self, session: &str, id: &str) -> Answer {
        let path = format!("/dashboard/api-keys/{id}");
        self.client.call(Method::DELETE, &path).header("cookie", session).send().await
    }

    async fn keys(&self, session: &str) -> Vec<Value> {
        let answer = self.client.get("/dashboard/api-keys").header("cookie", session).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.json()["keys"].as_array().expect("a list").clone()
    }

    fn contacts(&self) -> Call {
        self.client.get("/v1/contacts")
    }

    async fn contacts_with(&self, key: impl AsRef<[u8]>) -> Answer {
        self.contacts().header("x-api-key", key).send().await
    }
}

fn session(token: &str) -> String {
    format!("{COOKIE}={token}")
}

fn token_of(session: &str) -> &str {
    session.split_once('=').expect("a pair").1
}

fn decoded(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn claims_of(session: &str) -> Value {
    decoded(token_of(session).split('.').nth(1).expect("claims"))
}

/// A token of these claims, signed with the secret that the example knows.
fn signed(claims: &Value) -> String {
    signed_by(SECRET, &json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

fn signed_by(secret: &str, header: &Value, claims: &Value) -> String {
    use aws_lc_rs::hmac;
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs()
}

/// The answer is a refusal with this status and code: the body is that one member, JSON, kept by no
/// cache; a 401 has a challenge and nothing else has.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    let seen = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status.as_u16(), status, "{seen}");
    assert_eq!(seen, format!(r#"{{"error":"{code}"}}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let challenge = (status == 401).then_some(r#"ApiKey realm="convotic""#);
    assert_eq!(answer.header("www-authenticate"), challenge);
    if matches!(status, 401 | 403 | 429 | 503) {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    if !matches!(status, 429 | 503) {
        assert_eq!(answer.header("retry-after"), None);
    }
}

#[track_caller]
fn assert_members(object: &Value, members: &[&str]) {
    let seen: BTreeSet<_> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(seen, members.iter().copied().collect());
}

/// No rate-limit header: the answer was counted against nobody.
#[track_caller]
fn assert_uncounted(answer: &Answer) {
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

/// The workspace's limit, and a reset at the end of a minute that has begun.
#[track_caller]
fn assert_counted(answer: &Answer) {
    assert_eq!(answer.number("x-ratelimit-limit"), 1000);
    assert!(answer.number("x-ratelimit-remaining") < 1000);
    let reset = answer.number("x-ratelimit-reset");
    assert_eq!(reset % 60, 0, "{reset}");
    // The minute may have ended since the answer was made.
    assert!((now() - 60..=now() + 60).contains(&reset), "{reset} at {}", now());
}
