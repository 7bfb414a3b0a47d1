//! Sign-in: a password for a JWT.

use serde_json::{Value, json};

use crate::api::{Api, DEMO, OTHER, data, refused};
use crate::tokens::parts;

const LOGIN: &str = "/api/v1/auth/login";

#[tokio::test]
async fn a_password_yields_a_token() {
    let api = Api::start();
    for email in [DEMO, OTHER] {
        let answer = api.login(email, "demo-password").await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-ratelimit-limit"), None);
        let data = data(&answer, 200);
        let token = data["token"].as_str().expect("a token");
        assert_eq!(data, json!({ "token": token }));
        let (header, claims) = parts(token);
        assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
        let lifetime = claims["exp"].as_u64().zip(claims["iat"].as_u64());
        assert_eq!(lifetime.map(|(exp, iat)| exp - iat), Some(3_600));
        self::data_of(&api, token).await;
    }
}

async fn data_of(api: &Api, token: &str) {
    assert_eq!(data(&api.use_of(token).await, 200), json!([]));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let api = Api::start();
    let logins = [
        (DEMO, "wrong"),
        (DEMO, ""),
        (DEMO, "demo-password "),
        ("nobody@example.com", "demo-password"),
        ("", ""),
    ];
    for (email, password) in logins {
        let answer = api.login(email, password).await;
        assert_eq!(refused(&answer, 401, "AUTH_INVALID"), "Invalid email or password");
    }
}

#[tokio::test]
async fn a_malformed_sign_in_is_refused() {
    let api = Api::start();
    for body in ["", "{", "[]", r#""demo@example.com""#] {
        let call = api.post(LOGIN).header("content-type", "application/json").body(body);
        refused(&call.send().await, 400, "VALIDATION_ERROR");
    }
    for (field, value) in [("email", Value::Null), ("email", json!(1)), ("password", json!([]))] {
        let mut body = json!({ "email": DEMO, "password": "demo-password" });
        body[field] = value;
        let error = refused(&api.post(LOGIN).json(&body).send().await, 400, "VALIDATION_ERROR");
        assert!(error.contains(field), "{error}");
    }
}

#[tokio::test]
async fn guessing_is_throttled() {
    let api = Api::start();
    support::room_in_window(60, 25).await;
    let mut guesses = 0;
    let refusal = loop {
        let answer = api.login(DEMO, "guess").await;
        if answer.status != 401 {
            break answer;
        }
        guesses += 1;
        assert!(guesses < 1_000, "nobody stops this");
    };
    refused(&refusal, 429, "RATE_LIMIT_EXCEEDED");
    assert!(guesses >= 3, "people mistype");
    // A right guess is not told from a wrong one any more.
    refused(&api.login(DEMO, "demo-password").await, 429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_credential_in_the_request_changes_nothing() {
    let api = Api::start();
    let body = json!({ "email": DEMO, "password": "demo-password" });
    let call = api.post(LOGIN).json(&body).bearer("rubbish").header("x-api-key", "rubbish");
    data(&call.send().await, 200);
}
