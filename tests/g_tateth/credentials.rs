//! Where credentials travel, and which keys are good.

use serde_json::json;

use crate::api::{Api, CONVERSATIONS, DEMO, ROUTES, data, refused, refused_as_invalid_key};

#[tokio::test]
async fn without_a_credential_authentication_is_required() {
    let api = Api::start();
    for (method, path, _, body) in ROUTES {
        let answer = api.call(method, path).body(body).send().await;
        assert_eq!(refused(&answer, 401, "AUTH_REQUIRED"), "Authentication required");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"api\""));
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
    // A scheme that is not asked for is no credential.
    let answer = api.get(CONVERSATIONS).header("authorization", "Basic eDp5").send().await;
    refused(&answer, 401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn a_key_travels_in_either_header() {
    let api = Api::start();
    let (_, key) = api.key(&api.token(DEMO).await).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let line = format!("{scheme} {key}");
        let answer = api.get(CONVERSATIONS).header("authorization", line).send().await;
        assert_eq!(data(&answer, 200), json!([]));
    }
    let answer = api.get(CONVERSATIONS).header("x-api-key", &key).send().await;
    assert_eq!(data(&answer, 200), json!([]));
    // Not for shared caches, which see no `Authorization` in this request.
    assert_eq!(answer.header("cache-control"), Some("private"));
}

#[tokio::test]
async fn both_methods_open_the_same_routes() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (_, key) = api.key(&token).await;
    for credential in [&key, &token] {
        for (method, path, _, body) in ROUTES {
            let call = api.call(method, path).bearer(credential);
            let call = call.header("content-type", "application/json");
            let answer = call.body(body).send().await;
            data(&answer, if method == "GET" { 200 } else { 201 });
        }
    }
    let listed = data(&api.get("/api/v1/customers").bearer(&key).send().await, 200);
    assert_eq!(listed, json!([{ "id": 1, "name": "Ada" }, { "id": 2, "name": "Ada" }]));
}

#[tokio::test]
async fn a_token_is_no_key() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    refused_as_invalid_key(&api.get(CONVERSATIONS).header("x-api-key", token).send().await);
}

#[tokio::test]
async fn two_credentials_are_ambiguous() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (_, one) = api.key(&token).await;
    let (_, two) = api.key(&token).await;
    let get = || api.get(CONVERSATIONS);
    let calls = [
        get().bearer(&token).header("x-api-key", &one),
        get().bearer(&one).header("x-api-key", &two),
        get().bearer(&one).header("x-api-key", "rubbish"),
        get().bearer(&one).bearer(&two),
        get().bearer(&one).bearer(&one),
        get().bearer(&one).bearer(&token),
        get().header("x-api-key", &one).header("x-api-key", &two),
        get().header("x-api-key", &one).header("x-api-key", &one),
    ];
    for call in calls {
        refused(&call.send().await, 400, "AUTH_AMBIGUOUS");
    }
}

#[tokio::test]
async fn unknown_and_malformed_keys_are_answered_alike() {
    let api = Api::start();
    let (_, key) = api.key(&api.token(DEMO).await).await;
    // Well-formed and of the right brand, but of another installation: nobody here has it.
    let another = Api::start();
    let (_, elsewhere) = another.key(&another.token(DEMO).await).await;
    let last = if key.ends_with('0') { "1" } else { "0" };
    let bad = [
        "sk_live_your_api_key_here".to_owned(),
        "sk_live_".to_owned(),
        "rubbish".to_owned(),
        key.replace("sk_live_", "pk_live_"),
        key.replace("sk_live_", "cvtk_live_"),
        key.replace("sk_live_", "sk_test_"),
        key.to_uppercase(),
        format!("{}{last}", &key[..key.len() - 1]),
        key[..key.len() - 1].to_owned(),
        format!("{key}0"),
        elsewhere,
    ];
    for text in bad {
        refused_as_invalid_key(&api.use_of(&text).await);
        refused_as_invalid_key(&api.get(CONVERSATIONS).header("x-api-key", &text).send().await);
    }
    let empty = api.get(CONVERSATIONS).header("x-api-key", "").send().await;
    refused_as_invalid_key(&empty);
    let binary = api.get(CONVERSATIONS).header("x-api-key", b"sk_live_\xff").send().await;
    refused_as_invalid_key(&binary);
    refused_as_invalid_key(&api.use_of(&"x".repeat(20_000)).await);
}

#[tokio::test]
async fn test_keys_are_blocked_in_production() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (_, test) = api.key_with(&token, json!({ "environment": "staging" })).await;
    assert!(test.starts_with("sk_test_"));
    refused_as_invalid_key(&api.use_of(&test).await);
    let (_, live) = api.key_with(&token, json!({ "environment": "production" })).await;
    assert!(live.starts_with("sk_live_"));
    data(&api.use_of(&live).await, 200);
}

#[tokio::test]
async fn staging_takes_test_keys_only() {
    let api = Api::with(&[("APP_ENV", "staging")]);
    let token = api.token(DEMO).await;
    let (_, test) = api.key_with(&token, json!({ "environment": "staging" })).await;
    data(&api.use_of(&test).await, 200);
    let (_, live) = api.key(&token).await;
    refused_as_invalid_key(&api.use_of(&live).await);
    data(&api.use_of(&token).await, 200);
}

#[tokio::test]
async fn a_key_does_what_its_permissions_say_and_no_more() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    for (_, _, permission, _) in ROUTES {
        let (_, key) = api.key_with(&token, json!({ "permissions": [permission] })).await;
        for (method, path, needed, body) in ROUTES {
            let call = api.call(method, path).bearer(&key);
            let answer = call.header("content-type", "application/json").body(body).send().await;
            if needed == permission {
                assert!(answer.status.is_success(), "{permission}: {method} {path}");
                continue;
            }
            refused(&answer, 403, "INSUFFICIENT_PERMISSIONS");
            let challenge = answer.header("www-authenticate").expect("a challenge");
            assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
            assert!(challenge.contains(&format!("scope=\"{needed}\"")), "{challenge}");
        }
    }
}
