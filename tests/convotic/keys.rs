//! Managing keys: create, list, revoke, and what each was used for.

use http::StatusCode;

use crate::*;

impl Convotic {
    async fn create_with(&self, session: &str, body: &Value) -> Answer {
        let call = self.client.post("/dashboard/api-keys").header("cookie", session);
        call.json(body).send().await
    }
}

#[tokio::test]
async fn a_new_key_is_shown_once() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let answer = convotic.create_with(&session, &json!({ "name": "production-backend" })).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_members(&answer.json(), &["id", "key"]);
    let key = answer.json()["key"].as_str().unwrap().to_owned();
    let body = key.strip_prefix("cvtk_live_").expect("the prefix of a live key");
    assert_eq!(body.len(), 38);
    assert!(body.bytes().all(|byte| byte.is_ascii_alphanumeric()));

    let list = convotic.client.get("/dashboard/api-keys").header("cookie", &session).send().await;
    let text = String::from_utf8_lossy(&list.body).into_owned();
    assert!(!text.contains(&key[..key.len() / 2]), "{text}");
}

#[tokio::test]
async fn the_list_tells_of_a_key_all_but_the_key() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let before = now();
    let key = convotic.create_key(&session, "  production-backend ").await;
    let after = now();
    convotic.create_key(&session, "second").await;

    let keys = convotic.keys(&session).await;
    assert_eq!(keys.len(), 2);
    let first = &keys[0];
    assert_members(first, &["id", "name", "prefix", "createdAt", "status", "usage"]);
    assert_members(&first["usage"], &["total", "byEndpoint", "lastUsed"]);
    assert_eq!(first["id"], key.id);
    assert_eq!(first["name"], "production-backend");
    assert_eq!(first["prefix"], key.text[..14]);
    assert_eq!(first["status"], "active");
    assert_eq!(first["usage"], json!({ "total": 0, "byEndpoint": {}, "lastUsed": null }));
    let created: jiff::Timestamp = first["createdAt"].as_str().unwrap().parse().unwrap();
    assert!((before..=after).contains(&(created.as_second() as u64)));
    assert_eq!(keys[1]["name"], "second");
    assert_ne!(keys[0]["id"], keys[1]["id"]);
}

#[tokio::test]
async fn a_name_has_one_to_a_hundred_characters() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    for name in ["x".to_owned(), "é".repeat(100), "two words".to_owned()] {
        let answer = convotic.create_with(&session, &json!({ "name": name })).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{name}");
    }
    let made = convotic.keys(&session).await.len();
    let wrong = [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": " \t" }),
        json!({ "name": "x".repeat(101) }),
        json!({ "name": "a\nb" }),
        json!({ "name": 1 }),
        json!({ "name": null }),
        json!({ "name": ["x"] }),
        json!([]),
        json!("name"),
        json!({ "name": "x", "padding": "x".repeat(20_000) }),
    ];
    for body in wrong {
        let answer = convotic.create_with(&session, &body).await;
        assert_refused(&answer, 400, "invalid_request");
    }
    assert_eq!(convotic.keys(&session).await.len(), made);
}

#[tokio::test]
async fn only_json_creates_a_key() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let create = || convotic.client.post("/dashboard/api-keys").header("cookie", &session);
    let named = r#"{"name":"x"}"#;
    let wrong = [
        create(),
        create().body(named),
        // What a form of any page can send.
        create().header("content-type", "text/plain").body(named),
        create().header("content-type", "application/x-www-form-urlencoded").body("name=x"),
        create().header("content-type", "application/json").body(r#"{"name":"x""#),
        create().header("content-type", "application/json").body(&b"{\"name\":\"\xff\"}"[..]),
        create().header("content-type", "application/json").body(r#"{"name":"x"} {}"#),
    ];
    for call in wrong {
        assert_refused(&call.send().await, 400, "invalid_request");
    }
    assert!(convotic.keys(&session).await.is_empty());
}

#[tokio::test]
async fn revoking_is_final_and_may_be_repeated() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let key = convotic.create_key(&session, "short-lived").await;
    for _ in 0..2 {
        let answer = convotic.revoke(&session, &key.id).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(answer.body.is_empty());
        assert_refused(&convotic.contacts_with(&key.text).await, 401, "invalid_api_key");
        assert_eq!(convotic.keys(&session).await[0]["status"], "revoked");
    }
    for unknown in ["key_0", "%ff", "x".repeat(5000).as_str()] {
        assert_refused(&convotic.revoke(&session, unknown).await, 404, "not_found");
    }
}

#[tokio::test]
async fn a_workspace_never_sees_the_keys_of_another() {
    let convotic = Convotic::production();
    let mine = convotic.sign_in().await;
    let theirs = convotic.session_in("their-workspace").await;
    let key = convotic.create_key(&mine, "mine").await;
    assert!(convotic.keys(&theirs).await.is_empty());
    assert_refused(&convotic.revoke(&theirs, &key.id).await, 404, "not_found");
    assert_eq!(convotic.contacts_with(&key.text).await.status, StatusCode::OK);

    let other = convotic.create_key(&theirs, "theirs").await;
    let info = convotic.client.get("/v1/info").header("x-api-key", &other.text).send().await;
    assert_eq!(info.json()["workspace"], "their-workspace");
    assert_eq!(convotic.keys(&mine).await.len(), 1);
}

#[tokio::test]
async fn use_is_counted_by_key_and_endpoint() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let busy = convotic.create_key(&session, "busy").await;
    convotic.create_key(&session, "idle").await;
    let call = |method, path| convotic.client.call(method, path).header("x-api-key", &busy.text);
    let before = now();
    for path in ["/v1/contacts", "/v1/contacts?page=2", "/v1/info"] {
        assert_eq!(call(Method::GET, path).send().await.status, StatusCode::OK);
    }
    // What reached no endpoint is no use of one.
    for path in ["/v1/billing", "/v1/nothing-here"] {
        assert!(call(Method::GET, path).send().await.status.is_client_error());
    }
    assert_eq!(call(Method::POST, "/v1/info").send().await.status, StatusCode::METHOD_NOT_ALLOWED);
    let after = now();

    let keys = convotic.keys(&session).await;
    // The month may end between a use and the list; the last use is told all the same.
    let usage = &keys[0]["usage"];
    let last: jiff::Timestamp = usage["lastUsed"].as_str().expect("a time").parse().unwrap();
    assert!((before..=after).contains(&(last.as_second() as u64)));
    let counted = json!({ "GET /v1/contacts": 2, "GET /v1/info": 1 });
    let month_ended =
        last.strftime("%Y-%m").to_string() != jiff::Timestamp::now().strftime("%Y-%m").to_string();
    if !month_ended {
        assert_eq!((&usage["total"], &usage["byEndpoint"]), (&json!(3), &counted));
    }
    assert_eq!(keys[1]["usage"], json!({ "total": 0, "byEndpoint": {}, "lastUsed": null }));

    convotic.revoke(&session, &busy.id).await;
    assert_eq!(&convotic.keys(&session).await[0]["usage"], usage);
}
