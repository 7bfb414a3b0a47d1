//! Sessions of people: a short-lived JWT in a cookie, renewed while its owner is at work.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::{EncodingKey, Header};
use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
use keygate::{ConfigError, Principal, Rejection, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::refusal::{Refusal, unavailable};
use crate::{App, gates, now};

const ISSUER: &str = "https://app.convotic.com";
const AUDIENCE: &str = "dashboard";
/// How long a stolen cookie is good for.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// How long renewing goes on before its owner has to sign in again.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// Issues sessions, and knows how to verify them.
pub(crate) struct Sessions {
    key: EncodingKey,
    verifier: JwtVerifier,
}

/// Who has signed in, where, and when.
struct Session<'a> {
    user: &'a str,
    workspace: &'a str,
    began: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    workspace: &'a str,
    auth_time: u64,
    iat: u64,
    exp: u64,
}

/// The claim of OpenID Connect that says when the person proved who they are.
#[derive(Deserialize)]
struct Began {
    auth_time: u64,
}

impl Sessions {
    pub(crate) fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        // jsonwebtoken can't choose by itself where both of its backends are compiled in.
        #[cfg(feature = "aws_lc_rs")]
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let verifier = JwtVerifier::builder(ISSUER, AUDIENCE)
            .key(JwtKey::secret(Algorithm::HS256, secret)?)
            .tenant_claim("workspace")
            .require_claim("workspace")
            .leeway(Duration::ZERO)
            .build()?;
        Ok(Self { key: EncodingKey::from_secret(secret), verifier })
    }

    pub(crate) fn verifier(&self) -> &JwtVerifier {
        &self.verifier
    }

    /// `Strict`: the browser sends it with nothing that another site causes, not even with a link.
    fn cookie(&self, session: &Session<'_>, now: Timestamp) -> Result<HeaderValue, Rejection> {
        let (name, token, life) = (gates::COOKIE, self.token(session, now)?, LIFE.as_secs());
        let cookie =
            format!("{name}={token}; Path=/; Max-Age={life}; HttpOnly; Secure; SameSite=Strict");
        HeaderValue::try_from(cookie).map_err(unavailable)
    }

    fn token(&self, session: &Session<'_>, now: Timestamp) -> Result<String, Rejection> {
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: session.user,
            workspace: session.workspace,
            auth_time: session.began,
            iat: now.as_secs(),
            exp: now.saturating_add(LIFE).as_secs(),
        };
        jsonwebtoken::encode(&Header::default(), &claims, &self.key).map_err(unavailable)
    }

    /// A new cookie once half of the old one's life has passed.
    fn renewal(&self, caller: &Principal, now: Timestamp) -> Option<HeaderValue> {
        let began = caller.claims::<Began>()?.ok()?.auth_time;
        let half_over = now.saturating_add(LIFE / 2) > caller.token()?.expires();
        if !half_over || now.since(Timestamp::from_secs(began)) >= LONGEST {
            return None;
        }
        let workspace = caller.tenant_id()?.as_str();
        self.cookie(&Session { user: caller.subject(), workspace, began }, now).ok()
    }
}

/// `POST /auth/demo` stands where Convotic sends people to Google and takes them back.
///
/// It sets a cookie, so it asks where the request comes from, as the dashboard's gate does for those
/// that bring one: else a foreign page could sign its visitors in to a workspace of its own.
pub(crate) async fn demo(State(app): State<App>, head: Parts) -> Result<Response, Refusal> {
    gates::same_origin().check(&head)?;
    let now = now();
    let session = Session { user: "demo", workspace: "demo", began: now.as_secs() };
    let headers = [
        (SET_COOKIE, app.sessions.cookie(&session, now)?),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let body = json!({ "user": session.user, "workspace": session.workspace });
    Ok((headers, Json(body)).into_response())
}

/// Keeps people signed in while they use the dashboard.
pub(crate) async fn renew(
    State(app): State<App>,
    caller: Option<Principal>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if let Some(cookie) = caller.and_then(|caller| app.sessions.renewal(&caller, now())) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
