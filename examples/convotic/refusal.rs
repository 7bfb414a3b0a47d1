//! What handlers refuse, in the same form as the gates: `{"error": "<code>"}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use keygate::store::StoreError;
use keygate::{Rejection, RejectionKind};
use serde_json::json;

pub(crate) enum Refusal {
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    /// Rendered by the gate through which the request came.
    ByGate(Rejection),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::ByGate(rejection) => return rejection.into_response(),
        };
        (status, Json(json!({ "error": code }))).into_response()
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::ByGate(rejection)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        unavailable(error).into()
    }
}

/// The caller has done nothing wrong: 503, and the cause stays in the log.
pub(crate) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Rejection {
    Rejection::new(RejectionKind::Unavailable).with_source(cause)
}
