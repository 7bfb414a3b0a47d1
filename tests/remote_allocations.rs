//! Published keys at hand cost a request no allocation that fixed ones don't, and no wait.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/jwt.rs"]
mod issuer;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use issuer::*;
use keygate::jwt::remote::RemoteKeys;
use keygate::jwt::{Algorithm, Jwks, JwtVerifier, JwtVerifiers};
use keygate::{AuthLayer, Authenticator, ManualClock};
use serde_json::json;
use support::allocations;

#[global_allocator]
static COUNTING: support::Counting = support::Counting;

fn gate(verifier: impl Into<JwtVerifiers>) -> Authenticator {
    AuthLayer::tokens_only(verifier).clock(ManualClock::new(now())).into_authenticator()
}

fn jwks() -> Jwks {
    let x = encode(raw_public_key(Algorithm::EdDSA));
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": x }] });
    Jwks::parse(set.to_string(), &[Algorithm::EdDSA]).unwrap()
}

/// How often a request with this token allocates, from its head to its verdict.
fn allocated(gate: &Authenticator, kid: &str, passes: bool) -> u64 {
    let token = signed(
        Algorithm::EdDSA,
        &format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        &claims().to_string(),
    );
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
    let head = request.body(()).unwrap().into_parts().0;
    let judge = || {
        let judged = pin!(gate.authenticate(&head));
        match { judged }.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => assert_eq!(outcome.verdict.is_ok(), passes),
            Poll::Pending => panic!("nothing here waits"),
        }
    };
    judge();
    allocations(judge).1
}

#[test]
fn a_published_key_at_hand_costs_what_a_fixed_one_costs() {
    let fixed = JwtVerifier::builder(ISSUER, AUDIENCE).key(key(Algorithm::EdDSA).with_kid("1"));
    let published = JwtVerifier::builder(ISSUER, AUDIENCE).remote_keys(RemoteKeys::pushed(jwks()));
    let (fixed, published) = (fixed.build().unwrap(), published.build().unwrap());
    let at_least = allocated(&gate(fixed), "1", true);
    assert_eq!(allocated(&gate(published.clone()), "1", true), at_least);
    let other = JwtVerifier::builder("https://other.example", AUDIENCE).key(secret_key());
    let several = JwtVerifiers::new([published, other.build().unwrap()]).unwrap();
    // Only for a token that none of them has seen are the claims read to find the issuer.
    assert_eq!(allocated(&gate(several), "1", true), at_least);
}
