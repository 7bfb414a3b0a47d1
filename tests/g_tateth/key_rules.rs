//! What ends a key or binds it: time, its switch, revocation, addresses.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, PATIENCE};

use crate::api::{Api, DEMO, KEYS, data, now, refused, refused_as_invalid_key, text};

fn iso(unix: Duration) -> String {
    let nanos = i128::try_from(unix.as_nanos()).expect("a time");
    jiff::Timestamp::from_nanosecond(nanos).expect("a time").to_string()
}

#[tokio::test]
async fn a_key_ends_at_its_time() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (id, key, end) = key_that_ends(&api, &token).await;
    let answer = until_refused(&api, &key).await;
    assert!(now() >= end);
    refused(&answer, 401, "API_KEY_EXPIRED");
    assert_eq!(answer.header("x-ratelimit-limit"), None);
    let shown = data(&api.get(&format!("{KEYS}/{id}")).bearer(&token).send().await, 200);
    assert_eq!(shown["isActive"], false);
    // A switch is no way past the time.
    data(&api.patch(&token, &id, json!({ "isActive": true })).await, 200);
    refused(&api.use_of(&key).await, 401, "API_KEY_EXPIRED");
}

/// A key that was good and ends soon: later where the machine takes longer to make and to use it.
async fn key_that_ends(api: &Api, token: &str) -> (String, String, Duration) {
    for millis in [1_200, 5_000, 20_000] {
        let end = now() + Duration::from_millis(millis);
        let body = json!({
            "name": "ends", "permissions": ["read:conversations"], "expiresAt": iso(end),
        });
        let made = api.post(KEYS).bearer(token).json(&body).send().await;
        if now() >= end {
            continue;
        }
        let made = data(&made, 201);
        let (id, key) = (text(&made["id"]), text(&made["key"]));
        let used = api.use_of(&key).await;
        if now() < end {
            data(&used, 200);
            return (id, key, end);
        }
    }
    panic!("no key lives long enough");
}

async fn until_refused(api: &Api, key: &str) -> Answer {
    let start = Instant::now();
    loop {
        let answer = api.use_of(key).await;
        if answer.status != 200 {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "the key does not end");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_key_can_be_switched_off_and_on() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    let off = data(&api.patch(&token, &id, json!({ "isActive": false })).await, 200);
    assert_eq!(off["isActive"], false);
    refused(&api.use_of(&key).await, 401, "API_KEY_INACTIVE");
    let on = data(&api.patch(&token, &id, json!({ "isActive": true })).await, 200);
    assert_eq!(on["isActive"], true);
    data(&api.use_of(&key).await, 200);
}

#[tokio::test]
async fn a_revoked_key_is_gone_for_good() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    data(&api.use_of(&key).await, 200);
    let revoke = || api.post(&format!("{KEYS}/{id}/revoke")).bearer(&token).send();
    let revoked = data(&revoke().await, 200);
    assert_eq!((&revoked["isActive"], &revoked["isRevoked"]), (&json!(false), &json!(true)));
    refused_as_invalid_key(&api.use_of(&key).await);
    for body in [json!({ "isActive": true }), json!({ "name": "again" })] {
        refused(&api.patch(&token, &id, body).await, 409, "CONFLICT");
    }
    refused_as_invalid_key(&api.use_of(&key).await);
    // It can be looked up still, and revoked once more.
    let shown = data(&api.get(&format!("{KEYS}/{id}")).bearer(&token).send().await, 200);
    assert_eq!(shown, revoked);
    data(&revoke().await, 200);
}

#[tokio::test]
async fn a_deleted_key_is_gone_with_its_record() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    let path = format!("{KEYS}/{id}");
    let deleted = data(&api.call("DELETE", &path).bearer(&token).send().await, 200);
    assert_eq!(deleted, json!({ "id": id }));
    refused_as_invalid_key(&api.use_of(&key).await);
    refused(&api.get(&path).bearer(&token).send().await, 404, "NOT_FOUND");
    refused(&api.call("DELETE", &path).bearer(&token).send().await, 404, "NOT_FOUND");
}

#[tokio::test]
async fn a_key_is_bound_to_its_addresses() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let good: [Value; 5] = [
        json!([]),
        json!(["127.0.0.0/8"]),
        json!(["127.0.0.1"]),
        json!(["::ffff:127.0.0.1"]),
        json!(["2001:db8::/32", "203.0.113.7", "127.0.0.1/32"]),
    ];
    for networks in good {
        let (_, key) = api.key_with(&token, json!({ "ipWhitelist": networks })).await;
        data(&api.use_of(&key).await, 200);
    }
    for networks in [json!(["203.0.113.0/24"]), json!(["127.0.0.2"]), json!(["2001:db8::/32"])] {
        let (_, key) = api.key_with(&token, json!({ "ipWhitelist": networks })).await;
        let answer = api.use_of(&key).await;
        refused(&answer, 403, "IP_NOT_ALLOWED");
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
}

#[tokio::test]
async fn nobody_chooses_their_address() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (_, key) = api.key_with(&token, json!({ "ipWhitelist": ["203.0.113.0/24"] })).await;
    for name in ["x-forwarded-for", "x-real-ip"] {
        let call = api.get("/api/v1/conversations").bearer(&key).header(name, "203.0.113.9");
        refused(&call.send().await, 403, "IP_NOT_ALLOWED");
    }
}
