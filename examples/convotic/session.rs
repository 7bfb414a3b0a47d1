//! Sessions of people: a short-lived JWT in a cookie, renewed while its owner is at work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use keygate::jwt::{Algorithm, JwtIssuer, NewToken, SigningKey};
use keygate::session::{SessionCookie, Sessions};
use keygate::{ConfigError, Principal};
use serde_json::json;

use crate::refusal::Refusal;
use crate::{App, gates};

const ISSUER: &str = "https://app.convotic.com";
const AUDIENCE: &str = "dashboard";
/// How long a stolen cookie is good for.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// How long renewing goes on before its owner has to sign in again.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

pub(crate) fn sessions(secret: &[u8]) -> Result<Sessions, ConfigError> {
    let issuer =
        JwtIssuer::builder(ISSUER, AUDIENCE, SigningKey::secret(Algorithm::HS256, secret)?)
            .lifetime(LIFE)
            .tenant_claim("workspace")
            .build()?;
    Sessions::builder(issuer, SessionCookie::host("session")?)
        .longest(LONGEST)
        .same_origin(gates::same_origin())
        .verify(|verifier| verifier.require_claim("workspace").leeway(Duration::ZERO))
        .build()
}

/// `POST /auth/demo` stands where Convotic sends people to Google and takes them back.
pub(crate) async fn demo(State(app): State<App>, head: Parts) -> Result<Response, Refusal> {
    let cookie = app.sessions.begin(&head, NewToken::new("demo").with_tenant("demo"))?;
    let headers = [(SET_COOKIE, cookie), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, Json(json!({ "user": "demo", "workspace": "demo" }))).into_response())
}

/// `POST /auth/sign-out` ends the session in every browser that has its cookie.
pub(crate) async fn end(State(app): State<App>, caller: Principal) -> Result<Response, Refusal> {
    let cookie = app.sessions.end(&caller).await?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}
