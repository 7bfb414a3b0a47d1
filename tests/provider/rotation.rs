//! The provider's keys change while requests run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::*;
use crate::common::Timed;

const ROTATIONS: usize = 3;
const WORKERS: usize = 4;
/// Requests between two steps of a rotation.
const BETWEEN: usize = 200;

/// What the workers send, and what came of it.
#[derive(Default)]
struct Load {
    tokens: RwLock<Vec<(usize, String)>>,
    sent: AtomicUsize,
    refused: AtomicUsize,
    over: AtomicBool,
}

impl Load {
    async fn work(&self, services: &[Client]) {
        for n in 0.. {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let (service, token) = {
                let tokens = self.tokens.read().unwrap();
                tokens[n % tokens.len()].clone()
            };
            let answer = services[service].get("/").bearer(&token).send().await;
            if answer.status != StatusCode::OK {
                self.refused.fetch_add(1, Ordering::SeqCst);
                eprintln!("refused: {answer:?}");
            }
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until so many more requests were answered.
    async fn goes_on(&self, more: usize) {
        let enough = self.sent.load(Ordering::SeqCst) + more;
        while self.sent.load(Ordering::SeqCst) < enough {
            tokio::task::yield_now().await;
        }
    }
}

/// A fresh token of each algorithm, and the service that it is for.
async fn fresh(issuer: &Client) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (service, alg) in ALGORITHMS.into_iter().enumerate() {
        tokens.push((service, minted(issuer, alg).await));
    }
    tokens
}

/// A new key is published, then signs, and the former one is withdrawn once nothing that it has signed
/// is in use. The first token of a new key makes the gate fetch: whoever sends it waits, and is let in.
pub(crate) async fn under_load(mut provider: OpenIdProvider) -> Result<(), Failed> {
    let clock = ManualClock::new(keygate::Clock::now(&SystemClock::new()));
    let fetch = Timed { http: HttpClient::new()?, clock: clock.clone() };
    let (keys, refresh) = keys(&provider).clock(clock.clone()).build(fetch)?;
    tokio::spawn(refresh);
    let mut services = Vec::new();
    for alg in ALGORITHMS {
        services.push(served(verifier(&provider, &keys, alg)).await);
    }
    let issuer = Client::new(provider.issuer());
    let load = Arc::new(Load::default());
    *load.tokens.write().unwrap() = fresh(&issuer).await;
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (load, services) = (Arc::clone(&load), services.clone());
            tokio::spawn(async move { load.work(&services).await })
        })
        .collect();
    load.goes_on(BETWEEN).await;
    let mut former = Vec::new();
    for _ in 0..ROTATIONS {
        provider.step("announce");
        load.goes_on(BETWEEN).await;
        provider.step("sign");
        // Old and new ones, side by side.
        let new = fresh(&issuer).await;
        load.tokens.write().unwrap().extend_from_slice(&new);
        load.goes_on(BETWEEN).await;
        former = std::mem::replace(&mut *load.tokens.write().unwrap(), new);
        // Requests that are under way still.
        load.goes_on(WORKERS).await;
        provider.step("withdraw");
        load.goes_on(BETWEEN).await;
        // The next key may be fetched: a cooldown is over.
        clock.advance(Duration::from_secs(10));
    }
    load.over.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await?;
    }
    let (sent, refused) = (load.sent.load(Ordering::SeqCst), load.refused.load(Ordering::SeqCst));
    expect(refused == 0, format!("{refused} of {sent} good tokens were refused"))?;
    expect(sent > ROTATIONS * BETWEEN * 3, format!("only {sent} were sent"))?;
    withdrawn(&services, &former[0], &keys, &clock).await
}

/// Within the longest interval, what a withdrawn key has signed is refused.
async fn withdrawn(
    services: &[Client],
    (service, token): &(usize, String),
    keys: &RemoteKeys,
    clock: &ManualClock,
) -> Result<(), Failed> {
    clock.advance(Duration::from_secs(610));
    keys.refresh().await?;
    let answer = services[*service].get("/").bearer(token).send().await;
    expect(answer.status == StatusCode::UNAUTHORIZED, format!("{answer:?}"))
}
