//! Sign-in with a password, and the JWTs that it yields.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::response::IntoResponse;
use keygate::ConfigError;
use keygate::jwt::{Algorithm, JwtIssuer, NewToken, SigningKey};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::answer::{Refusal, UNSTORED, success};
use crate::app::App;
use crate::fields::Fields;
use crate::keys::PERMISSIONS;

const ISSUER: &str = "https://api.g-tateth.example";
const LIFETIME: Duration = Duration::from_secs(3_600);

struct User {
    email: &'static str,
    password: &'static str,
    tenant: &'static str,
}

/// Stands for a table of users. A real one keeps no password but a slow, salted hash of it, such as
/// Argon2id.
const USERS: [User; 3] = [
    User { email: "demo@example.com", password: "demo-password", tenant: "tenant_demo" },
    User { email: "other@example.com", password: "demo-password", tenant: "tenant_other" },
    User { email: "large@example.com", password: "demo-password", tenant: "tenant_large" },
];

/// `POST /auth/login`
///
/// An address that has failed too often is refused before its password is looked at.
pub async fn sign_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut fields: Fields,
) -> Result<impl IntoResponse, Refusal> {
    let email: String = fields.need("email", "a text")?;
    let password: String = fields.need("password", "a text")?;
    fields.end()?;
    app.sign_ins.check(Some(peer.ip()), app.now())?;
    let Some(user) = authenticate(&email, &password) else {
        app.sign_ins.fail(Some(peer.ip()), app.now())?;
        return Err(Refusal::bad_login());
    };
    let token = NewToken::new(user.email).with_tenant(user.tenant);
    let token = token.with_claim("permissions", PERMISSIONS).map_err(Refusal::unavailable)?;
    let token = app.issuer.issue(&token, app.now()).map_err(Refusal::unavailable)?;
    Ok((UNSTORED, success(json!({ "token": token.reveal() }))))
}

/// Does the same work for an unknown user as for a wrong password. Digests have one length, so that
/// comparing them tells nothing of the password's.
fn authenticate(email: &str, password: &str) -> Option<&'static User> {
    let user = USERS.iter().find(|user| user.email == email);
    let expected = Sha256::digest(user.map_or("", |user| user.password));
    let right = Sha256::digest(password).as_slice().ct_eq(expected.as_slice());
    user.filter(|_| right.into())
}

/// Signs JWTs with all permissions of their user, and makes the verifier that accepts them.
pub fn issuer(secret: &[u8]) -> Result<JwtIssuer, ConfigError> {
    JwtIssuer::builder(ISSUER, ISSUER, SigningKey::secret(Algorithm::HS256, secret)?)
        .lifetime(LIFETIME)
        .build()
}
