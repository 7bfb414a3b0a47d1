//! Who is calling, as far as the gate has proved it.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::jwt::VerifiedToken;
use crate::key::{KeyId, KeyRecord};
use crate::policy::Met;
use crate::{Environment, Policy, Rejection, Scope, Tenant, TenantId};

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// With an API key.
    ApiKey,
    /// With a JWT.
    Jwt,
}

/// Who is calling. Cheap to clone; holds no secret, so it can be logged.
///
/// The gate puts it into the request's extensions; no header of a request can make one.
#[derive(Clone)]
pub struct Principal(Proof);

#[derive(Clone)]
enum Proof {
    Key(Arc<KeyRecord>),
    /// And what the directory knows of its tenant; without a directory, its name.
    Token(VerifiedToken, Option<Arc<Tenant>>),
}

impl Principal {
    pub(crate) fn of_key(record: Arc<KeyRecord>) -> Self {
        Self(Proof::Key(record))
    }

    /// `tenant` is what the directory knows of the token's tenant; without a directory, its name.
    pub(crate) fn of_token(token: VerifiedToken, tenant: Option<Arc<Tenant>>) -> Self {
        Self(Proof::Token(token, tenant))
    }

    /// Who: the key's id, or the token's subject.
    pub fn subject(&self) -> &str {
        match &self.0 {
            Proof::Key(record) => record.id().as_str(),
            Proof::Token(token, _) => token.subject(),
        }
    }

    /// How it proved that.
    pub fn method(&self) -> Method {
        match &self.0 {
            Proof::Key(_) => Method::ApiKey,
            Proof::Token(..) => Method::Jwt,
        }
    }

    /// The tenant that it belongs to. A token may have none.
    pub fn tenant(&self) -> Option<&Tenant> {
        match &self.0 {
            Proof::Key(record) => Some(record.tenant()),
            Proof::Token(_, tenant) => tenant.as_deref(),
        }
    }

    /// That tenant's name.
    pub fn tenant_id(&self) -> Option<&TenantId> {
        self.tenant().map(Tenant::id)
    }

    /// The key's record, if it came with a key.
    pub fn key(&self) -> Option<&KeyRecord> {
        match &self.0 {
            Proof::Key(record) => Some(record),
            Proof::Token(..) => None,
        }
    }

    /// The key's id, if it came with a key.
    pub fn key_id(&self) -> Option<&KeyId> {
        self.key().map(KeyRecord::id)
    }

    /// The key's environment, if it came with a key.
    pub fn environment(&self) -> Option<Environment> {
        self.key().map(KeyRecord::environment)
    }

    /// The verified token, if it came with a token.
    pub fn token(&self) -> Option<&VerifiedToken> {
        match &self.0 {
            Proof::Key(_) => None,
            Proof::Token(token, _) => Some(token),
        }
    }

    /// The token's claims as the application's own type; `None` if it came with a key.
    ///
    /// # Errors
    ///
    /// When the claims are not of that type.
    pub fn claims<T: DeserializeOwned>(&self) -> Option<Result<T, serde_json::Error>> {
        self.token().map(VerifiedToken::claims)
    }

    /// True when it may do what `needed` asks.
    pub fn may(&self, needed: &Scope) -> bool {
        match &self.0 {
            Proof::Key(record) => record.access().grants(needed),
            Proof::Token(token, _) => token.grants(needed),
        }
    }

    /// What was found of its scopes before.
    pub(crate) fn met(&self) -> &Met {
        match &self.0 {
            Proof::Key(record) => record.met(),
            Proof::Token(token, _) => token.met(),
        }
    }

    /// Asks for more than the route did, from inside a handler.
    ///
    /// # Errors
    ///
    /// The refusal to return from the handler; the gate renders it.
    pub fn require(&self, policy: &Policy) -> Result<(), Rejection> {
        policy.check(self)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("method", &self.method())
            .field("subject", &self.subject())
            .field("tenant", &self.tenant_id())
            .finish_non_exhaustive()
    }
}
