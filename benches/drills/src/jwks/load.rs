//! Who asks, and how long it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use support::Client;

use super::provider::claims;

/// Who ask at the same time.
const CLIENTS: usize = 4;
const FLOODERS: usize = 16;

/// How long requests took, and how many were refused.
#[derive(Default)]
pub(super) struct Latency {
    times: Vec<Duration>,
    pub(super) refused: u64,
}

impl Latency {
    fn and(mut self, other: Self) -> Self {
        self.times.extend(other.times);
        self.times.sort_unstable();
        Self { times: self.times, refused: self.refused + other.refused }
    }

    fn at(&self, share: f64) -> Duration {
        let index = (self.times.len() as f64 * share) as usize;
        self.times.get(index).copied().unwrap_or(Duration::MAX)
    }
}

/// The same again and again.
#[derive(Default)]
pub(super) struct Turns(Vec<Latency>);

impl Turns {
    pub(super) fn push(&mut self, turn: Latency) {
        self.0.push(turn);
    }

    pub(super) fn p50(&self) -> Duration {
        self.at(0.5)
    }

    pub(super) fn p99(&self) -> Duration {
        self.at(0.99)
    }

    pub(super) fn refused(&self) -> u64 {
        self.0.iter().map(|turn| turn.refused).sum()
    }

    /// By how much the 99th percentile is above that of the turn beside it.
    pub(super) fn slower_than(&self, quiet: &Self) -> f64 {
        let ratio = |(seen, quiet): (&Latency, &Latency)| {
            seen.at(0.99).as_secs_f64() / quiet.at(0.99).as_secs_f64()
        };
        let mut ratios: Vec<_> = self.0.iter().zip(&quiet.0).map(ratio).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::INFINITY)
    }

    /// What it was in the turn in the middle.
    fn at(&self, share: f64) -> Duration {
        let mut turns: Vec<_> = self.0.iter().map(|turn| turn.at(share)).collect();
        turns.sort_unstable();
        turns.get(turns.len() / 2).copied().unwrap_or(Duration::MAX)
    }
}

/// Sends so many requests with a good token.
pub(super) async fn ask(client: &Client, token: &Arc<str>, requests: usize) -> Latency {
    let asking = (0..CLIENTS).map(|_| {
        let (client, token) = (client.clone(), Arc::clone(token));
        tokio::spawn(async move {
            let mut seen = Latency::default();
            for _ in 0..requests / CLIENTS {
                let start = Instant::now();
                let answer = client.get("/").bearer(&token).send().await;
                seen.times.push(start.elapsed());
                seen.refused += u64::from(answer.status != 200);
            }
            seen
        })
    });
    let mut all = Latency::default();
    for seen in asking.collect::<Vec<_>>() {
        all = all.and(seen.await.expect("it asks and ends"));
    }
    all
}

/// Sends so many tokens that nobody has signed, each with another `kid`; how many were let in.
pub(super) async fn flood(client: &Client, issuer: &str, tokens: usize) -> u64 {
    let claims: Arc<str> = URL_SAFE_NO_PAD.encode(claims(issuer).to_string()).into();
    let signature: Arc<str> = URL_SAFE_NO_PAD.encode([7; 64]).into();
    let flooding = (0..FLOODERS).map(|flooder| {
        let (client, claims, signature) = (client.clone(), claims.clone(), signature.clone());
        tokio::spawn(async move {
            let mut let_in = 0;
            for n in (flooder..tokens).step_by(FLOODERS) {
                let header = json!({ "alg": "ES256", "kid": format!("unknown-{n}") }).to_string();
                let token = format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(header));
                let answer = client.get("/").bearer(&token).send().await;
                let_in += u64::from(answer.status != 401);
            }
            let_in
        })
    });
    let mut let_in = 0;
    for flooder in flooding.collect::<Vec<_>>() {
        let_in += flooder.await.expect("it asks and ends");
    }
    let_in
}
