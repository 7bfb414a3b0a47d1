//! Protected-resource metadata (RFC 9728), and the challenge that leads to it, over real sockets.
#![cfg(all(feature = "axum", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::get;
use common::{claims, serve, token, verifier};
use keygate::metadata::ProtectedResource;
use keygate::{AuthLayer, Policy, Principal, Require, Source};
use serde_json::{Value, json};
use support::Client;

fn resource() -> ProtectedResource {
    ProtectedResource::new("https://api.example.com")
        .unwrap()
        .authorization_server("https://id.example.com")
        .unwrap()
        .scopes(["read:orders", "write:orders"])
        .unwrap()
}

async fn client(resource: &ProtectedResource) -> Client {
    let gate = AuthLayer::tokens_only(verifier()).clock(common::clock());
    let gate = gate.protected_resource(resource).realm("orders").unwrap();
    let app = Router::new()
        .route("/", get(|caller: Principal| async move { caller.subject().to_owned() }))
        .route_layer(Require::new(Policy::all_of(["delete:orders"]).unwrap()))
        .layer(gate)
        .route_service(resource.path(), resource.service());
    Client::new(serve(app).await)
}

#[tokio::test]
async fn a_client_finds_whom_to_ask_for_a_token_from_its_first_refusal_on() {
    let resource = resource();
    let client = client(&resource).await;
    let refused = client.get("/").send().await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let challenge = refused.header("www-authenticate").unwrap().to_owned();
    assert_eq!(
        challenge,
        "Bearer realm=\"orders\", \
         resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\""
    );
    let url = challenge.rsplit('"').nth(1).unwrap();
    let found = client.get(url.strip_prefix("https://api.example.com").unwrap()).send().await;
    assert_eq!(found.status, StatusCode::OK);
    assert_eq!(found.header("content-type"), Some("application/json"));
    assert_eq!(found.header("cache-control"), Some("public, max-age=3600"));
    let expected = json!({
        "resource": "https://api.example.com",
        "authorization_servers": ["https://id.example.com"],
        "scopes_supported": ["read:orders", "write:orders"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(found.json(), expected);
}

#[tokio::test]
async fn every_refusal_of_a_token_leads_there_and_names_the_scopes_that_are_missing() {
    let client = client(&resource()).await;
    let leads =
        "resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\"";
    let bad = client.get("/").bearer("a.b.c").send().await;
    let challenge = bad.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"invalid_token\"") && challenge.contains(leads));
    let poor = client.get("/").bearer(&token(&claims())).send().await;
    assert_eq!(poor.status, StatusCode::FORBIDDEN, "{:?}", poor.body);
    let challenge = poor.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains(leads));
    assert!(challenge.ends_with(", scope=\"delete:orders\""), "{challenge}");
    // RFC 6750 section 3: no parameter twice.
    for name in ["realm", "error", "scope", "resource_metadata"] {
        assert_eq!(challenge.matches(&format!("{name}=")).count(), 1, "{name}");
    }
}

#[test]
fn the_well_known_path_stands_between_host_and_path() {
    for (resource, path) in [
        ("https://api.example.com", "/.well-known/oauth-protected-resource"),
        ("https://api.example.com/", "/.well-known/oauth-protected-resource"),
        ("https://api.example.com/v1", "/.well-known/oauth-protected-resource/v1"),
        ("https://api.example.com:8443/a/b", "/.well-known/oauth-protected-resource/a/b"),
    ] {
        let found = ProtectedResource::new(resource).unwrap();
        assert_eq!(found.path(), path, "{resource}");
        let host = resource.split('/').nth(2).unwrap();
        assert_eq!(found.metadata_url(), format!("https://{host}{path}"));
    }
}

#[tokio::test]
async fn the_identifier_stands_in_the_metadata_as_it_was_given() {
    for identifier in
        ["https://api.example.com", "https://api.example.com/", "https://API.example.com/V1"]
    {
        let resource = ProtectedResource::new(identifier).unwrap();
        let found = client(&resource).await.get(resource.path()).send().await.json();
        let expected = json!({ "resource": identifier, "bearer_methods_supported": ["header"] });
        assert_eq!(found, expected, "what is empty is left out");
    }
}

#[tokio::test]
async fn what_else_is_said_is_said_in_the_registered_members() {
    let resource = resource()
        .named("Orders")
        .documentation("https://docs.example.com/orders")
        .unwrap()
        .jwks_uri("https://api.example.com/keys")
        .unwrap();
    let found: Value = client(&resource).await.get(resource.path()).send().await.json();
    assert_eq!(found["resource_name"], "Orders");
    assert_eq!(found["resource_documentation"], "https://docs.example.com/orders");
    assert_eq!(found["jwks_uri"], "https://api.example.com/keys");
}

#[tokio::test]
async fn metadata_is_read_and_not_written() {
    let resource = resource();
    let client = client(&resource).await;
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = client.call(method, resource.path()).send().await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    let first = client.get(resource.path()).send().await;
    let etag = first.header("etag").unwrap();
    let again = client.get(resource.path()).header("if-none-match", etag).send().await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let head = client.call(Method::HEAD, resource.path()).send().await;
    assert_eq!(head.number("content-length"), first.body.len() as u64);
}

#[test]
fn what_is_no_https_url_is_refused_with_its_value() {
    for bad in [
        "",
        "api",
        "http://api.example.com",
        "https://",
        "https://user@api.example.com",
        "https://api.example.com#part",
        "https://api.example.com/\"x",
        "https://api.example.com/ x",
        "https://api.example.com/\r\nx: y",
        "https://api.example.com?x=y",
        "ftp://api.example.com",
    ] {
        let error = ProtectedResource::new(bad).unwrap_err().to_string();
        assert!(error.contains(&format!("{bad:?}")), "{error}");
    }
    assert!(resource().authorization_server("http://id.example.com").is_err());
    assert!(resource().scopes(["two words"]).is_err());
    assert!(resource().jwks_uri("http://api.example.com/keys").is_err());
    assert!(resource().documentation("nowhere").is_err());
}

#[tokio::test]
async fn schemes_that_are_not_bearer_have_no_metadata() {
    let gate = AuthLayer::new(keygate::store::MemoryStore::new())
        .protected_resource(&resource())
        .sources([Source::bearer(), Source::basic()])
        .unwrap();
    let app = Router::new().route("/", get(|| async { "in" })).layer(gate);
    let answer = Client::new(serve(app).await).get("/").send().await;
    let lines: Vec<_> = answer
        .headers
        .get_all("www-authenticate")
        .iter()
        .map(|line| line.to_str().unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("Bearer ") && lines[0].contains("resource_metadata"));
    assert_eq!(lines[1], "Basic realm=\"api\"");
}
