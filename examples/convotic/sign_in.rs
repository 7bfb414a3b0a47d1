//! Signing in through the provider: OpenID Connect's authorization-code flow, with PKCE, state and
//! nonce.
//!
//! ```text
//! browser ── GET /auth/login ──────────▶ Convotic   sets a cookie with state, nonce and verifier
//!         ── its authorization page ───▶ provider   asks who it is
//!         ── GET /auth/callback?code ──▶ Convotic   needs that cookie and its state; asks the
//!                                                   provider for the ID token of the code
//!         ◀── the session's cookie ────
//! ```
//!
//! The cookie ties the way back to the browser that set out: nobody can be signed in as somebody else
//! by a link (login CSRF), and a stolen code is worth nothing without the verifier. It is a token of
//! Convotic's own, so there is nothing to store: short-lived, for this purpose only, and read by a
//! gate. Where to go afterwards is fixed; no request can say it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, LOCATION, REFERRER_POLICY, SET_COOKIE,
};
use axum::http::request::Parts;
use axum::response::{AppendHeaders, Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keygate::jwt::{Algorithm, JwtIssuer, JwtVerifier, NewToken, SigningKey, VerifiedToken};
use keygate::session::{SessionCookie, Sessions};
use keygate::{ConfigError, Principal, Rejection, RejectionKind};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::provider::{Pending, Provider};
use crate::refusal::{Refusal, unavailable};
use crate::{App, method_not_allowed, now, session};

/// How long somebody may take to sign in.
const LIFE: Duration = Duration::from_secs(10 * 60);
const NO_STORE: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

/// Signing in, by way of one provider.
#[derive(Clone)]
pub(crate) struct SignIn {
    provider: Arc<Provider>,
    sessions: Sessions,
    issuer: JwtIssuer,
    cookie: SessionCookie,
}

impl SignIn {
    pub(crate) fn new(
        provider: Arc<Provider>,
        sessions: Sessions,
        secret: &[u8],
    ) -> Result<Self, ConfigError> {
        let key = SigningKey::secret(Algorithm::HS256, secret)?;
        // Another audience than that of sessions: neither token is good for the other's purpose.
        let issuer = JwtIssuer::builder(session::ISSUER, "sign-in", key).lifetime(LIFE).build()?;
        // The way back begins at another site, with which no strict cookie comes along.
        let cookie = SessionCookie::host("sign-in")?.lax();
        Ok(Self { provider, sessions, issuer, cookie })
    }

    pub(crate) fn verifier(&self) -> Result<JwtVerifier, ConfigError> {
        self.issuer.verifier().leeway(Duration::ZERO).cache(0).build()
    }

    pub(crate) fn cookie(&self) -> &SessionCookie {
        &self.cookie
    }
}

/// The way out, and the way back.
pub(crate) fn routes(sign_in: SignIn) -> Router<App> {
    Router::new()
        .route("/auth/callback", get(come_back))
        .route("/auth/login", get(leave))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(sign_in)
}

/// `GET /auth/login` sends a browser to the provider.
async fn leave(State(sign_in): State<SignIn>) -> Result<Response, Refusal> {
    let (url, pending) = sign_in.provider.ask()?;
    let token = NewToken::new("browser").with_claim("pending", pending).map_err(unavailable)?;
    let token = sign_in.issuer.issue(&token, now()).map_err(unavailable)?;
    let cookie = sign_in.cookie.set(&token, now())?;
    let headers = AppendHeaders([(SET_COOKIE, cookie)]);
    Ok((StatusCode::SEE_OTHER, [NO_STORE, (LOCATION, &url)], headers).into_response())
}

/// What the provider has a browser say: RFC 6749 section 4.1.2, RFC 9207.
#[derive(Deserialize)]
struct Answer {
    state: String,
    code: Option<String>,
    iss: Option<String>,
}

/// The claims of the cookie that opens the gate.
#[derive(Deserialize)]
struct Cookie {
    pending: Pending,
}

/// `GET /auth/callback` takes a browser back, and begins a session for the person at it.
async fn come_back(
    State(sign_in): State<SignIn>,
    browser: Principal,
    answer: Result<Query<Answer>, QueryRejection>,
    head: Parts,
) -> Result<Response, Refusal> {
    let Query(answer) = answer.map_err(|_| Refusal::InvalidRequest)?;
    let pending = pending(&browser, &answer, sign_in.provider.issuer())?;
    // Whoever says no at the provider comes back too.
    let code = answer.code.ok_or(Rejection::new(RejectionKind::NotPermitted))?;
    let person = sign_in.provider.identify(code, pending).await?;
    let session = sign_in.sessions.begin(&head, of(&person))?;
    let cookies = AppendHeaders([(SET_COOKIE, session), (SET_COOKIE, sign_in.cookie.clear())]);
    Ok((cookies, arrived()).into_response())
}

/// What this browser set out with, if that is what it comes back with.
fn pending(browser: &Principal, answer: &Answer, issuer: &str) -> Result<Pending, Rejection> {
    let invalid = Rejection::new(RejectionKind::TokenInvalid);
    let Some(Ok(Cookie { pending })) = browser.claims() else { return Err(invalid) };
    // Compared by hashes, so that its time tells nothing.
    let is_same = pending.state == openidconnect::CsrfToken::new(answer.state.clone());
    let is_ours = answer.iss.as_deref().is_none_or(|iss| iss == issuer);
    if is_same && is_ours { Ok(pending) } else { Err(invalid) }
}

/// Everybody has a workspace of their own. A person is who an issuer calls by a `sub`: neither alone
/// says who it is, and no e-mail address does, which may be given to somebody else.
fn of(person: &VerifiedToken) -> NewToken {
    let (issuer, subject) = (person.issuer().unwrap_or_default(), person.subject());
    let name = Sha256::digest(format!("{issuer} {subject}"));
    let name = URL_SAFE_NO_PAD.encode(&name[..16]);
    NewToken::new(format!("user_{name}")).with_tenant(format!("workspace_{name}"))
}

/// A page that goes on to the dashboard, instead of a redirect: the browser came here from another
/// site, and would not take the session's strict cookie along.
fn arrived() -> Response {
    let headers = [
        NO_STORE,
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        // The page's address holds the code.
        (REFERRER_POLICY, "no-referrer"),
    ];
    let page = concat!(
        "<!doctype html><title>Convotic</title>",
        r#"<meta http-equiv="refresh" content="0; url=/dashboard/api-keys">"#,
        r#"<a href="/dashboard/api-keys">To the dashboard</a>"#,
    );
    (headers, Html(page)).into_response()
}
