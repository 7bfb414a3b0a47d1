//! Limits: by plan, by key, and for those who fail.

use serde_json::json;
use support::{Answer, room_in_window};

use crate::api::{Api, CONVERSATIONS, DEMO, OTHER, data, now, refused, text};

const HOUR: u64 = 3_600;

fn standing(answer: &Answer) -> (u64, u64) {
    let reset = answer.number("x-ratelimit-reset");
    let now = now().as_secs();
    assert!(reset > now && reset <= now + HOUR, "reset {reset}, now {now}");
    assert_eq!(reset % HOUR, 0);
    (answer.number("x-ratelimit-limit"), answer.number("x-ratelimit-remaining"))
}

#[tokio::test]
async fn a_key_has_its_tenants_plan_for_itself() {
    let api = Api::start();
    room_in_window(HOUR, 60).await;
    for (email, limit) in [(DEMO, 500), (OTHER, 5_000), ("large@example.com", 50_000)] {
        let token = api.token(email).await;
        let (_, one) = api.key(&token).await;
        let (_, two) = api.key(&token).await;
        assert_eq!(standing(&api.use_of(&one).await), (limit, limit - 1));
        assert_eq!(standing(&api.use_of(&one).await), (limit, limit - 2));
        assert_eq!(standing(&api.use_of(&two).await), (limit, limit - 1));
    }
}

#[tokio::test]
async fn a_token_has_its_tenants_plan_too() {
    let api = Api::start();
    room_in_window(HOUR, 60).await;
    for (email, limit) in [(DEMO, 500), (OTHER, 5_000), ("large@example.com", 50_000)] {
        let token = api.token(email).await;
        assert_eq!(standing(&api.use_of(&token).await), (limit, limit - 1));
        // Another token of the same user is no new quota.
        assert_eq!(standing(&api.use_of(&api.token(email).await).await), (limit, limit - 2));
        let (_, key) = api.key(&token).await;
        assert_eq!(standing(&api.use_of(&key).await), (limit, limit - 1));
    }
}

#[tokio::test]
async fn every_authenticated_answer_tells_the_standing() {
    let api = Api::start();
    room_in_window(HOUR, 60).await;
    let token = api.token(DEMO).await;
    let reads = json!({ "permissions": ["read:conversations"] });
    let (_, key) = api.key_with(&token, reads).await;
    let calls = [
        (api.get(CONVERSATIONS), 200),
        (api.get("/api/v1/customers"), 403),
        (api.get("/api/v1/api-keys"), 403),
        (api.post("/api/v1/admin/tenant"), 403),
        (api.get("/api/v1/nowhere"), 404),
        (api.call("DELETE", CONVERSATIONS), 405),
        (api.call("HEAD", CONVERSATIONS), 200),
    ];
    for ((call, status), left) in calls.into_iter().zip((0..500).rev()) {
        let answer = call.bearer(&key).send().await;
        assert_eq!(answer.status, status);
        assert_eq!(standing(&answer), (500, left));
    }
    let invalid = api.post("/api/v1/api-keys").bearer(&token).json(&json!({})).send().await;
    refused(&invalid, 400, "VALIDATION_ERROR");
    assert_eq!(standing(&invalid).0, 500);
}

#[tokio::test]
async fn a_keys_own_limit_comes_before_the_plan() {
    let api = Api::start();
    room_in_window(HOUR, 60).await;
    let token = api.token(DEMO).await;
    let limit = json!({ "requests": 3, "window": "1h" });
    let (_, key) = api.key_with(&token, json!({ "rateLimit": limit })).await;
    for left in [2, 1, 0] {
        assert_eq!(standing(&api.use_of(&key).await), (3, left));
    }
    for _ in 0..2 {
        let before = now().as_secs();
        let answer = api.use_of(&key).await;
        assert_eq!(refused(&answer, 429, "RATE_LIMIT_EXCEEDED"), "Rate limit exceeded");
        assert_eq!(standing(&answer), (3, 0));
        let (wait, reset) = (answer.number("retry-after"), answer.number("x-ratelimit-reset"));
        let waits = reset - now().as_secs()..=reset - before;
        assert!(waits.contains(&wait), "{wait} is not in {waits:?}");
    }
    // The others have theirs still.
    let (_, another) = api.key(&token).await;
    data(&api.use_of(&another).await, 200);
    data(&api.use_of(&token).await, 200);
}

#[tokio::test]
async fn a_keys_own_limit_may_be_above_the_plan() {
    let api = Api::start();
    room_in_window(HOUR, 60).await;
    let token = api.token(DEMO).await;
    let limit = json!({ "requests": 10000, "window": "1h" });
    let (_, key) = api.key_with(&token, json!({ "rateLimit": limit })).await;
    assert_eq!(standing(&api.use_of(&key).await), (10_000, 9_999));
}

#[tokio::test]
async fn the_plan_ends_after_its_last_request() {
    let api = Api::start();
    room_in_window(HOUR, 60).await;
    let (_, key) = api.key(&api.token(DEMO).await).await;
    for left in (0..500).rev() {
        assert_eq!(standing(&api.use_of(&key).await), (500, left));
    }
    refused(&api.use_of(&key).await, 429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn refused_credentials_take_from_nobodys_quota() {
    let api = Api::start();
    room_in_window(HOUR, 60).await;
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    api.patch(&token, &id, json!({ "isActive": false })).await;
    for _ in 0..5 {
        let answer = api.use_of(&key).await;
        refused(&answer, 401, "API_KEY_INACTIVE");
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
    api.patch(&token, &id, json!({ "isActive": true })).await;
    assert_eq!(standing(&api.use_of(&key).await), (500, 499));
}

#[tokio::test]
async fn an_address_fails_600_times_a_minute() {
    for attempt in 0..3 {
        let api = Api::start();
        let (_, key) = api.key(&api.token(DEMO).await).await;
        // A minute that ends in between is tried again, from its beginning.
        room_in_window(60, if attempt == 0 { 25 } else { 60 }).await;
        let minute = now().as_secs() / 60;
        let mut answers = Vec::new();
        for _ in 0..600 {
            answers.push(api.use_of("sk_live_guess").await);
        }
        let over = [api.use_of("sk_live_guess").await, api.use_of("not.a.jwt").await];
        // Who has a good credential is let in still, and who shows none is told to.
        let good = api.use_of(&key).await;
        let none = api.get(CONVERSATIONS).send().await;
        if now().as_secs() / 60 != minute {
            continue;
        }
        assert!(answers.iter().all(|answer| answer.status == 401));
        for answer in over {
            refused(&answer, 429, "RATE_LIMIT_EXCEEDED");
            assert!(answer.number("retry-after") <= 60);
            assert_eq!(answer.header("x-ratelimit-limit"), None);
        }
        data(&good, 200);
        refused(&none, 401, "AUTH_REQUIRED");
        return assert_eq!(text(&api.get("/api/v1/health").send().await.json()["status"]), "ok");
    }
    panic!("600 requests never fit into a minute");
}
