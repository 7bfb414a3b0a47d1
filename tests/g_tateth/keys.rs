//! Key management: creating, listing, reading, changing.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::api::{Api, DEMO, KEYS, OTHER, ROUTES, data, refused, text};

#[tokio::test]
async fn a_new_key_is_shown_once() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let body = json!({
        "name": "nightly export",
        "environment": "production",
        "permissions": ["read:customers", "read:conversations"],
        "expiresAt": "2199-12-31T23:59:59Z",
        "rotationPolicy": { "enabled": true, "intervalDays": 90, "notifyDaysBefore": 7 },
        "rateLimit": { "requests": 10000, "window": "1h" },
        "ipWhitelist": ["203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "2001:db8::1"],
    });
    let answer = api.post(KEYS).bearer(&token).json(&body).send().await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut created = data(&answer, 201);
    let key = text(&created["key"]);
    let prefix = text(&created["keyPrefix"]);
    assert!(prefix.starts_with("sk_live_") && prefix.len() < 16 && key.starts_with(&prefix));
    created.as_object_mut().expect("an object").remove("key");
    let expected = json!({
        "id": created["id"],
        "name": "nightly export",
        "keyPrefix": prefix,
        "environment": "production",
        "permissions": ["read:conversations", "read:customers"],
        "isActive": true,
        "isRevoked": false,
        "createdAt": created["createdAt"],
        "expiresAt": "2199-12-31T23:59:59Z",
        "rotationPolicy": { "enabled": true, "intervalDays": 90, "notifyDaysBefore": 7 },
        "rateLimit": { "requests": 10000, "window": "1h" },
        "ipWhitelist": ["203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "2001:db8::1"],
    });
    assert_eq!(created, expected);
    assert!(text(&created["createdAt"]).starts_with("20"));
    let path = format!("{KEYS}/{}", text(&created["id"]));
    let shown = api.get(&path).bearer(&token).send().await;
    assert_eq!(data(&shown, 200), expected);
    let listed = api.get(KEYS).bearer(&token).send().await;
    assert_eq!(data(&listed, 200)["keys"], json!([expected]));
    for answer in [shown, listed] {
        assert!(!String::from_utf8_lossy(&answer.body).contains(&key));
    }
}

#[tokio::test]
async fn what_is_left_out_has_a_default() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let body = json!({ "name": "plain", "permissions": ["read:analytics"] });
    let created = api.create(&token, &body).await;
    assert_eq!(created["environment"], "production");
    assert!(text(&created["key"]).starts_with("sk_live_"));
    assert_eq!(created["ipWhitelist"], json!([]));
    for absent in ["expiresAt", "rotationPolicy", "rateLimit"] {
        assert_eq!(created[absent], Value::Null);
    }
}

#[tokio::test]
async fn an_invalid_field_is_named() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let bad = [
        ("name", json!(null)),
        ("name", json!(7)),
        ("name", json!(" ")),
        ("name", json!("x".repeat(101))),
        ("environment", json!("development")),
        ("environment", json!(1)),
        ("permissions", json!(null)),
        ("permissions", json!([])),
        ("permissions", json!("read:customers")),
        ("permissions", json!(["read:customers", "delete:customers"])),
        ("permissions", json!(["read:*"])),
        ("permissions", json!(["two words"])),
        ("expiresAt", json!("tomorrow")),
        ("expiresAt", json!("2020-01-01T00:00:00Z")),
        ("expiresAt", json!("1969-01-01T00:00:00Z")),
        ("expiresAt", json!("2199-12-31T23:59:59")),
        ("expiresAt", json!(4_102_444_800_u64)),
        ("rotationPolicy", json!(true)),
        ("rotationPolicy", json!({ "enabled": true })),
        ("rotationPolicy", json!({ "enabled": true, "intervalDays": 7, "notifyDaysBefore": 7 })),
        ("rateLimit", json!(100)),
        ("rateLimit", json!({ "requests": 0, "window": "1h" })),
        ("rateLimit", json!({ "requests": -1, "window": "1h" })),
        ("rateLimit", json!({ "requests": 10, "window": "1w" })),
        ("rateLimit", json!({ "requests": 10, "window": "h" })),
        ("rateLimit", json!({ "requests": 10, "window": "0h" })),
        ("rateLimit", json!({ "requests": 10, "window": "+1h" })),
        ("rateLimit", json!({ "requests": 10, "window": "99999999999999999999s" })),
        ("rateLimit", json!({ "requests": 10, "window": "é" })),
        ("rateLimit", json!({ "requests": 10, "window": "1h", "burst": 2 })),
        ("ipWhitelist", json!("203.0.113.0/24")),
        ("ipWhitelist", json!(["203.0.113.0/33"])),
        ("ipWhitelist", json!(["localhost"])),
        ("expires_at", json!("2199-12-31T23:59:59Z")),
    ];
    for (field, value) in bad {
        let mut body = json!({ "name": "test", "permissions": ["read:customers"] });
        body[field] = value.clone();
        let answer = api.post(KEYS).bearer(&token).json(&body).send().await;
        let error = refused(&answer, 400, "VALIDATION_ERROR");
        assert!(error.contains(field), "{field} = {value}: {error}");
    }
    let listed = data(&api.get(KEYS).bearer(&token).send().await, 200);
    assert_eq!(listed["total"], 0);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    for body in ["", "{", "[]", "null", "\"name\"", "{\"name\": \"\u{0}"] {
        let call = api.post(KEYS).bearer(&token).header("content-type", "application/json");
        refused(&call.body(body).send().await, 400, "VALIDATION_ERROR");
    }
    let untyped = api.post(KEYS).bearer(&token).body("{}").send().await;
    refused(&untyped, 400, "VALIDATION_ERROR");
    let large = json!({ "name": "x".repeat(100_000) });
    let large = api.post(KEYS).bearer(&token).json(&large).send().await;
    refused(&large, 413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn each_window_has_its_unit() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    for (window, shown) in
        [("30s", "30s"), ("5m", "5m"), ("60m", "1h"), ("12h", "12h"), ("7d", "7d")]
    {
        let limit = json!({ "requests": 5, "window": window });
        let body = json!({ "name": "a", "permissions": ["read:analytics"], "rateLimit": limit });
        let created = api.create(&token, &body).await;
        assert_eq!(created["rateLimit"], json!({ "requests": 5, "window": shown }));
    }
}

#[tokio::test]
async fn keys_are_listed_in_pages() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let mut ids = Vec::new();
    for _ in 0..23 {
        ids.push(api.key(&token).await.0);
    }
    let list = async |query: &str| {
        let answer = api.get(&format!("{KEYS}{query}")).bearer(&token).send().await;
        let data = data(&answer, 200);
        let keys = data["keys"].as_array().expect("a list");
        let listed: Vec<_> = keys.iter().map(|key| text(&key["id"])).collect();
        let numbers = ["total", "page", "limit", "totalPages"].map(|name| data[name].as_u64());
        assert_eq!(data.as_object().map(serde_json::Map::len), Some(5));
        (listed, numbers.map(|number| number.expect("a number")))
    };
    assert_eq!(list("").await, (ids[..20].to_vec(), [23, 1, 20, 2]));
    assert_eq!(list("?page=2").await, (ids[20..].to_vec(), [23, 2, 20, 2]));
    assert_eq!(list("?page=3&limit=10").await, (ids[20..].to_vec(), [23, 3, 10, 3]));
    assert_eq!(list("?limit=23").await, (ids.clone(), [23, 1, 23, 1]));
    assert_eq!(list("?page=9").await, (vec![], [23, 9, 20, 2]));
    assert_eq!(list(&format!("?page={}", usize::MAX)).await.0, Vec::<String>::new());
    for (field, query) in [
        ("page", "?page=0"),
        ("page", "?page=-1"),
        ("limit", "?limit=0"),
        ("limit", "?limit=101"),
        ("limit", "?limit=ten"),
        ("isActive", "?isActive=yes"),
        ("environment", "?environment=live"),
    ] {
        let answer = api.get(&format!("{KEYS}{query}")).bearer(&token).send().await;
        let error = refused(&answer, 400, "VALIDATION_ERROR");
        assert!(error.contains(field), "{query}: {error}");
    }
}

#[tokio::test]
async fn keys_are_listed_by_environment_and_activity() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let empty = data(&api.get(KEYS).bearer(&token).send().await, 200);
    let nothing = json!({ "keys": [], "total": 0, "page": 1, "limit": 20, "totalPages": 0 });
    assert_eq!(empty, nothing);
    let (live, _) = api.key(&token).await;
    let (test, _) = api.key_with(&token, json!({ "environment": "staging" })).await;
    let (off, _) = api.key(&token).await;
    api.patch(&token, &off, json!({ "isActive": false })).await;
    for (query, expected) in [
        ("?environment=production", vec![&live, &off]),
        ("?environment=staging", vec![&test]),
        ("?isActive=true", vec![&live, &test]),
        ("?isActive=false", vec![&off]),
        ("?environment=production&isActive=true", vec![&live]),
        ("?environment=staging&isActive=false", vec![]),
    ] {
        let data = data(&api.get(&format!("{KEYS}{query}")).bearer(&token).send().await, 200);
        let ids: Vec<_> =
            data["keys"].as_array().expect("a list").iter().map(|k| &k["id"]).collect();
        assert_eq!(ids, expected, "{query}");
        assert_eq!(data["total"], expected.len());
    }
}

#[tokio::test]
async fn a_change_holds_from_the_next_request_on() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    let changes = json!({ "name": "renamed", "permissions": ["read:customers"] });
    let changed = data(&api.patch(&token, &id, changes).await, 200);
    assert_eq!(changed["name"], "renamed");
    assert_eq!(changed["permissions"], json!(["read:customers"]));
    assert_eq!(changed["isActive"], true);
    let shown = api.get(&format!("{KEYS}/{id}")).bearer(&token).send().await;
    assert_eq!(data(&shown, 200), changed);
    refused(&api.use_of(&key).await, 403, "INSUFFICIENT_PERMISSIONS");
    data(&api.get("/api/v1/customers").bearer(&key).send().await, 200);
    for (field, body) in [
        ("name", json!({ "name": "" })),
        ("permissions", json!({ "permissions": [] })),
        ("permissions", json!({ "permissions": ["admin"] })),
        ("isActive", json!({ "isActive": "yes" })),
        ("environment", json!({ "environment": "staging" })),
        ("key", json!({ "key": "sk_live_chosen" })),
    ] {
        let error = refused(&api.patch(&token, &id, body).await, 400, "VALIDATION_ERROR");
        assert!(error.contains(field), "{field}: {error}");
    }
    let shown = api.get(&format!("{KEYS}/{id}")).bearer(&token).send().await;
    assert_eq!(data(&shown, 200), changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_to_another() {
    let api = Arc::new(Api::start());
    // On a plan with room for so many requests.
    let token = api.token(OTHER).await;
    for round in 0..40 {
        let (id, _) = api.key(&token).await;
        let changes = [
            json!({ "name": format!("round {round}") }),
            json!({ "permissions": ["read:webhooks"] }),
            json!({ "isActive": false }),
        ];
        let mut patches = JoinSet::new();
        for change in changes.iter().cycle().take(24) {
            let (api, token, id, change) =
                (Arc::clone(&api), token.clone(), id.clone(), change.clone());
            patches.spawn(async move {
                // A busy machine may be longer about so many than a call waits for the database.
                for _ in 0..20 {
                    let answer = api.patch(&token, &id, change.clone()).await;
                    if answer.status != 503 {
                        return answer;
                    }
                }
                panic!("it stays unavailable");
            });
        }
        patches.join_all().await.iter().for_each(|answer| drop(data(answer, 200)));
        let shown = data(&api.get(&format!("{KEYS}/{id}")).bearer(&token).send().await, 200);
        for (name, value) in changes.iter().filter_map(Value::as_object).flatten() {
            assert_eq!(&shown[name], value);
        }
    }
}

#[tokio::test]
async fn a_key_manages_no_keys() {
    let api = Api::start();
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    let body = json!({ "name": "more", "permissions": ROUTES.map(|route| route.2) });
    for (method, path) in [
        ("GET", String::new()),
        ("POST", String::new()),
        ("GET", format!("/{id}")),
        ("PATCH", format!("/{id}")),
        ("DELETE", format!("/{id}")),
        ("POST", format!("/{id}/revoke")),
        ("GET", format!("/{id}/usage")),
    ] {
        let call = api.call(method, &format!("{KEYS}{path}")).json(&body);
        refused(&call.bearer(&key).send().await, 403, "INSUFFICIENT_PERMISSIONS");
        let call = api.call(method, &format!("{KEYS}{path}")).json(&body);
        refused(&call.send().await, 401, "AUTH_REQUIRED");
    }
    data(&api.use_of(&key).await, 200);
}
