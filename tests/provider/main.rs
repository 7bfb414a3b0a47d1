//! A real OpenID provider: the certified library `oidc-provider`, on loopback.
//!
//! It comes from npm; where it can't be had, or there is no Node.js or Chromium, the tests that need
//! them are shown as ignored, with the reason.
#![allow(clippy::unwrap_used)]

mod browser;
#[path = "../common/provider.rs"]
mod common;
mod rotation;
#[path = "../common/wire.rs"]
mod wire;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use keygate::AuthLayer;
use keygate::jwt::remote::{HttpClient, RemoteKeys, RemoteKeysBuilder};
use keygate::jwt::{JwtVerifier, Profile};
use keygate::{ManualClock, SystemClock};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use support::{Client, Node, OpenIdProvider, chromium, services_required};
use tower::{Layer, service_fn};
use wire::serve;

/// What it signs with.
const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"];
/// The audiences of its access tokens begin like this and end with their algorithm.
const API: &str = "https://api.example/";

fn main() {
    let arguments = Arguments::from_args();
    let node = Node::with_packages();
    let mut trials: Vec<_> = ALGORITHMS
        .into_iter()
        .map(|alg| {
            let name = format!("an access token signed with {alg} opens the gate of its audience");
            trial(&name, &node, move |provider| Box::pin(opens_its_gate(provider, alg)))
        })
        .collect();
    trials.push(trial("keys are found by discovery", &node, |p| Box::pin(are_found(p))));
    let rotated = "no good token is refused while keys rotate under load";
    trials.push(trial(rotated, &node, |provider| Box::pin(rotation::under_load(provider))));
    let signed_in = "a person signs in to convotic with a browser";
    let with_browser = node.and_then(|node| chromium().map(|_| node));
    trials.push(trial(signed_in, &with_browser, |p| Box::pin(browser::signs_in(p))));
    libtest_mimic::run(&arguments, trials).exit();
}

type Outcome = std::pin::Pin<Box<dyn Future<Output = Result<(), Failed>>>>;

fn trial(
    name: &str,
    node: &Result<Node, String>,
    test: impl FnOnce(OpenIdProvider) -> Outcome + Send + 'static,
) -> Trial {
    let (had, wanted) = (node.clone(), node.clone());
    let trial = Trial::test(name, move || {
        let provider = OpenIdProvider::start(&wanted?);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build()?.block_on(test(provider))
    });
    match had.err().filter(|_| !services_required()) {
        Some(why) => trial.with_kind(why).with_ignored_flag(true),
        None => trial,
    }
}

fn keys(provider: &OpenIdProvider) -> RemoteKeysBuilder {
    RemoteKeys::discover(provider.issuer()).danger_allow_http()
}

fn verifier(provider: &OpenIdProvider, keys: &RemoteKeys, alg: &str) -> JwtVerifier {
    let verifier = JwtVerifier::builder(provider.issuer(), format!("{API}{alg}"));
    verifier.profile(Profile::AccessToken).remote_keys(keys.clone()).build().unwrap()
}

/// A client of a service behind a gate.
async fn served(verifier: JwtVerifier) -> Client {
    let inner = service_fn(async |_: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("reached")))
    });
    Client::new(serve(AuthLayer::tokens_only(verifier).layer(inner)).await)
}

/// A new access token, by the client credentials grant.
async fn minted(provider: &Client, alg: &str) -> String {
    let resource = format!("{API}{alg}").replace(':', "%3A").replace('/', "%2F");
    let form = format!("grant_type=client_credentials&scope=read&resource={resource}");
    let basic = wire_basic("machine", "known%20to%20the%20tests");
    let call = provider.post("/token").header("authorization", basic);
    let call = call.header("content-type", "application/x-www-form-urlencoded");
    let answer = call.body(form).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let answer: Value = answer.json();
    answer["access_token"].as_str().unwrap().to_owned()
}

fn wire_basic(user: &str, password: &str) -> String {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}

async fn opens_its_gate(provider: OpenIdProvider, alg: &'static str) -> Result<(), Failed> {
    let (keys, refresh) = keys(&provider).build(HttpClient::new()?)?;
    tokio::spawn(refresh);
    let service = served(verifier(&provider, &keys, alg)).await;
    let issuer = Client::new(provider.issuer());
    let token = minted(&issuer, alg).await;
    let answer = service.get("/").bearer(&token).send().await;
    expect(answer.status == StatusCode::OK, format!("{answer:?}"))?;

    // One for another audience of the same issuer does not, nor one that is not quite the same.
    let other = ALGORITHMS.into_iter().find(|other| *other != alg).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    for refused in [minted(&issuer, other).await, format!("{signed}.AAAA")] {
        let answer = service.get("/").bearer(&refused).send().await;
        expect(answer.status == StatusCode::UNAUTHORIZED, format!("{answer:?}"))?;
    }
    Ok(())
}

async fn are_found(provider: OpenIdProvider) -> Result<(), Failed> {
    let (keys, _refresh) = keys(&provider).build(HttpClient::new()?)?;
    keys.refresh().await?;
    let stats = keys.stats();
    // Six are published, and the one for ES512 spoils no other.
    expect((stats.keys, stats.skipped) == (5, 1), format!("{stats:?}"))?;
    // The issuer's name is compared exactly.
    let alias = provider.issuer().replace("localhost", "127.0.0.1");
    let (keys, _refresh) =
        RemoteKeys::discover(alias).danger_allow_http().build(HttpClient::new()?)?;
    let error = keys.refresh().await.unwrap_err().to_string();
    expect(error.contains("issuer"), error)
}

fn expect(good: bool, otherwise: String) -> Result<(), Failed> {
    if good { Ok(()) } else { Err(otherwise.into()) }
}
