//! Tenants don't see each other.

use serde_json::json;

use crate::api::{Api, CONVERSATIONS, DEMO, KEYS, OTHER, data, refused};

#[tokio::test]
async fn another_tenants_keys_are_not_there() {
    let api = Api::start();
    let (demo, other) = (api.token(DEMO).await, api.token(OTHER).await);
    let (id, key) = api.key(&demo).await;
    let listed = data(&api.get(KEYS).bearer(&other).send().await, 200);
    assert_eq!((&listed["keys"], &listed["total"]), (&json!([]), &json!(0)));
    for id in [id.as_str(), "key_unknown", "%ff", "%20"] {
        for (method, path, body) in [
            ("GET", format!("{KEYS}/{id}"), None),
            ("PATCH", format!("{KEYS}/{id}"), Some(json!({ "isActive": false }))),
            ("DELETE", format!("{KEYS}/{id}"), None),
            ("POST", format!("{KEYS}/{id}/revoke"), None),
            ("GET", format!("{KEYS}/{id}/usage"), None),
        ] {
            let mut call = api.call(method, &path).bearer(&other);
            if let Some(body) = &body {
                call = call.json(body);
            }
            let error = refused(&call.send().await, 404, "NOT_FOUND");
            assert_eq!(error, "No such API key", "{method} {path}");
        }
    }
    data(&api.use_of(&key).await, 200);
}

#[tokio::test]
async fn another_tenants_data_are_not_there() {
    let api = Api::start();
    let (demo, other) = (api.token(DEMO).await, api.token(OTHER).await);
    let (_, key) = api.key(&demo).await;
    let body = json!({ "subject": "hello" });
    let posted = data(&api.post(CONVERSATIONS).bearer(&key).json(&body).send().await, 201);
    assert_eq!(posted, json!({ "id": 1, "subject": "hello" }));
    assert_eq!(data(&api.use_of(&demo).await, 200), json!([posted]));
    assert_eq!(data(&api.use_of(&other).await, 200), json!([]));
    let analytics = data(&api.get("/api/v1/analytics").bearer(&key).send().await, 200);
    assert_eq!(analytics[0], json!({ "metric": "conversations", "count": 1 }));
}

#[tokio::test]
async fn a_tenants_suspension_is_its_own() {
    let api = Api::start();
    let (demo, other) = (api.token(DEMO).await, api.token(OTHER).await);
    data(&api.suspend(&demo, true).await, 200);
    data(&api.use_of(&other).await, 200);
}
