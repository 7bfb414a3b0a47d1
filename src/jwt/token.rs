//! A token that was verified.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{ScopeSet, TenantId, Timestamp};

/// What a verified token says.
///
/// Only [`JwtVerifier::verify`](super::JwtVerifier::verify) makes one. Its `Debug` shows subject and
/// tenant, no other claim.
#[derive(Clone)]
pub struct VerifiedToken {
    pub(crate) subject: Arc<str>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) scopes: ScopeSet,
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) expires: Timestamp,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) id: Option<Arc<str>>,
    pub(crate) claims: Arc<str>,
}

impl VerifiedToken {
    /// Who the token is about: `sub`, or the claim of
    /// [`subject_claim`](super::JwtVerifierBuilder::subject_claim). Never empty.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The tenant, where the token names one; see
    /// [`tenant_claim`](super::JwtVerifierBuilder::tenant_claim).
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// The scopes; none when the token has no scope claim.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// `iss` (RFC 7519 section 4.1.1); absent only after
    /// [`danger_any_issuer`](super::JwtVerifierBuilder::danger_any_issuer).
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `exp` (RFC 7519 section 4.1.4), without leeway.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// `iat` (RFC 7519 section 4.1.6).
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// `jti` (RFC 7519 section 4.1.7).
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// All claims, as a type of the application.
    ///
    /// # Errors
    ///
    /// When they don't fit the type. The error's text may quote a claim.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.claims)
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("subject", &self.subject)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
