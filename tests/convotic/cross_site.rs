//! Requests that a browser sends with the owner's cookie, on behalf of somebody else's page.

use http::StatusCode;

use crate::*;

/// What tells the sender's site: headers of a request.
type Headers<'a> = Vec<(&'a str, &'a str)>;

fn foreign() -> Vec<Headers<'static>> {
    vec![
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("origin", "http://127.0.0.1")],
        vec![("origin", "")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "")],
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        vec![("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ]
}

fn with(call: Call, headers: &Headers<'_>) -> Call {
    headers.iter().fold(call, |call, (name, value)| call.header(name, value))
}

#[tokio::test]
async fn another_site_neither_creates_nor_revokes_keys() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    let key = convotic.create_key(&session, "target").await;
    let path = format!("/dashboard/api-keys/{}", key.id);
    let named = json!({ "name": "planted" });
    for headers in foreign() {
        let calls = [
            convotic.client.post("/dashboard/api-keys").json(&named),
            convotic.client.call(Method::DELETE, &path),
            convotic.client.call(Method::PUT, "/dashboard/api-keys"),
        ];
        for call in calls {
            let answer = with(call, &headers).header("cookie", &session).send().await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
            assert_refused(&answer, 403, "cross_site_request");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    let keys = convotic.keys(&session).await;
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["status"], "active");
    assert_eq!(convotic.contacts_with(&key.text).await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_site_signs_nobody_in() {
    let convotic = Convotic::production();
    for headers in foreign() {
        let answer = with(convotic.client.post("/auth/demo"), &headers).send().await;
        assert_refused(&answer, 403, "cross_site_request");
        assert_eq!(answer.header("set-cookie"), None, "{headers:?}");
    }
}

#[tokio::test]
async fn the_own_pages_and_programs_do() {
    let convotic = Convotic::production();
    let base = convotic.server.base().to_owned();
    let own: [Headers<'_>; 4] = [
        vec![],
        vec![("origin", &base)],
        vec![("sec-fetch-site", "same-origin")],
        vec![("sec-fetch-site", "same-origin"), ("origin", &base)],
    ];
    for headers in own {
        let answer = with(convotic.client.post("/auth/demo"), &headers).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{headers:?}");
        let session = convotic.sign_in().await;
        let create = convotic.client.post("/dashboard/api-keys").header("cookie", &session);
        let answer = with(create.json(&json!({ "name": "own" })), &headers).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{headers:?}");
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let revoke = convotic.client.call(Method::DELETE, &format!("/dashboard/api-keys/{id}"));
        let answer = with(revoke.header("cookie", &session), &headers).send().await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{headers:?}");
    }
}

#[tokio::test]
async fn reading_needs_no_proof_since_other_sites_cannot_read_the_answer() {
    let convotic = Convotic::production();
    let session = convotic.sign_in().await;
    for headers in foreign() {
        let list = convotic.client.get("/dashboard/api-keys").header("cookie", &session);
        let answer = with(list, &headers).send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn keys_are_sent_by_programs_so_the_api_does_not_ask_for_the_site() {
    let convotic = Convotic::production();
    let key = convotic.key().await.text;
    for headers in foreign() {
        let answer = with(convotic.contacts(), &headers).header("x-api-key", &key).send().await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}
