//! What outlives the process, in whichever database `DATABASE_URL` names.

use serde_json::{Value, json};

use crate::api::{Api, DEMO, KEYS, OTHER, data, refused, refused_as_invalid_key, text};

/// Both processes accept each other's tokens.
const SECRET: &str = "a secret of the tests, 32 bytes or more";

pub(crate) fn start(url: &str) -> Api {
    Api::with(&[("DATABASE_URL", url), ("JWT_SECRET", SECRET)])
}

/// Ends the process as a supervisor does, and starts it again.
fn again(api: Api, url: &str) -> Api {
    assert!(api.server.stop(), "SIGTERM ends it with success");
    start(url)
}

async fn shown(api: &Api, token: &str, id: &str) -> Value {
    data(&api.get(&format!("{KEYS}/{id}")).bearer(token).send().await, 200)
}

pub(crate) async fn keys_survive(url: &str) {
    let api = start(url);
    let token = api.token(DEMO).await;
    let more = json!({
        "name": "Schlüssel",
        "permissions": ["read:conversations"],
        "expiresAt": "2199-12-31T23:59:59Z",
        "rotationPolicy": { "enabled": true, "intervalDays": 90, "notifyDaysBefore": 7 },
        "rateLimit": { "requests": 10000, "window": "1h" },
        "ipWhitelist": ["127.0.0.0/8", "2001:db8::1"],
    });
    let (full, key) = api.key_with(&token, more).await;
    let (changed, changed_key) = api.key(&token).await;
    let (off, off_key) = api.key(&token).await;
    let (revoked, revoked_key) = api.key(&token).await;
    let (deleted, deleted_key) = api.key(&token).await;
    let changes = json!({ "name": "renamed", "permissions": ["read:customers"] });
    data(&api.patch(&token, &changed, changes).await, 200);
    data(&api.patch(&token, &off, json!({ "isActive": false })).await, 200);
    let revoke = api.post(&format!("{KEYS}/{revoked}/revoke")).bearer(&token);
    data(&revoke.send().await, 200);
    let delete = api.call("DELETE", &format!("{KEYS}/{deleted}")).bearer(&token);
    data(&delete.send().await, 200);
    let mut before = Vec::new();
    for id in [&full, &changed, &off, &revoked] {
        before.push(shown(&api, &token, id).await);
    }
    let api = again(api, url);
    let listed = data(&api.get(KEYS).bearer(&token).send().await, 200);
    assert_eq!(listed["keys"], json!(before));
    data(&api.use_of(&key).await, 200);
    assert_eq!(api.use_of(&key).await.number("x-ratelimit-limit"), 10_000);
    refused(&api.use_of(&changed_key).await, 403, "INSUFFICIENT_PERMISSIONS");
    refused(&api.use_of(&off_key).await, 401, "API_KEY_INACTIVE");
    refused_as_invalid_key(&api.use_of(&revoked_key).await);
    refused_as_invalid_key(&api.use_of(&deleted_key).await);
    // Switched on again, and counted on in the same order.
    data(&api.patch(&token, &off, json!({ "isActive": true })).await, 200);
    let (newest, _) = api.key(&token).await;
    let api = again(api, url);
    data(&api.use_of(&off_key).await, 200);
    let listed = data(&api.get(KEYS).bearer(&token).send().await, 200);
    assert_eq!(listed["total"], 5);
    assert_eq!(listed["keys"][4]["id"], newest);
}

/// Nothing asks for the usage before the stop: what was counted is written by the stop itself.
pub(crate) async fn usage_survives(url: &str) {
    // A test that a month's end interrupts would look for its uses in the wrong one.
    support::room_in_window(86_400, 60).await;
    let api = start(url);
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    let mut api = api;
    for total in [3, 6, 9] {
        for _ in 0..3 {
            data(&api.use_of(&key).await, 200);
        }
        api = again(api, url);
        let path = format!("{KEYS}/{id}/usage");
        let used = data(&api.get(&path).bearer(&token).send().await, 200);
        assert_eq!(used["totalRequests"], total);
        assert_eq!(used["requestsByEndpoint"], json!({ "GET /api/v1/conversations": total }));
        assert!(text(&used["lastUsedAt"]).starts_with("20"));
    }
}

pub(crate) async fn a_suspension_survives(url: &str) {
    let api = start(url);
    let (token, other) = (api.token(DEMO).await, api.token(OTHER).await);
    let ((_, key), (_, other_key)) = (api.key(&token).await, api.key(&other).await);
    data(&api.suspend(&token, true).await, 200);
    let api = again(api, url);
    for credential in [&key, &token, &api.token(DEMO).await] {
        refused(&api.use_of(credential).await, 401, "TENANT_SUSPENDED");
    }
    let answer = api.use_of(&other_key).await;
    assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-limit")), (200, 5_000));
    data(&api.suspend(&token, false).await, 200);
    let api = again(api, url);
    for credential in [&key, &token] {
        assert_eq!(api.use_of(credential).await.number("x-ratelimit-limit"), 500);
    }
}

/// What databases can't keep is refused as what is wrong with the request, not as an outage.
pub(crate) async fn what_can_not_be_kept_is_refused(url: &str) {
    let api = start(url);
    let token = api.token(DEMO).await;
    let rotation =
        |days: u32| json!({ "enabled": true, "intervalDays": days, "notifyDaysBefore": 1 });
    for (field, value) in [
        ("name", json!("a\0b")),
        ("expiresAt", json!("2262-04-12T00:00:00Z")),
        ("rotationPolicy", rotation(3651)),
        ("rotationPolicy", rotation(70_000)),
    ] {
        let mut body = json!({ "name": "a", "permissions": ["read:customers"] });
        body[field] = value;
        let answer = api.post(KEYS).bearer(&token).json(&body).send().await;
        let error = refused(&answer, 400, "VALIDATION_ERROR");
        assert!(error.contains(field), "{error}");
    }
    let odd = api.get(&format!("{KEYS}/a%00b")).bearer(&token).send().await;
    assert!([400, 404].contains(&odd.status.as_u16()), "{odd:?}");
    let kept = json!({ "name": "a", "permissions": ["read:customers"],
        "expiresAt": "2262-04-11T00:00:00Z", "rotationPolicy": rotation(3650) });
    let created = api.create(&token, &kept).await;
    let shown = shown(&api, &token, &text(&created["id"])).await;
    assert_eq!(shown["expiresAt"], "2262-04-11T00:00:00Z");
    assert_eq!(shown["rotationPolicy"], rotation(3650));
}
