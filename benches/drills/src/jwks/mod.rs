//! A provider of keys that does its worst, while requests with known keys go on.

mod load;
#[path = "../../../../tests/common/provider.rs"]
mod provider;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use keygate::jwt::JwtVerifier;
use keygate::jwt::remote::{HttpClient, RemoteKeys};
use keygate::{AuthLayer, ManualClock, Timestamp};
use serde_json::json;
use support::Client;

use self::load::{Turns, ask, flood};
use self::provider::{AUDIENCE, JWKS, NOW, Provider, Sends, Signer, response, set};
use crate::Failure;
use crate::report::{Report, Table};

/// Keys are fetched so often, besides at the beginning of each turn.
const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_millis(500);
const COOLDOWN: Duration = Duration::from_secs(2);
/// Requests of a turn.
const REQUESTS: usize = 20_000;
/// A trial and its quiet case take so many turns. Each is compared with the one before it, and what
/// counts is the turn in the middle: a busy moment of the machine falls into few, and into either.
const TURNS: usize = 15;
/// By how much a provider may slow down those who need nothing from it.
const SLOWER: f64 = 2.0;

/// A service whose gate takes the tokens of one provider.
struct Service {
    provider: Provider,
    keys: RemoteKeys,
    client: Client,
}

impl Service {
    /// That fetches keys no less often than at this interval.
    async fn start(key: &Signer, longest: Duration) -> Result<Self, Failure> {
        let provider = Provider::publishing(&[key]).await;
        let issuer = provider.base.clone();
        let keys = RemoteKeys::discover(issuer.as_str()).danger_allow_http();
        let keys = keys.refresh_between(INTERVAL, longest).timeout(TIMEOUT).cooldown(COOLDOWN);
        let (keys, refresh) = keys.build(HttpClient::new()?)?;
        tokio::spawn(refresh);
        keys.refresh().await?;
        let verifier = JwtVerifier::builder(issuer, AUDIENCE).remote_keys(keys.clone()).build()?;
        // The tokens of the provider are of that time.
        let clock = ManualClock::new(Timestamp::from_secs(NOW));
        let gate = AuthLayer::tokens_only(verifier).clock(clock);
        let app = Router::new().route("/", get(|| async { "in" })).layer(gate);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let client = Client::new(format!("http://{}", listener.local_addr()?));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { provider, keys, client })
    }
}

impl Service {
    /// The provider does what it should from now on, and what it did before is over.
    async fn behave(&self, keys: &[&Signer]) {
        self.provider.publish(keys);
        // A fetch may be under way that began before.
        while self.keys.refresh().await.is_err() {}
    }

    /// The provider does something else from now on, and is being asked.
    fn misbehave(&self, sends: Sends) {
        self.provider.sends(JWKS, sends);
        let keys = self.keys.clone();
        tokio::spawn(async move { keys.refresh().await });
    }
}

pub(crate) async fn drill(tokens: usize) -> Result<ExitCode, Failure> {
    let mut report = Report::default();
    mischief(&mut report).await?;
    unknown_keys(tokens, &mut report).await?;
    Ok(report.finish())
}

/// What providers do, each as long as a trial lasts.
fn trials(key: &Signer, trap: &Provider) -> [(&'static str, Sends); 8] {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n".as_bytes().to_vec();
    let html = response("200 OK", "content-type: text/html\r\n", b"<html>Log in</html>");
    let to = format!("location: {}\r\n", trap.url(JWKS));
    let mut broken = set(&[key]);
    if let Some(keys) = broken["keys"].as_array_mut() {
        keys.insert(0, json!({ "kty": "EC", "crv": "P-256", "kid": 7 }));
    }
    [
        ("hangs", Sends::Stall(Vec::new())),
        ("answers 500", Sends::Raw(response("500 Oops", "", b"{\"keys\":[]}"))),
        ("answers 100 MB", Sends::Endless(ok.clone(), vec![b' '; 65_536])),
        ("drips its answer", Sends::Drip(ok, b" ".to_vec())),
        ("answers HTML", Sends::Raw(html)),
        ("redirects", Sends::Raw(response("302 Found", &to, b""))),
        ("drops other keys", Sends::Json(set(&[key]), "")),
        ("serves one broken key", Sends::Json(broken, "")),
    ]
}

async fn mischief(report: &mut Report) -> Result<(), Failure> {
    let (key, other) = (Signer::new("1"), Signer::new("2"));
    let trap = Provider::publishing(&[&key]).await;
    let service = Service::start(&key, INTERVAL).await?;
    let token: Arc<str> = key.token(&service.provider.base).into();
    let mut table = Table::new(["provider", "p50", "p99", "of quiet", "refused", "fetches"]);
    let (mut worst, mut refused) = (0.0_f64, 0);
    ask(&service.client, &token, REQUESTS).await;
    for (name, sends) in trials(&key, &trap) {
        let (mut quiet, mut seen, mut fetches) = (Turns::default(), Turns::default(), 0);
        for _ in 0..TURNS {
            service.behave(&[&key, &other]).await;
            quiet.push(ask(&service.client, &token, REQUESTS).await);
            let before = service.keys.stats().fetches;
            service.misbehave(sends.clone());
            seen.push(ask(&service.client, &token, REQUESTS).await);
            fetches += service.keys.stats().fetches - before;
        }
        let slower = seen.slower_than(&quiet);
        (worst, refused) = (worst.max(slower), refused + seen.refused() + quiet.refused());
        row(&mut table, "is quiet", &quiet, 1.0, 0);
        row(&mut table, name, &seen, slower, fetches);
    }
    table.print("Requests with a known key, by what the provider does");
    report.promise("p99 within 2 times the quiet case", format!("{worst:.2}"), worst <= SLOWER);
    report.never("good tokens refused", refused);
    report.never("redirects followed", trap.heads().len() as u64);
    Ok(())
}

fn row(table: &mut Table, name: &str, seen: &Turns, slower: f64, fetches: u64) {
    let micros = |time: Duration| format!("{} µs", time.as_micros());
    table.row([
        name.to_owned(),
        micros(seen.p50()),
        micros(seen.p99()),
        format!("{slower:.2}"),
        seen.refused().to_string(),
        fetches.to_string(),
    ]);
}

/// A flood of tokens, each with a `kid` of its own.
async fn unknown_keys(tokens: usize, report: &mut Report) -> Result<(), Failure> {
    let key = Signer::new("1");
    // The task fetches nothing while this lasts.
    let service = Service::start(&key, Duration::from_secs(3600)).await?;
    let token: Arc<str> = key.token(&service.provider.base).into();
    let before = service.keys.stats().fetches;
    let start = Instant::now();
    let flooding = flood(&service.client, &service.provider.base, tokens);
    let asking = ask(&service.client, &token, REQUESTS);
    let (let_in, seen) = tokio::join!(flooding, asking);
    let lasted = start.elapsed();
    let fetches = service.keys.stats().fetches - before;
    // One at once, and one at the end of each cooldown.
    let bound = 1 + lasted.as_millis() as u64 / COOLDOWN.as_millis() as u64;
    let mut table =
        Table::new(["tokens", "lasted", "fetches", "cooldowns", "let in", "known refused"]);
    table.row([
        tokens.to_string(),
        crate::report::seconds(lasted),
        fetches.to_string(),
        bound.to_string(),
        let_in.to_string(),
        seen.refused.to_string(),
    ]);
    table.print("A flood of unknown keys");
    let promised = format!("{tokens} unknown kids, fetches within {bound} cooldowns");
    report.promise(promised, fetches, fetches <= bound);
    report.never("forged tokens let in", let_in);
    report.never("good tokens refused in the flood", seen.refused);
    Ok(())
}
