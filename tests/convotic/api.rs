//! What a key opens, and the answers that are no matter of authentication.

use http::{Method, StatusCode};
use serde_json::json;

use crate::*;

#[tokio::test]
async fn a_key_opens_the_api() {
    let convotic = Convotic::production();
    let key = convotic.key().await;

    let info = convotic.client.get("/v1/info").header("X-API-Key", &key.text).send().await;
    assert_eq!(info.status, StatusCode::OK);
    assert_eq!(info.header("content-type"), Some("application/json"));
    let expected = json!({ "workspace": "demo", "key": key.id, "environment": "live" });
    assert_eq!(info.json(), expected);

    let contacts = convotic.contacts_with(&key.text).await;
    assert_eq!(contacts.status, StatusCode::OK);
    assert_eq!(contacts.header("content-type"), Some("application/json"));
    assert!(contacts.json()["contacts"].is_array());
}

#[tokio::test]
async fn no_shared_cache_keeps_what_one_key_saw() {
    let convotic = Convotic::production();
    let answer = convotic.contacts_with(convotic.key().await.text).await;
    assert_eq!(answer.header("cache-control"), Some("private"));
}

#[tokio::test]
async fn the_same_contract_holds_over_http2() {
    let convotic = Convotic::production();
    let key = convotic.key().await;
    let client = support::Client::http2(convotic.server.base());
    let answer = client.get("/v1/contacts").header("x-api-key", &key.text).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_counted(&answer);
    assert_refused(&client.get("/v1/contacts").send().await, 401, "missing_api_key");
}

#[tokio::test]
async fn no_key_reaches_billing_by_any_method() {
    let convotic = Convotic::production();
    let key = convotic.key().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for path in ["/v1/billing", "/v1/billing/invoices", "/v1/billing?page=1"] {
            let call = convotic.client.call(method.clone(), path);
            let answer = call.header("x-api-key", &key.text).send().await;
            assert_refused(&answer, 403, "insufficient_permissions");
            assert_counted(&answer);
        }
    }
}

#[tokio::test]
async fn billing_tells_strangers_no_more_than_other_paths() {
    let convotic = Convotic::production();
    for path in ["/v1/billing", "/v1/contacts", "/v1/nothing-here"] {
        assert_refused(&convotic.client.get(path).send().await, 401, "missing_api_key");
        let answer = convotic.client.get(path).header("x-api-key", "nonsense").send().await;
        assert_refused(&answer, 401, "invalid_api_key");
    }
}

#[tokio::test]
async fn no_spelling_of_billing_gets_past_its_rule() {
    let convotic = Convotic::production();
    let key = convotic.key().await;
    let spellings = [
        "//v1/billing",
        "/v1//billing",
        "/v1/./billing",
        "/v1/%62illing",
        "/v1/billing/",
        "/v1/billing;a",
    ];
    for path in spellings {
        let answer = convotic.client.get(path).header("x-api-key", &key.text).send().await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        let expected =
            if path.starts_with("//") { (404, "not_found") } else { (400, "invalid_path") };
        assert_refused(&answer, expected.0, expected.1);
    }
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let convotic = Convotic::production();
    let key = convotic.key().await;
    let answer =
        convotic.client.get("/v1/nothing-here").header("x-api-key", &key.text).send().await;
    assert_refused(&answer, 404, "not_found");
    assert_counted(&answer);
    for path in ["/nothing-here", "/v2/contacts", "/v1", "/dashboard"] {
        let answer = convotic.client.get(path).send().await;
        assert_refused(&answer, 404, "not_found");
        assert_uncounted(&answer);
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let key = convotic.create_key(&session, "methods").await;
    let cases = [
        (Method::POST, "/v1/contacts", "GET,HEAD"),
        (Method::DELETE, "/v1/info", "GET,HEAD"),
        (Method::PUT, "/dashboard/api-keys", "GET,HEAD,POST"),
        (Method::GET, "/dashboard/api-keys/key_1", "DELETE"),
        (Method::GET, "/auth/demo", "POST"),
    ];
    for (method, path, allowed) in cases {
        let call = convotic.client.call(method, path);
        let answer = call.header("x-api-key", &key.text).header("cookie", &session).send().await;
        assert_refused(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
    // Who may not enter is not told which methods there are.
    let answer = convotic.client.post("/v1/contacts").send().await;
    assert_refused(&answer, 401, "missing_api_key");
}

#[tokio::test]
async fn head_is_answered_like_get_without_its_body() {
    let convotic = Convotic::production();
    let key = convotic.key().await;
    let head = |path| convotic.client.call(Method::HEAD, path);

    let answer = head("/v1/contacts").header("x-api-key", &key.text).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.is_empty());
    assert_counted(&answer);

    let denied = head("/v1/billing").header("x-api-key", &key.text).send().await;
    let missing = head("/v1/contacts").send().await;
    for (answer, status, code) in
        [(denied, 403, "insufficient_permissions"), (missing, 401, "missing_api_key")]
    {
        assert_eq!(answer.status.as_u16(), status);
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let length = format!(r#"{{"error":"{code}"}}"#).len() as u64;
        assert_eq!(answer.number("content-length"), length);
    }
}

#[tokio::test]
async fn a_preflight_is_not_asked_for_a_credential_but_options_is() {
    let convotic = Convotic::production();
    for (path, code) in
        [("/v1/contacts", "missing_api_key"), ("/dashboard/api-keys", "missing_session")]
    {
        let options = || convotic.client.call(Method::OPTIONS, path);
        let origin = "https://shop.example";
        let preflight =
            options().header("origin", origin).header("access-control-request-method", "GET");
        let answer = preflight.header("access-control-request-headers", "x-api-key").send().await;
        // No other origin is let in, so no preflight succeeds.
        assert_refused(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_uncounted(&answer);

        assert_refused(&options().send().await, 401, code);
        assert_refused(&options().header("origin", origin).send().await, 401, code);
        let asking = options().header("access-control-request-method", "GET");
        assert_refused(&asking.send().await, 401, code);
    }
}
