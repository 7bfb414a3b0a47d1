//! An identity provider on loopback, honest and otherwise.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use keygate::jwt::remote::{Fetch, FetchError, HttpClient};
use keygate::{Clock, ManualClock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub const JWKS: &str = "/jwks";
pub const OPENID: &str = "/.well-known/openid-configuration";
pub const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// What is sent for a path.
#[derive(Clone)]
pub enum Sends {
    /// 200 with this body, an `ETag` that changes with it, and these header lines.
    Json(Value, &'static str),
    /// These bytes, then the end.
    Raw(Vec<u8>),
    /// These bytes, half of them after the provider was told to go on.
    Halting(Vec<u8>, Arc<Notify>),
    /// These bytes, then nothing more, and no end.
    Stall(Vec<u8>),
    /// These bytes, then these again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, then these again and again, with pauses.
    Drip(Vec<u8>, Vec<u8>),
}

impl Sends {
    /// True when the client waits for more until it gives up.
    pub fn is_endless(&self) -> bool {
        matches!(self, Self::Stall(_) | Self::Drip(..))
    }
}

/// Runs until it is dropped.
pub struct Provider {
    pub base: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    paths: Mutex<HashMap<String, Sends>>,
    asked: Mutex<Vec<String>>,
    sent: AtomicUsize,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                connections.spawn(async move { answer(stream, &shared).await });
            }
        });
        Self { base, shared, task }
    }

    /// A provider with metadata that publishes these keys.
    pub async fn publishing(keys: &[&Signer]) -> Self {
        let provider = Self::start().await;
        let metadata = json!({ "issuer": provider.base, "jwks_uri": provider.url(JWKS) });
        provider.sends(OPENID, Sends::Json(metadata, ""));
        provider.publish(keys);
        provider
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn publish(&self, keys: &[&Signer]) {
        self.sends(JWKS, Sends::Json(set(keys), ""));
    }

    pub fn sends(&self, path: &str, sends: Sends) {
        self.shared.paths.lock().unwrap().insert(path.to_owned(), sends);
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        let line = format!("GET {path} ");
        self.heads().iter().filter(|head| head.starts_with(&line)).count()
    }

    /// All requests, from the first line to the empty one.
    pub fn heads(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Bytes that were sent.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Waits until a path was asked for so often.
    pub async fn has_been_asked(&self, path: &str, times: usize) {
        while self.asked(path) < times {
            tokio::task::yield_now().await;
        }
    }

    /// Closes the port.
    pub async fn stop(self) {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    shared.asked.lock().unwrap().push(head.to_ascii_lowercase().replacen("get ", "GET ", 1));
    let sends = shared.paths.lock().unwrap().get(&path).cloned();
    let mut send = Sending { stream, shared };
    match sends.unwrap_or_else(|| Sends::Raw(response("404 Not Found", "", b"no"))) {
        Sends::Json(body, lines) => send.bytes(&json_response(&head, &body, lines)).await?,
        Sends::Raw(bytes) => send.bytes(&bytes).await?,
        Sends::Halting(bytes, go_on) => {
            let (first, then) = bytes.split_at(bytes.len() / 2);
            send.bytes(first).await?;
            go_on.notified().await;
            send.bytes(then).await?;
        }
        Sends::Stall(bytes) => {
            send.bytes(&bytes).await?;
            std::future::pending::<()>().await;
        }
        Sends::Endless(first, then) => {
            send.bytes(&first).await?;
            while send.bytes(&then).await.is_some() {}
        }
        Sends::Drip(first, then) => {
            send.bytes(&first).await?;
            while send.bytes(&then).await.is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    send.stream.shutdown().await.ok()
}

struct Sending<'s> {
    stream: TcpStream,
    shared: &'s Shared,
}

impl Sending<'_> {
    async fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()?;
        self.shared.sent.fetch_add(bytes.len(), Ordering::SeqCst);
        Some(())
    }
}

fn json_response(head: &str, body: &Value, lines: &str) -> Vec<u8> {
    let body = body.to_string();
    let tag = format!("\"{:x}\"", crc32fast::hash(body.as_bytes()));
    let lines = format!("content-type: application/json\r\netag: {tag}\r\n{lines}");
    match head.to_ascii_lowercase().contains(&format!("if-none-match: {tag}\r\n")) {
        true => response("304 Not Modified", &lines, b""),
        false => response("200 OK", &lines, body.as_bytes()),
    }
}

pub fn response(status: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{lines}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A JWK Set of these keys.
pub fn set(keys: &[&Signer]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

/// A key of a provider: ES256.
pub struct Signer {
    pub kid: String,
    pair: EcdsaKeyPair,
}

impl Signer {
    pub fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), pair }
    }

    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid, "x": x, "y": y })
    }

    /// A good token of `issuer`.
    pub fn token(&self, issuer: &str) -> String {
        self.signs(&json!({ "alg": "ES256", "kid": self.kid }), &claims(issuer))
    }

    pub fn signs(&self, header: &Value, claims: &Value) -> String {
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub const AUDIENCE: &str = "https://api.example";
pub const NOW: u64 = 1_800_000_000;

pub fn claims(issuer: &str) -> Value {
    json!({ "iss": issuer, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 100_000 })
}

/// The built-in client, with time that passes only when the clock is told to.
#[derive(Debug)]
pub struct Timed {
    pub http: HttpClient,
    pub clock: ManualClock,
}

#[async_trait]
impl Fetch for Timed {
    async fn get(&self, request: Request<()>, limit: usize) -> Result<Response<Bytes>, FetchError> {
        self.http.get(request, limit).await
    }

    async fn sleep(&self, time: Duration) {
        let end = self.clock.monotonic() + time;
        while self.clock.monotonic() < end {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
