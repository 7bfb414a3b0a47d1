//! The program: how it starts and ends, what is public, what is not there.

use serde_json::json;
use support::Server;

use crate::api::{Api, CONVERSATIONS, DEMO, refused};

#[tokio::test]
async fn health_is_public() {
    let api = Api::start();
    for call in [
        api.get("/api/v1/health"),
        api.get("/api/v1/health").bearer("rubbish"),
        api.get("/api/v1/health").header("x-api-key", "rubbish").bearer("rubbish"),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({ "status": "ok" }));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
}

#[tokio::test]
async fn one_line_says_that_it_is_ready() {
    let api = Api::start();
    let ready = api.server.ready();
    assert_eq!(ready.lines().count(), 1, "{ready:?}");
    assert!(ready.contains(api.server.base()), "{ready:?}");
    assert!(!api.server.base().ends_with(":0"));
}

#[tokio::test]
async fn a_terminated_server_ends_with_success() {
    let api = Api::start();
    api.get("/api/v1/health").send().await;
    // The client keeps its connection open: that must not keep the server.
    assert!(api.server.stop());
}

#[test]
fn an_unknown_environment_is_no_environment() {
    for name in ["development", "Production", ""] {
        let said = Server::refusal("g_tateth", &[("APP_ENV", name)]);
        assert!(said.contains("APP_ENV") && said.contains(&format!("{name:?}")), "{said}");
    }
}

#[test]
fn a_weak_secret_is_no_secret() {
    for secret in ["", "short", "0123456789abcdef0123456789abcde", &"x".repeat(40)] {
        let said = Server::refusal("g_tateth", &[("JWT_SECRET", secret)]);
        assert!(said.to_lowercase().contains("jwt"), "{said}");
        assert!(secret.is_empty() || !said.contains(secret), "{said}");
    }
}

#[test]
fn an_address_that_is_none_is_named() {
    let said = Server::refusal("g_tateth", &[("LISTEN", "localhost")]);
    assert!(said.contains("localhost"), "{said}");
}

#[tokio::test]
async fn what_no_route_is_for_is_told_to_callers_only() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (_, key) = api.key(&token).await;
    for path in ["/", "/api/v1", "/api/v1/nowhere", "/api/v1/admin/nowhere", "/api/v2/health"] {
        refused(&api.get(path).send().await, 401, "AUTH_REQUIRED");
        refused(&api.get(path).bearer("rubbish").send().await, 401, "API_KEY_INVALID");
        for credential in [&token, &key] {
            refused(&api.get(path).bearer(credential).send().await, 404, "NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn a_method_that_is_not_there_is_not_allowed() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    for (method, path, allowed) in [
        ("DELETE", CONVERSATIONS, "GET,HEAD,POST"),
        ("POST", "/api/v1/analytics", "GET,HEAD"),
        ("PUT", "/api/v1/api-keys", "GET,HEAD,POST"),
        ("GET", "/api/v1/admin/tenant", "POST"),
    ] {
        let answer = api.call(method, path).bearer(&token).send().await;
        refused(&answer, 405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        refused(&api.call(method, path).send().await, 401, "AUTH_REQUIRED");
    }
    let login = api.get("/api/v1/auth/login").send().await;
    refused(&login, 405, "METHOD_NOT_ALLOWED");
    assert_eq!(login.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_path_that_can_be_read_in_two_ways_is_refused() {
    let api = Api::start();
    for path in
        ["/api/v1//conversations", "/api/v1/health/", "/api/v1/x/../health", "/api/v1/%68ealth"]
    {
        refused(&api.get(path).send().await, 400, "INVALID_PATH");
    }
}

#[tokio::test]
async fn a_head_has_no_body() {
    let api = Api::start();
    let (_, key) = api.key(&api.token(DEMO).await).await;
    let head = || api.call("HEAD", CONVERSATIONS);
    for (call, status) in [
        (head().bearer(&key), 200),
        (head(), 401),
        (head().bearer("rubbish"), 401),
        (api.call("HEAD", "/api/v1/nowhere").bearer(&key), 404),
        (api.call("HEAD", "/api/v1/health"), 200),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, status);
        assert!(answer.body.is_empty(), "{:?}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
}
