//! Sign-in with a password, and the JWTs that it yields.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::response::IntoResponse;
use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{EncodingKey, Header};
use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
use keygate::{ConfigError, Timestamp};
use serde::Serialize;
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
    let token = app.issuer.issue(user, app.now()).map_err(Refusal::unavailable)?;
    Ok((UNSTORED, success(json!({ "token": token }))))
}

/// Does the same work for an unknown user as for a wrong password. Digests have one length, so that
/// comparing them tells nothing of the password's.
fn authenticate(email: &str, password: &str) -> Option<&'static User> {
    let user = USERS.iter().find(|user| user.email == email);
    let expected = Sha256::digest(user.map_or("", |user| user.password));
    let right = Sha256::digest(password).as_slice().ct_eq(expected.as_slice());
    user.filter(|_| right.into())
}

/// Signs JWTs, and makes the verifier that accepts them.
#[derive(Clone)]
pub struct Issuer {
    signing: Arc<EncodingKey>,
    verifying: JwtKey,
}

impl Issuer {
    pub fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        // A build with both of jsonwebtoken's backends signs with neither until it is told. An error
        // means that one was chosen already.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        Ok(Self {
            signing: Arc::new(EncodingKey::from_secret(secret)),
            verifying: JwtKey::secret(Algorithm::HS256, secret)?,
        })
    }

    pub fn verifier(&self) -> Result<JwtVerifier, ConfigError> {
        JwtVerifier::builder(ISSUER, ISSUER).key(self.verifying.clone()).build()
    }

    /// A token with all permissions of `user`.
    fn issue(&self, user: &User, now: Timestamp) -> jsonwebtoken::errors::Result<String> {
        let claims = Claims {
            iss: ISSUER,
            aud: ISSUER,
            sub: user.email,
            tenant: user.tenant,
            permissions: &PERMISSIONS,
            iat: now.as_secs(),
            exp: now.saturating_add(LIFETIME).as_secs(),
        };
        jsonwebtoken::encode(&Header::default(), &claims, &self.signing)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    tenant: &'a str,
    permissions: &'a [&'a str],
    iat: u64,
    exp: u64,
}
