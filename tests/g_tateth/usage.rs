//! What keys were used for.

use serde_json::{Value, json};

use crate::api::{Api, CONVERSATIONS, DEMO, KEYS, data, now, refused};

/// The month now, as the page writes it.
fn month() -> String {
    let nanos = i128::try_from(now().as_nanos()).expect("a time");
    let time = jiff::Timestamp::from_nanosecond(nanos).expect("a time");
    time.to_string()[..7].to_owned()
}

async fn usage(api: &Api, token: &str, id: &str, query: &str) -> Value {
    let path = format!("{KEYS}/{id}/usage{query}");
    data(&api.get(&path).bearer(token).send().await, 200)
}

#[tokio::test]
async fn uses_are_counted_by_month_and_endpoint() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (id, key) = api.key_with(&token, json!({ "permissions": ["read:conversations"] })).await;
    let (unused, _) = api.key(&token).await;
    // A test that a month's end interrupts would look for its uses in the wrong one.
    support::room_in_window(86_400, 60).await;
    for _ in 0..3 {
        data(&api.use_of(&key).await, 200);
    }
    let refusal = api.post("/api/v1/customers").bearer(&key).send().await;
    refused(&refusal, 403, "INSUFFICIENT_PERMISSIONS");
    let used = usage(&api, &token, &id, "").await;
    assert_eq!(used["month"], month());
    assert_eq!(used["totalRequests"], 4);
    let endpoints = json!({ "GET /api/v1/conversations": 3, "POST /api/v1/customers": 1 });
    assert_eq!(used["requestsByEndpoint"], endpoints);
    assert!(used["lastUsedAt"].as_str().is_some_and(|time| time.starts_with(&month())));
    assert_eq!(usage(&api, &token, &id, &format!("?month={}", month())).await, used);
    let before = usage(&api, &token, &id, "?month=2001-02").await;
    assert_eq!((&before["month"], &before["totalRequests"]), (&json!("2001-02"), &json!(0)));
    assert_eq!(before["requestsByEndpoint"], json!({}));
    let none = usage(&api, &token, &unused, "").await;
    assert_eq!((&none["totalRequests"], &none["lastUsedAt"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn what_is_not_let_in_is_not_counted() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let limit = json!({ "requests": 5, "window": "1d" });
    let (id, key) = api.key_with(&token, json!({ "rateLimit": limit })).await;
    support::room_in_window(86_400, 60).await;
    api.patch(&token, &id, json!({ "isActive": false })).await;
    refused(&api.use_of(&key).await, 401, "API_KEY_INACTIVE");
    api.patch(&token, &id, json!({ "isActive": true })).await;
    let ambiguous = api.get(CONVERSATIONS).bearer(&key).header("x-api-key", &key).send().await;
    refused(&ambiguous, 400, "AUTH_AMBIGUOUS");
    for (method, path) in [("DELETE", CONVERSATIONS), ("CHOSEN", CONVERSATIONS), ("GET", "/x")] {
        let answer = api.call(method, path).bearer(&key).send().await;
        assert!([404, 405].contains(&answer.status.as_u16()));
    }
    for status in [200, 200, 429] {
        assert_eq!(api.use_of(&key).await.status, status);
    }
    assert_eq!(usage(&api, &token, &id, "").await["totalRequests"], 2);
}

#[tokio::test]
async fn a_month_is_year_and_month() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (id, _) = api.key(&token).await;
    for month in ["2026", "2026-13", "2026-1", "26-01", "2026-01-01", "now", ""] {
        let path = format!("{KEYS}/{id}/usage?month={month}");
        let answer = api.get(&path).bearer(&token).send().await;
        let error = refused(&answer, 400, "VALIDATION_ERROR");
        assert!(error.contains("month"), "{month}: {error}");
    }
}
