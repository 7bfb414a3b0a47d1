//! Keys fetched from a provider over real sockets: found, kept, given up, whatever the provider does.
#![cfg(all(feature = "remote", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![allow(clippy::unwrap_used)]

#[path = "common/provider.rs"]
mod provider;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures_now::now_or_never;
use http::request::Parts;
use keygate::jwt::JwtVerifier;
use keygate::jwt::remote::{HttpClient, Refresh, RemoteKeys, RemoteKeysBuilder};
use keygate::{AuthLayer, Authenticator, ManualClock, RejectionKind, Timestamp};
use provider::*;
use serde_json::{Value, json};
use support::Client;

/// A future that has to end without waiting.
mod futures_now {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    pub(crate) fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

/// A gate for the tokens of one provider, and all that moves it.
struct World {
    provider: Provider,
    issuer: String,
    keys: RemoteKeys,
    gate: Arc<Authenticator>,
    layer: AuthLayer,
    clock: ManualClock,
    refresh: Option<Refresh>,
}

impl World {
    async fn of(provider: Provider) -> Self {
        Self::with(provider, |keys| keys).await
    }

    async fn with(
        provider: Provider,
        configure: impl FnOnce(RemoteKeysBuilder) -> RemoteKeysBuilder,
    ) -> Self {
        let clock = ManualClock::new(Timestamp::from_secs(NOW));
        let issuer = provider.base.clone();
        let keys = RemoteKeys::discover(issuer.as_str()).danger_allow_http().clock(clock.clone());
        let http = HttpClient::new().unwrap();
        let (keys, refresh) = configure(keys).build(Timed { http, clock: clock.clone() }).unwrap();
        let verifier = JwtVerifier::builder(issuer.as_str(), AUDIENCE).remote_keys(keys.clone());
        let layer = AuthLayer::tokens_only(verifier.build().unwrap()).clock(clock.clone());
        let gate = Arc::new(layer.clone().into_authenticator());
        Self { provider, issuer, keys, gate, layer, clock, refresh: Some(refresh) }
    }

    /// With the keys fetched.
    async fn ready(provider: Provider) -> Self {
        let world = Self::of(provider).await;
        world.keys.refresh().await.unwrap();
        world
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    fn token(&self, key: &Signer) -> String {
        key.token(&self.issuer)
    }

    /// A service behind the gate, over real sockets.
    async fn serve(&self) -> Client {
        let app = Router::new().route("/", get(|| async { "in" })).layer(self.layer.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move { axum::serve(listener, app).await });
        client
    }

    /// Spawns the task that refreshes.
    fn attend(&mut self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(self.refresh.take().unwrap())
    }

    /// Waits until so many fetches have begun and none is under way.
    async fn fetched(&self, times: u64) {
        while self.keys.stats().fetches < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Joins the fetch under way, or makes one more.
        while self.keys.stats().age.is_none_or(|age| age > Duration::from_secs(1))
            && !self.keys.stats().is_failing
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn outcome(&self, token: &str) -> Result<(), RejectionKind> {
        outcome(&self.gate, token).await
    }

    /// The verdict, if there is one without waiting.
    fn at_once(&self, token: &str) -> Option<Result<(), RejectionKind>> {
        now_or_never(outcome(&self.gate, token))
    }
}

async fn outcome(gate: &Authenticator, token: &str) -> Result<(), RejectionKind> {
    let verdict = gate.authenticate(&head(token)).await.verdict;
    verdict.map(|principal| drop(principal.unwrap())).map_err(|why| why.kind())
}

fn head(token: &str) -> Parts {
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
    request.body(()).unwrap().into_parts().0
}

const GOOD: Result<(), RejectionKind> = Ok(());
const BAD: Result<(), RejectionKind> = Err(RejectionKind::TokenInvalid);
const AWAY: Result<(), RejectionKind> = Err(RejectionKind::Unavailable);

// ---- Finding keys -------------------------------------------------------------------------------

#[tokio::test]
async fn keys_are_found_by_the_issuers_metadata() {
    let key = Signer::new("1");
    let world = World::of(Provider::publishing(&[&key]).await).await;
    assert_eq!(world.outcome(&world.token(&key)).await, GOOD);
    assert_eq!((world.provider.asked(OPENID), world.provider.asked(JWKS)), (1, 1));
    assert_eq!(world.at_once(&world.token(&key)), Some(GOOD), "at hand from now on");
    let forged = Signer::new("1");
    assert_eq!(world.at_once(&world.token(&forged)), Some(BAD));
}

#[tokio::test]
async fn keys_are_found_where_rfc_8414_has_the_metadata() {
    let (key, provider) = (Signer::new("1"), Provider::start().await);
    let metadata = json!({ "issuer": provider.base, "jwks_uri": provider.url(JWKS) });
    provider.sends(OAUTH, Sends::Json(metadata, ""));
    provider.publish(&[&key]);
    let world = World::with(provider, RemoteKeysBuilder::oauth_metadata).await;
    assert_eq!(world.outcome(&world.token(&key)).await, GOOD);
    assert_eq!(world.provider.asked(OPENID), 0);
}

#[tokio::test]
async fn keys_are_found_at_a_plain_url() {
    let (key, provider) = (Signer::new("1"), Provider::start().await);
    provider.publish(&[&key]);
    let keys = RemoteKeys::jwks(provider.url(JWKS)).danger_allow_http();
    let (keys, _refresh) = keys.build(HttpClient::new().unwrap()).unwrap();
    let verifier = JwtVerifier::builder("https://id.example", AUDIENCE).remote_keys(keys);
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let verifier = verifier.build().unwrap();
    let token = key.token("https://id.example");
    assert!(verifier.verify(&token, Timestamp::from_secs(NOW)).is_err(), "not at hand");
    assert_eq!(verifier.verify_or_fetch(&token, &clock).await.unwrap().subject(), "ann");
    assert!(verifier.verify(&token, Timestamp::from_secs(NOW)).is_ok());
}

#[tokio::test]
async fn requests_ask_for_json_and_say_who_asks() {
    let key = Signer::new("1");
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    for head in world.provider.heads() {
        assert!(head.contains("\r\naccept: application/json\r\n"), "{head}");
        assert!(head.contains("\r\nuser-agent: keygate/"), "{head}");
    }
}

// ---- What providers do --------------------------------------------------------------------------

/// Everything but a key set at the place of the keys, and how it is told of.
fn mischief(trap: &str) -> Vec<(&'static str, Sends, &'static str)> {
    let html = response("200 OK", "content-type: text/html\r\n", b"<html>Log in</html>");
    let redirect = response("302 Found", &format!("location: {trap}\r\n"), b"");
    let huge_head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 100 << 20);
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"1000\r\n".as_slice(), &[b' '; 4096], b"\r\n"].concat();
    let deep = [b"{\"keys\":[".as_slice(), &[b'['; 100_000]].concat();
    vec![
        ("hangs before its answer", Sends::Stall(Vec::new()), "longer than 10s"),
        ("hangs in its head", Sends::Stall(b"HTTP/1.1 200".to_vec()), "longer than 10s"),
        (
            "hangs in its body",
            Sends::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()),
            "longer than 10s",
        ),
        (
            "drips",
            Sends::Drip(
                b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n".to_vec(),
                b" ".to_vec(),
            ),
            "longer than 10s",
        ),
        ("drips headers", Sends::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".to_vec()), ""),
        (
            "sends headers forever",
            Sends::Endless(
                b"HTTP/1.1 200 OK\r\n".to_vec(),
                b"a: bcdefghijklmnopqrstuvw\r\n".to_vec(),
            ),
            "can't be reached",
        ),
        (
            "500",
            Sends::Raw(response("500 Internal Server Error", "", b"{\"keys\":[]}")),
            "answered 500",
        ),
        ("404", Sends::Raw(response("404 Not Found", "", b"")), "answered 404"),
        ("204", Sends::Raw(response("204 No Content", "", b"")), "answered 204"),
        (
            "304 to a question without a tag",
            Sends::Raw(response("304 Not Modified", "", b"")),
            "answered 304",
        ),
        ("redirects", Sends::Raw(redirect), "answered 302"),
        (
            "sends 100 MB",
            Sends::Endless(huge_head.into_bytes(), vec![b' '; 65_536]),
            "can't be reached",
        ),
        ("sends chunks forever", Sends::Endless(chunked, chunk), "can't be reached"),
        ("sends HTML", Sends::Raw(html), "key set can't be read"),
        ("sends nothing", Sends::Raw(Vec::new()), "can't be reached"),
        ("sends an empty body", Sends::Raw(response("200 OK", "", b"")), "key set can't be read"),
        (
            "breaks off",
            Sends::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"keys\":[]".to_vec()),
            "can't be reached",
        ),
        (
            "speaks another protocol",
            Sends::Raw(b"220 mail.example ESMTP\r\n".to_vec()),
            "can't be reached",
        ),
        (
            "sends half a key set",
            Sends::Raw(response("200 OK", "", b"{\"keys\":[{\"kty\":\"EC\"}")),
            "key set can't be read",
        ),
        ("nests deeply", Sends::Raw(response("200 OK", "", &deep)), "key set can't be read"),
        ("sends no keys member", Sends::Json(json!({ "Keys": [] }), ""), "key set can't be read"),
        (
            "sends keys that are no list",
            Sends::Json(json!({ "keys": {} }), ""),
            "key set can't be read",
        ),
        ("sends a list", Sends::Json(json!([[]]), ""), "key set can't be read"),
        (
            "sends two lists of keys",
            Sends::Raw(response("200 OK", "", b"{\"keys\":[],\"keys\":[]}")),
            "key set can't be read",
        ),
        (
            "sends a byte order mark",
            Sends::Raw(response("200 OK", "", b"\xef\xbb\xbf{\"keys\":[]}")),
            "key set can't be read",
        ),
        (
            "sends other than UTF-8",
            Sends::Raw(response("200 OK", "", b"{\"keys\":[\"\xff\"]}")),
            "key set can't be read",
        ),
    ]
}

/// Does `work`; where the provider never comes to an end, the clock moves by the timeout as soon as it
/// has been asked.
async fn answered<T>(world: &World, endless: bool, work: impl Future<Output = T>) -> T {
    let asked = world.provider.asked(JWKS) + 1;
    let pass = async {
        world.provider.has_been_asked(JWKS, asked).await;
        if !endless {
            std::future::pending::<()>().await;
        }
        loop {
            world.pass(10);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! { done = work => done, () = pass => unreachable!() }
}

#[tokio::test]
async fn without_keys_whatever_the_provider_does_is_an_outage_and_is_told() {
    let key = Signer::new("1");
    let trap = Provider::publishing(&[&key]).await;
    for (what, sends, told) in mischief(&trap.url(JWKS)) {
        let world = World::of(Provider::publishing(&[&key]).await).await;
        let endless = sends.is_endless();
        world.provider.sends(JWKS, sends);
        let error = answered(&world, endless, world.keys.refresh()).await.expect_err(what);
        assert!(error.to_string().contains(told), "{what}: {error}");
        let refused = world.gate.authenticate(&head(&world.token(&key))).await.verdict;
        let refused = refused.expect_err(what);
        assert_eq!(refused.kind(), RejectionKind::Unavailable, "{what}");
        assert!(refused.retry_after().is_some_and(|wait| !wait.is_zero()), "{what}");
        assert!(world.provider.sent() < 8 << 20, "{what}: {} bytes", world.provider.sent());
        assert_eq!(world.keys.stats().failures, 1, "{what}");
    }
    assert_eq!(trap.heads().len(), 0, "a redirect was followed");
}

#[tokio::test]
async fn with_keys_whatever_the_provider_does_they_stay_in_use_and_nobody_waits() {
    let key = Signer::new("1");
    for (what, sends, told) in mischief("/elsewhere") {
        if what.starts_with("304") {
            continue; // With keys, there is a tag, and this is the right answer.
        }
        let world = World::ready(Provider::publishing(&[&key]).await).await;
        let endless = sends.is_endless();
        world.provider.sends(JWKS, sends);
        let token = world.token(&key);
        let fetch = answered(&world, endless, world.keys.refresh());
        let asking = async {
            for _ in 0..50 {
                assert_eq!(world.at_once(&token), Some(GOOD), "{what}");
                tokio::task::yield_now().await;
            }
        };
        let (fetched, ()) = tokio::join!(fetch, asking);
        let error = fetched.expect_err(what);
        assert!(error.to_string().contains(told), "{what}: {error}");
        assert_eq!(world.at_once(&token), Some(GOOD), "{what}");
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_or_without_https_keys_is_refused() {
    let key = Signer::new("1");
    for (metadata, told) in [
        (
            json!({ "issuer": "https://evil.example", "jwks_uri": "https://a.example" }),
            "another issuer",
        ),
        (json!({ "issuer": "BASE/", "jwks_uri": "JWKS" }), "another issuer"),
        (json!({ "issuer": ["BASE"], "jwks_uri": "JWKS" }), "not a JSON object"),
        (json!({ "issuer": "BASE" }), "not a JSON object"),
        (json!({ "issuer": "BASE", "jwks_uri": null }), "not a JSON object"),
        (json!(["BASE", "JWKS"]), "not a JSON object"),
        (json!({ "issuer": "BASE", "jwks_uri": "file:///etc/passwd" }), "no URL"),
        (json!({ "issuer": "BASE", "jwks_uri": "ftp://127.0.0.1/jwks" }), "not https"),
        (json!({ "issuer": "BASE", "jwks_uri": "/jwks" }), "not https"),
        (
            json!({ "issuer": "BASE", "jwks_uri": "http://user:secret@127.0.0.1/jwks" }),
            "a user name",
        ),
    ] {
        let world = World::of(Provider::publishing(&[&key]).await).await;
        let text = metadata.to_string();
        let text = text.replace("BASE", &world.issuer).replace("JWKS", &world.provider.url(JWKS));
        let metadata: Value = serde_json::from_str(&text).unwrap();
        world.provider.sends(OPENID, Sends::Json(metadata.clone(), ""));
        let error = world.keys.refresh().await.expect_err("refused").to_string();
        assert!(error.contains(told), "{metadata}: {error}");
        assert!(!error.contains("secret") && !error.contains("evil"), "{error}");
        assert_eq!(world.provider.asked(JWKS), 0);
    }
}

#[tokio::test]
async fn one_broken_key_spoils_no_other() {
    let (key, other) = (Signer::new("1"), Signer::new("2"));
    let world = World::of(Provider::publishing(&[&key]).await).await;
    let mut published = set(&[&key, &other]);
    let keys = published["keys"].as_array_mut().unwrap();
    let mut off_the_curve = Signer::new("3").jwk();
    off_the_curve["y"] = off_the_curve["x"].clone();
    keys.insert(0, json!({ "kty": "EC", "kid": 7 }));
    keys.insert(1, json!("no key"));
    keys.push(off_the_curve);
    world.provider.sends(JWKS, Sends::Json(published, ""));
    for key in [&key, &other] {
        assert_eq!(world.outcome(&world.token(key)).await, GOOD);
    }
    assert_eq!((world.keys.stats().keys, world.keys.stats().skipped), (2, 3));
}

#[tokio::test]
async fn an_unchanged_set_is_not_sent_again() {
    let key = Signer::new("1");
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    world.pass(500);
    world.keys.refresh().await.unwrap();
    let stats = world.keys.stats();
    assert_eq!((stats.fetches, stats.not_modified, stats.age), (2, 1, Some(Duration::ZERO)));
    let last = world.provider.heads().pop().unwrap();
    assert!(last.contains("if-none-match: "), "{last}");
    assert_eq!(world.at_once(&world.token(&key)), Some(GOOD));
    let next = Signer::new("2");
    world.provider.publish(&[&next]);
    world.keys.refresh().await.unwrap();
    assert_eq!(world.keys.stats().not_modified, 1, "a changed one is");
    assert_eq!(world.at_once(&world.token(&next)), Some(GOOD));
}

/// A tag is a version at one place: another place may use the same for other keys.
#[tokio::test]
async fn a_tag_is_not_shown_at_another_place() {
    let key = Signer::new("1");
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    let moved = json!({ "issuer": world.issuer, "jwks_uri": world.provider.url("/moved") });
    world.provider.sends(OPENID, Sends::Json(moved, ""));
    world.provider.sends("/moved", Sends::Json(set(&[&key]), ""));
    world.keys.refresh().await.unwrap();
    assert_eq!((world.provider.asked("/moved"), world.keys.stats().not_modified), (1, 0));
    assert!(!world.provider.heads().pop().unwrap().contains("if-none-match"));
}

#[tokio::test]
async fn cache_control_says_when_keys_are_fetched_again_within_the_bounds() {
    let key = Signer::new("1");
    for (lines, secs) in [
        ("", 600),
        ("cache-control: max-age=300\r\n", 300),
        ("cache-control: max-age=21600\r\n", 600),
        ("cache-control: max-age=1\r\n", 60),
        ("cache-control: no-store\r\n", 60),
        ("cache-control: max-age=300\r\nage: 200\r\n", 100),
    ] {
        let world = World::of(Provider::publishing(&[&key]).await).await;
        world.provider.sends(JWKS, Sends::Json(set(&[&key]), lines));
        world.keys.refresh().await.unwrap();
        let left = world.keys.stats().usable_for;
        assert_eq!(left, Some(Duration::from_secs(secs + 10)), "{lines}");
    }
}

// ---- Who fetches, and how often -----------------------------------------------------------------

#[tokio::test]
async fn a_flood_of_unknown_kids_makes_one_fetch_in_a_cooldown() {
    let key = Signer::new("1");
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    let forger = Signer::new("forger");
    for round in 1..4 {
        for n in 0..1000 {
            let header = json!({ "alg": "ES256", "kid": format!("{round}-{n}") });
            let token = forger.signs(&header, &claims(&world.issuer));
            assert_eq!(world.outcome(&token).await, BAD);
        }
        assert_eq!(world.keys.stats().fetches, 1 + round);
        assert_eq!(world.provider.asked(JWKS) as u64, 1 + round);
        assert_eq!(world.at_once(&world.token(&key)), Some(GOOD));
        world.pass(10);
    }
    assert_eq!(world.keys.stats().unknown_kids, 3000);
}

/// The cooldown is one of time alone, whatever came of the last fetch.
#[tokio::test]
async fn a_flood_makes_one_fetch_in_a_cooldown_while_the_provider_fails_or_has_no_keys() {
    for sends in [Sends::Raw(response("500 Oops", "", b"")), Sends::Json(json!({ "keys": [] }), "")]
    {
        let world = World::of(Provider::publishing(&[]).await).await;
        world.provider.sends(JWKS, sends);
        let forger = Signer::new("forger");
        for round in 1..4 {
            for n in 0..100 {
                let header = json!({ "alg": "ES256", "kid": n.to_string() });
                let token = forger.signs(&header, &claims(&world.issuer));
                assert_eq!(world.outcome(&token).await, AWAY);
            }
            assert_eq!(world.keys.stats().fetches, round);
            world.pass(10);
        }
    }
}

#[tokio::test]
async fn a_token_that_its_claims_condemn_causes_no_fetch() {
    let key = Signer::new("1");
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    let other = Signer::new("2");
    for (name, value) in [
        ("exp", json!(NOW - 600)),
        ("nbf", json!(NOW + 600)),
        ("aud", json!("https://other.example")),
        ("iss", json!("https://other.example")),
        ("sub", json!("")),
    ] {
        let mut claims = claims(&world.issuer);
        claims[name] = value;
        let token = other.signs(&json!({ "alg": "ES256", "kid": "2" }), &claims);
        // Invalid, and never expired: nothing of an unsigned token is believed.
        assert_eq!(world.at_once(&token), Some(BAD), "{name}");
    }
    assert_eq!(world.keys.stats().fetches, 1);
}

#[tokio::test]
async fn a_thousand_who_need_the_keys_at_once_share_one_fetch() {
    let (key, next) = (Signer::new("1"), Signer::new("2"));
    let world = World::of(Provider::publishing(&[&key]).await).await;
    for (key, fetches) in [(&key, 1), (&next, 2)] {
        world.provider.publish(&[key]);
        let token: Arc<str> = world.token(key).into();
        let requests: Vec<_> = (0..1000)
            .map(|_| {
                let (gate, token) = (Arc::clone(&world.gate), Arc::clone(&token));
                tokio::spawn(async move { outcome(&gate, &token).await })
            })
            .collect();
        for request in requests {
            assert_eq!(request.await.unwrap(), GOOD);
        }
        assert_eq!(world.keys.stats().fetches, fetches);
        assert_eq!(world.keys.stats().waiting, 0);
        world.pass(10);
    }
}

#[tokio::test]
async fn who_begins_a_fetch_and_leaves_strands_nobody_and_begins_no_second_one() {
    let (key, next) = (Signer::new("1"), Signer::new("2"));
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    let stall = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec();
    // Slow enough to leave in the middle of it.
    world.provider.sends(JWKS, Sends::Drip(stall, vec![b' '; 1]));
    let token: Arc<str> = world.token(&next).into();
    let request = || {
        let (gate, token) = (Arc::clone(&world.gate), Arc::clone(&token));
        tokio::spawn(async move { outcome(&gate, &token).await })
    };
    let first = request();
    world.provider.has_been_asked(JWKS, 2).await;
    let others: Vec<_> = (0..10).map(|_| request()).collect();
    while world.keys.stats().waiting < 11 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // The fetch goes on, to its timeout.
    world.pass(10);
    for other in others {
        assert_eq!(other.await.unwrap(), AWAY);
    }
    assert_eq!((world.provider.asked(JWKS), world.keys.stats().fetches), (2, 2));
}

#[tokio::test]
async fn whoever_comes_and_leaves_begins_one_fetch_in_a_cooldown() {
    let key = Signer::new("1");
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    world.provider.sends(JWKS, Sends::Stall(Vec::new()));
    let unknown = world.token(&Signer::new("2"));
    for _ in 0..100 {
        assert_eq!(world.at_once(&unknown), None, "waits, and is dropped");
    }
    assert_eq!((world.keys.stats().fetches, world.keys.stats().waiting), (2, 0));
    // Nobody goes on with it. Who comes after its time finds it late, and waits no longer.
    world.pass(10);
    assert_eq!(world.outcome(&unknown).await, AWAY);
    assert_eq!(world.keys.stats().fetches, 2);
}

#[tokio::test]
async fn no_more_than_4096_wait_at_a_time() {
    let world = World::of(Provider::publishing(&[]).await).await;
    world.provider.sends(JWKS, Sends::Stall(Vec::new()));
    let token: Arc<str> = world.token(&Signer::new("1")).into();
    let requests: Vec<_> = (0..5000)
        .map(|_| {
            let (gate, token) = (Arc::clone(&world.gate), Arc::clone(&token));
            tokio::spawn(async move { outcome(&gate, &token).await })
        })
        .collect();
    world.provider.has_been_asked(JWKS, 1).await;
    while requests.iter().filter(|request| request.is_finished()).count() < 5000 - 4096 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.keys.stats().waiting, 4096);
    world.pass(10);
    for request in requests {
        assert_eq!(request.await.unwrap(), AWAY);
    }
    assert_eq!((world.keys.stats().waiting, world.keys.stats().fetches), (0, 1));
}

// ---- For how long keys are trusted --------------------------------------------------------------

#[tokio::test]
async fn a_withdrawn_key_is_refused_after_the_interval_and_the_timeout_without_the_task() {
    let (key, next) = (Signer::new("1"), Signer::new("2"));
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    world.provider.publish(&[&next]);
    world.pass(609);
    assert_eq!(world.at_once(&world.token(&key)), Some(GOOD));
    world.pass(1);
    assert_eq!(world.outcome(&world.token(&key)).await, BAD);
    assert_eq!(world.outcome(&world.token(&next)).await, GOOD);
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_after_the_interval_with_the_task() {
    let (key, next) = (Signer::new("1"), Signer::new("2"));
    let mut world = World::of(Provider::publishing(&[&key]).await).await;
    let task = world.attend();
    world.fetched(1).await;
    assert_eq!(world.at_once(&world.token(&key)), Some(GOOD), "nobody had to ask");
    world.provider.publish(&[&next]);
    world.pass(600);
    world.fetched(2).await;
    assert_eq!(world.at_once(&world.token(&next)), Some(GOOD));
    assert_eq!(world.outcome(&world.token(&key)).await, BAD);
    task.abort();
}

#[tokio::test]
async fn while_the_provider_is_away_keys_are_used_for_four_hours_and_then_all_is_503() {
    for attended in [true, false] {
        let key = Signer::new("1");
        let mut world = World::ready(Provider::publishing(&[&key]).await).await;
        let task = attended.then(|| world.attend());
        let (token, unknown) = (world.token(&key), world.token(&Signer::new("2")));
        world.provider.sends(OPENID, Sends::Raw(response("503 Down", "", b"")));
        let (mut passed, mut waited) = (0, 0);
        while passed + 60 < 4 * 3600 {
            world.pass(60);
            passed += 60;
            if attended {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            waited += usize::from(world.at_once(&token).is_none());
            assert_eq!(world.outcome(&token).await, GOOD, "after {passed} s, {attended}");
        }
        assert!(attended || waited > 0, "without the task, requests ask");
        assert_eq!(world.outcome(&unknown).await, AWAY, "perhaps a new key");
        assert!(world.keys.stats().is_failing);
        world.pass(60);
        assert_eq!(world.outcome(&token).await, AWAY);
        assert_eq!(world.outcome(&unknown).await, AWAY);
        assert_eq!(world.keys.stats().usable_for, None);
        // And it is good again when the provider is back.
        let metadata = json!({ "issuer": world.issuer, "jwks_uri": world.provider.url(JWKS) });
        world.provider.sends(OPENID, Sends::Json(metadata, ""));
        world.pass(60);
        assert_eq!(world.outcome(&token).await, GOOD);
        task.inspect(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn a_provider_whose_port_is_closed_is_an_outage() {
    let key = Signer::new("1");
    let world = World::of(Provider::publishing(&[&key]).await).await;
    let (gate, keys, token) = (Arc::clone(&world.gate), world.keys.clone(), world.token(&key));
    world.provider.stop().await;
    assert_eq!(outcome(&gate, &token).await, AWAY);
    assert!(keys.refresh().await.unwrap_err().to_string().contains("can't be reached"));
}

#[tokio::test]
async fn a_set_without_usable_keys_withdraws_all_and_is_an_outage() {
    let key = Signer::new("1");
    let encryption = {
        let mut jwk = key.jwk();
        jwk["use"] = json!("enc");
        jwk
    };
    for published in [json!({ "keys": [] }), json!({ "keys": [encryption] })] {
        let world = World::ready(Provider::publishing(&[&key]).await).await;
        world.provider.sends(JWKS, Sends::Json(published, ""));
        let error = world.keys.refresh().await.unwrap_err();
        assert!(error.to_string().contains("no key that can be used"), "{error}");
        assert_eq!(world.outcome(&world.token(&key)).await, AWAY);
        assert_eq!((world.keys.stats().keys, world.keys.stats().usable_for), (0, None));
        world.provider.publish(&[&key]);
        world.pass(10);
        assert_eq!(world.outcome(&world.token(&key)).await, GOOD);
    }
}

/// Keys change while requests run, without notice: no good token is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_refuses_no_good_token() {
    let mut keys = vec![Arc::new(Signer::new("0"))];
    let mut world = World::of(Provider::publishing(&[&keys[0]]).await).await;
    let (task, client) = (world.attend(), world.serve().await);
    let (current, passed) =
        (Arc::new(Mutex::new(Arc::clone(&keys[0]))), Arc::<AtomicUsize>::default());
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (client, issuer) = (client.clone(), world.issuer.clone());
            let (current, passed) = (Arc::clone(&current), Arc::clone(&passed));
            tokio::spawn(async move {
                loop {
                    let key = Arc::clone(&current.lock().unwrap());
                    let answer = client.get("/").bearer(&key.token(&issuer)).send().await;
                    assert_eq!(answer.status, 200, "{}: {answer:?}", key.kid);
                    passed.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for rotation in 1..20 {
        let enough = passed.load(Ordering::SeqCst) + 50;
        while passed.load(Ordering::SeqCst) < enough {
            assert!(workers.iter().all(|worker| !worker.is_finished()), "a good token was refused");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.pass(11);
        keys.push(Arc::new(Signer::new(&rotation.to_string())));
        let [.., previous, next] = keys.as_slice() else { unreachable!() };
        world.provider.publish(&[previous, next]);
        *current.lock().unwrap() = Arc::clone(next);
    }
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    task.abort();
    assert!(world.keys.stats().fetches >= 19);
}

#[tokio::test]
async fn over_http_an_outage_is_503_with_a_time_to_come_back_and_a_forgery_is_401() {
    let key = Signer::new("1");
    let world = World::of(Provider::publishing(&[&key]).await).await;
    let client = world.serve().await;
    world.provider.sends(JWKS, Sends::Raw(response("500 Oops", "", b"{}")));
    let away = client.get("/").bearer(&world.token(&key)).send().await;
    assert_eq!(away.status, 503, "{away:?}");
    assert!((1..=10).contains(&away.number("retry-after")));
    assert_eq!(away.header("www-authenticate"), None, "signing in again would not help");
    let body = String::from_utf8(away.body.to_vec()).unwrap();
    assert!(!body.contains("500") && !body.contains("127.0.0.1"), "{body}");
    world.provider.publish(&[&key]);
    world.pass(10);
    let good = client.get("/").bearer(&world.token(&key)).send().await;
    assert_eq!((good.status.as_u16(), &good.body[..]), (200, b"in".as_slice()));
    for forger in [Signer::new("1"), Signer::new("2")] {
        let refused = client.get("/").bearer(&world.token(&forger)).send().await;
        assert_eq!(refused.status, 401);
        assert!(refused.header("www-authenticate").unwrap().contains("invalid_token"));
    }
}

/// The provider has read its old set for a fetch that began before it had the new key.
#[tokio::test]
async fn who_joined_a_fetch_that_began_too_early_waits_for_another() {
    let (key, next) = (Signer::new("1"), Signer::new("2"));
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    let old = response("200 OK", "", set(&[&key]).to_string().as_bytes());
    let go_on = Arc::new(tokio::sync::Notify::new());
    world.provider.sends(JWKS, Sends::Halting(old, Arc::clone(&go_on)));
    let keys = world.keys.clone();
    let early = tokio::spawn(async move { keys.refresh().await });
    world.provider.has_been_asked(JWKS, 2).await;
    world.provider.publish(&[&key, &next]);
    let (gate, token) = (Arc::clone(&world.gate), world.token(&next));
    let request = tokio::spawn(async move { outcome(&gate, &token).await });
    while world.keys.stats().waiting == 0 {
        tokio::task::yield_now().await;
    }
    go_on.notify_one();
    assert_eq!(request.await.unwrap(), GOOD);
    early.await.unwrap().unwrap();
    assert_eq!(world.keys.stats().fetches, 3);
}

#[tokio::test]
async fn the_task_ends_with_the_last_who_has_the_keys() {
    let key = Signer::new("1");
    let mut world = World::of(Provider::publishing(&[&key]).await).await;
    let task = world.attend();
    world.fetched(1).await;
    let World { keys, gate, layer, provider, .. } = world;
    drop((keys, gate, layer));
    task.await.unwrap();
    drop(provider);
}

// ---- What a token can't do ----------------------------------------------------------------------

/// Attack rows 4 and 5: CVE-2018-0114, CVE-2026-27962, and request forgery by header.
#[tokio::test]
async fn a_token_brings_no_keys_and_names_no_place_for_them() {
    let (key, own) = (Signer::new("1"), Signer::new("1"));
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    let trap = Provider::publishing(&[&own]).await;
    for (name, value) in [
        ("jwk", own.jwk()),
        ("jku", json!(trap.url(JWKS))),
        ("x5u", json!(trap.url("/x5u"))),
        ("x5c", json!(["MIIB"])),
        ("kid", json!(trap.url(JWKS))),
    ] {
        for kid in ["1", "unknown"] {
            let mut header = json!({ "alg": "ES256", "kid": kid });
            header[name] = value.clone();
            let token = own.signs(&header, &claims(&world.issuer));
            assert_eq!(world.outcome(&token).await, BAD, "{name} {kid}");
        }
    }
    assert_eq!(trap.heads().len(), 0);
    let ours: usize = [OPENID, JWKS].map(|path| world.provider.asked(path)).into_iter().sum();
    assert_eq!(world.provider.heads().len(), ours, "nothing of a token stands in a URL");
}

/// Attack row 6.
#[tokio::test]
async fn a_hostile_kid_is_a_name_like_any_other() {
    let key = Signer::new("1");
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    for kid in ["../../etc/passwd", "' OR 1=1 --", "\u{0}", "\r\nx: y", "1\u{0}", "", " 1", "%31"] {
        let token = key.signs(&json!({ "alg": "ES256", "kid": kid }), &claims(&world.issuer));
        assert_eq!(world.outcome(&token).await, BAD, "{kid:?}");
    }
    let long =
        key.signs(&json!({ "alg": "ES256", "kid": "1".repeat(257) }), &claims(&world.issuer));
    assert_eq!(world.outcome(&long).await, BAD);
}

/// Attack row 2: no published key is ever a secret.
#[tokio::test]
async fn published_keys_verify_no_hmac() {
    let key = Signer::new("1");
    let world = World::ready(Provider::publishing(&[&key]).await).await;
    let encode = |json: Value| {
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, json.to_string())
    };
    let header = encode(json!({ "alg": "HS256", "kid": "1" }));
    let message = format!("{header}.{}", encode(claims(&world.issuer)));
    let secret = key.jwk().to_string();
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&secret, message.as_bytes());
    let tag = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, tag);
    assert_eq!(world.at_once(&format!("{message}.{tag}")), Some(BAD));
    let fetches = world.keys.stats().fetches;
    let unknown = message.replace(&header, &encode(json!({ "alg": "HS256", "kid": "2" })));
    assert_eq!(world.at_once(&format!("{unknown}.AAAA")), Some(BAD));
    assert_eq!(world.keys.stats().fetches, fetches, "no key for it can come");
}
