//! What handlers answer: data, or a refusal in the envelope that the gate uses too.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use keygate::lifecycle::KeysError;
use keygate::store::StoreError;
use keygate::{Rejection, RejectionKind};
use serde_json::{Value, json};

/// `Cache-Control: no-store`, for answers that hold a secret.
pub const UNSTORED: [(HeaderName, HeaderValue); 1] =
    [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// `{"success": true, "data": …}`
pub fn success(data: Value) -> Json<Value> {
    Json(json!({ "success": true, "data": data }))
}

/// Why a handler refuses.
#[derive(Debug)]
pub enum Refusal {
    /// A refusal of the gate's kinds; the gate gives it its form.
    OfTheGate(Rejection),
    /// Another.
    Own { status: StatusCode, code: &'static str, text: String },
}

impl Refusal {
    fn own(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self::Own { status, code, text: text.into() }
    }

    pub fn invalid(text: impl Into<String>) -> Self {
        Self::own(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", text)
    }

    pub fn not_found(text: &str) -> Self {
        Self::own(StatusCode::NOT_FOUND, "NOT_FOUND", text)
    }

    pub fn conflict(text: &str) -> Self {
        Self::own(StatusCode::CONFLICT, "CONFLICT", text)
    }

    pub fn too_large() -> Self {
        let text = "The body is too large";
        Self::own(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", text)
    }

    pub fn method_not_allowed() -> Self {
        let text = "The route has no such method";
        Self::own(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", text)
    }

    /// One text for an unknown user and a wrong password.
    pub fn bad_login() -> Self {
        Self::own(StatusCode::UNAUTHORIZED, "AUTH_INVALID", "Invalid email or password")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, text) = match self {
            Self::OfTheGate(rejection) => return rejection.into_response(),
            Self::Own { status, code, text } => (status, code, text),
        };
        let mut headers = HeaderMap::from_iter(UNSTORED);
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2: no 401 without a challenge.
            let challenge = HeaderValue::from_static("Bearer realm=\"api\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        let body = json!({ "success": false, "error": text, "code": code });
        (status, headers, Json(body)).into_response()
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::OfTheGate(rejection)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error)
    }
}

impl From<KeysError> for Refusal {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::NotFound => Self::not_found("No such API key"),
            KeysError::Revoked => Self::conflict("A revoked key stays as it is"),
            KeysError::Expired => Self::invalid("expiresAt has passed"),
            error => Self::unavailable(error),
        }
    }
}

impl Refusal {
    /// Something that the service needs has failed; the client is told no more than that.
    pub fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::OfTheGate(Rejection::new(RejectionKind::Unavailable).with_source(error))
    }
}
