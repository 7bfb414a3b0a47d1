//! The example as a test sees it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json};
use support::{Answer, Call, Client, Server};

/// The routes that ask for a permission: method, path, permission, a good body.
pub(crate) const ROUTES: [(&str, &str, &str, &str); 7] = [
    ("GET", "/api/v1/conversations", "read:conversations", ""),
    ("POST", "/api/v1/conversations", "write:conversations", r#"{"subject":"hello"}"#),
    ("GET", "/api/v1/customers", "read:customers", ""),
    ("POST", "/api/v1/customers", "write:customers", r#"{"name":"Ada"}"#),
    ("GET", "/api/v1/webhooks", "read:webhooks", ""),
    ("POST", "/api/v1/webhooks", "write:webhooks", r#"{"url":"https://a.example/hook"}"#),
    ("GET", "/api/v1/analytics", "read:analytics", ""),
];

pub(crate) const CONVERSATIONS: &str = "/api/v1/conversations";
pub(crate) const KEYS: &str = "/api/v1/api-keys";
pub(crate) const DEMO: &str = "demo@example.com";
pub(crate) const OTHER: &str = "other@example.com";

/// A running example.
pub(crate) struct Api {
    pub(crate) server: Server,
    pub(crate) client: Client,
}

impl Api {
    /// In production.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(environment: &[(&str, &str)]) -> Self {
        let server = Server::example("g_tateth", environment);
        let client = server.client();
        Self { server, client }
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.client.get(path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.client.post(path)
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        self.client.call(Method::from_bytes(method.as_bytes()).expect("a method"), path)
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post("/api/v1/auth/login").json(&body).send().await
    }

    /// A JWT of that user.
    pub(crate) async fn token(&self, email: &str) -> String {
        let data = data(&self.login(email, "demo-password").await, 200);
        data["token"].as_str().expect("a token").to_owned()
    }

    /// The data of a new key.
    pub(crate) async fn create(&self, token: &str, body: &Value) -> Value {
        data(&self.post(KEYS).bearer(token).json(body).send().await, 201)
    }

    /// A new key with all permissions: its id and its text.
    pub(crate) async fn key(&self, token: &str) -> (String, String) {
        self.key_with(token, json!({})).await
    }

    /// The same with more fields, or other ones.
    pub(crate) async fn key_with(&self, token: &str, more: Value) -> (String, String) {
        let permissions: Vec<_> = ROUTES.iter().map(|route| route.2).collect();
        let mut body = json!({ "name": "test", "permissions": permissions });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let data = self.create(token, &body).await;
        (text(&data["id"]), text(&data["key"]))
    }

    /// What the key or JWT is told by a protected route.
    pub(crate) async fn use_of(&self, credential: &str) -> Answer {
        self.get(CONVERSATIONS).bearer(credential).send().await
    }

    pub(crate) async fn patch(&self, token: &str, id: &str, body: Value) -> Answer {
        self.call("PATCH", &format!("{KEYS}/{id}")).bearer(token).json(&body).send().await
    }

    pub(crate) async fn suspend(&self, token: &str, suspended: bool) -> Answer {
        let body = json!({ "suspended": suspended });
        self.post("/api/v1/admin/tenant").bearer(token).json(&body).send().await
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The data of a good answer: the body is exactly `success` and `data`.
pub(crate) fn data(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{:?}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    assert_eq!(body, json!({ "success": true, "data": body["data"] }));
    body["data"].clone()
}

/// Checks a refusal, all of it, and returns its text: the envelope is exactly `success`, `error` and
/// `code`, and on a 429 `retryAfter`; nobody may store it; a 401 says how to authenticate.
pub(crate) fn refused(answer: &Answer, status: u16, code: &str) -> String {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    let error = text(&body["error"]);
    let mut expected = json!({ "success": false, "error": error, "code": code });
    if status == 429 {
        let wait = answer.number("retry-after");
        assert!(wait > 0, "{:?}", answer.headers);
        expected["retryAfter"] = wait.into();
    }
    assert_eq!(body, expected);
    assert!(!error.is_empty());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    if status == 401 {
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer realm=\"api\""), "{challenge}");
    }
    error
}

/// Checks the refusal that unknown keys and all like them get, to the letter.
pub(crate) fn refused_as_invalid_key(answer: &Answer) {
    assert_eq!(refused(answer, 401, "API_KEY_INVALID"), "Invalid or expired API key");
    let body = r#"{"success":false,"error":"Invalid or expired API key","code":"API_KEY_INVALID"}"#;
    assert_eq!(answer.body, body);
    assert_eq!(answer.header("x-ratelimit-limit"), None);
}

pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}
