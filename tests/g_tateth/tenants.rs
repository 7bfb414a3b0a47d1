//! Suspended tenants.

use serde_json::{Value, json};

use crate::api::{Api, CONVERSATIONS, DEMO, KEYS, ROUTES, data, refused};

#[tokio::test]
async fn a_suspended_tenant_is_locked_out_until_it_is_lifted() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (_, key) = api.key(&token).await;
    let suspended = data(&api.suspend(&token, true).await, 200);
    assert_eq!(suspended["suspended"], true);
    for credential in [&key, &token] {
        for (method, path, _, body) in ROUTES {
            let call = api.call(method, path).bearer(credential);
            let call = call.header("content-type", "application/json");
            refused(&call.body(body).send().await, 401, "TENANT_SUSPENDED");
        }
        refused(&api.get(KEYS).bearer(credential).send().await, 401, "TENANT_SUSPENDED");
        let nowhere = api.get("/api/v1/nowhere").bearer(credential).send().await;
        refused(&nowhere, 401, "TENANT_SUSPENDED");
    }
    let by_header = api.get(CONVERSATIONS).header("x-api-key", &key).send().await;
    refused(&by_header, 401, "TENANT_SUSPENDED");
    // A new token is no way around it.
    refused(&api.use_of(&api.token(DEMO).await).await, 401, "TENANT_SUSPENDED");
    let lifted = data(&api.suspend(&token, false).await, 200);
    assert_eq!(lifted["suspended"], false);
    for credential in [&key, &token] {
        data(&api.use_of(credential).await, 200);
    }
}

#[tokio::test]
async fn a_plan_survives_a_suspension() {
    let api = Api::start();
    let token = api.token("other@example.com").await;
    let (_, key) = api.key(&token).await;
    data(&api.suspend(&token, true).await, 200);
    data(&api.suspend(&token, false).await, 200);
    for credential in [&key, &token] {
        assert_eq!(api.use_of(credential).await.number("x-ratelimit-limit"), 5_000);
    }
}

#[tokio::test]
async fn the_way_back_in_counts_like_any_other() {
    let api = Api::start();
    support::room_in_window(3_600, 60).await;
    let token = api.token(DEMO).await;
    let left = |answer: &support::Answer| answer.number("x-ratelimit-remaining");
    assert_eq!(left(&api.use_of(&token).await), 499);
    assert_eq!(left(&api.suspend(&token, true).await), 498);
    assert_eq!(left(&api.suspend(&token, false).await), 497);
    assert_eq!(left(&api.use_of(&token).await), 496);
}

#[tokio::test]
async fn only_a_signed_in_user_suspends() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (_, key) = api.key(&token).await;
    refused(&api.suspend(&key, true).await, 403, "INSUFFICIENT_PERMISSIONS");
    refused(&api.suspend("rubbish", true).await, 401, "API_KEY_INVALID");
    let body = json!({ "suspended": true });
    let anonymous = api.post("/api/v1/admin/tenant").json(&body).send().await;
    refused(&anonymous, 401, "AUTH_REQUIRED");
    data(&api.use_of(&key).await, 200);
    let mut other = json!({ "suspended": true, "tenant": "tenant_other" });
    for (field, value) in [("tenant", json!(true)), ("suspended", Value::Null)] {
        other["suspended"] = value;
        let call = api.post("/api/v1/admin/tenant").bearer(&token).json(&other);
        let error = refused(&call.send().await, 400, "VALIDATION_ERROR");
        assert!(error.contains(field), "{error}");
    }
    data(&api.use_of(&key).await, 200);
}
