//! What a token to be issued is to say.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::IssueError;
use crate::{ScopeSet, Timestamp};

/// What the issuer alone says, or a setter of its own.
pub(super) const RESERVED: [&str; 10] =
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "auth_time", "client_id"];

/// What a token to be issued is to say, beyond what its [`JwtIssuer`](super::JwtIssuer) says of
/// itself: `iss`, `aud`, `iat`, `exp` and `jti`.
///
/// ```
/// use keygate::ScopeSet;
/// use keygate::jwt::NewToken;
///
/// let token = NewToken::new("user-7")
///     .with_tenant("acme")
///     .with_scopes(ScopeSet::new(["read:orders"])?)
///     .with_claim("name", "Ada")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NewToken {
    pub(super) subject: String,
    pub(super) audience: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) scopes: Option<ScopeSet>,
    pub(super) client_id: Option<String>,
    pub(super) lifetime: Option<Duration>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) session: Option<String>,
    pub(super) signed_in: Option<Timestamp>,
    pub(super) claims: Map<String, Value>,
}

impl NewToken {
    /// About `subject` (`sub`), which is not empty.
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            audience: None,
            tenant: None,
            scopes: None,
            client_id: None,
            lifetime: None,
            not_before: None,
            session: None,
            signed_in: None,
            claims: Map::new(),
        }
    }

    /// The tenant, under the issuer's [`tenant_claim`](super::JwtIssuerBuilder::tenant_claim).
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The scopes (`scope`).
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// The client that asked for the token (`client_id`, RFC 8693 section 4.3).
    pub fn with_client_id(mut self, client: impl Into<String>) -> Self {
        self.client_id = Some(client.into());
        self
    }

    /// For another audience than the issuer's usual one.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// For a shorter time than the issuer's tokens usually have.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Not good before this time (`nbf`).
    pub fn with_not_before(mut self, time: Timestamp) -> Self {
        self.not_before = Some(time);
        self
    }

    /// The session that the token belongs to (`sid`), and when its owner signed in (`auth_time`).
    pub fn with_session(mut self, id: impl Into<String>, signed_in: Timestamp) -> Self {
        self.session = Some(id.into());
        self.signed_in = Some(signed_in);
        self
    }

    /// A claim of the application's own.
    ///
    /// # Errors
    ///
    /// When the issuer says that claim itself, or the value can't be JSON.
    pub fn with_claim(
        mut self,
        name: impl Into<String>,
        value: impl Serialize,
    ) -> Result<Self, IssueError> {
        let name = name.into();
        if RESERVED.contains(&name.as_str()) {
            return Err(IssueError::new("a claim that the issuer says itself"));
        }
        let value = serde_json::to_value(value)
            .map_err(|error| IssueError::new("a claim that can't be JSON").caused_by(error))?;
        self.claims.insert(name, value);
        Ok(self)
    }
}
