//! A token that was verified.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use super::algorithm::Algorithm;
use super::text::Text;
use crate::policy::{Met, grants_any};
use crate::{Scope, ScopeSet, Tenant, TenantId, Timestamp};

/// What a verified token says. Cheap to clone.
///
/// Only [`JwtVerifier::verify`](super::JwtVerifier::verify) makes one. Its `Debug` shows subject and
/// tenant, no other claim.
#[derive(Clone)]
pub struct VerifiedToken(Arc<Facts>);

/// Made once a token; whatever is text stands in the claims.
pub(crate) struct Facts {
    pub(crate) claims: String,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) subject: Text,
    pub(crate) tenant: Option<Arc<Tenant>>,
    /// Space-separated, and nothing but scopes.
    pub(crate) scope: Option<Text>,
    pub(crate) scopes: OnceLock<ScopeSet>,
    pub(crate) met: Met,
    pub(crate) issuer: Option<Text>,
    pub(crate) expires: Timestamp,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) id: Option<Text>,
    pub(crate) session: Option<Text>,
}

impl VerifiedToken {
    pub(crate) fn new(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }

    /// Only about somebody, and good for ever.
    #[cfg(test)]
    pub(crate) fn nobody(subject: Text) -> Self {
        Self::new(Facts {
            claims: "{}".to_owned(),
            algorithm: None,
            subject,
            tenant: None,
            scope: None,
            scopes: OnceLock::new(),
            met: Met::default(),
            issuer: None,
            expires: Timestamp::MAX,
            not_before: None,
            issued_at: None,
            id: None,
            session: None,
        })
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.0
    }

    fn text<'t>(&'t self, text: &'t Option<Text>) -> Option<&'t str> {
        text.as_ref().map(|text| text.within(&self.0.claims))
    }

    /// Who the token is about: `sub`, or the claim of
    /// [`subject_claim`](super::JwtVerifierBuilder::subject_claim). Never empty.
    pub fn subject(&self) -> &str {
        self.0.subject.within(&self.0.claims)
    }

    /// The tenant, where the token names one; see
    /// [`tenant_claim`](super::JwtVerifierBuilder::tenant_claim).
    pub fn tenant(&self) -> Option<&TenantId> {
        self.0.tenant.as_deref().map(Tenant::id)
    }

    /// That tenant without what a directory may know of it.
    pub(crate) fn named_tenant(&self) -> Option<&Arc<Tenant>> {
        self.0.tenant.as_ref()
    }

    /// The scopes; none when the token has no scope claim. Made when first asked for: to ask whether
    /// one of them is enough, [`grants`](Self::grants) is cheaper.
    pub fn scopes(&self) -> &ScopeSet {
        self.0.scopes.get_or_init(|| ScopeSet::parse(self.scope()).unwrap_or_default())
    }

    /// True when one of the scopes grants `needed`.
    pub fn grants(&self, needed: &Scope) -> bool {
        grants_any(self.scope(), needed)
    }

    pub(crate) fn met(&self) -> &Met {
        &self.0.met
    }

    fn scope(&self) -> &str {
        self.text(&self.0.scope).unwrap_or_default()
    }

    /// `iss` (RFC 7519 section 4.1.1); absent only after
    /// [`danger_any_issuer`](super::JwtVerifierBuilder::danger_any_issuer).
    pub fn issuer(&self) -> Option<&str> {
        self.text(&self.0.issuer)
    }

    /// `exp` (RFC 7519 section 4.1.4), without leeway.
    pub fn expires(&self) -> Timestamp {
        self.0.expires
    }

    /// `nbf` (RFC 7519 section 4.1.5), without leeway.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.0.not_before
    }

    /// `iat` (RFC 7519 section 4.1.6).
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.issued_at
    }

    /// `jti` (RFC 7519 section 4.1.7). Unique within its issuer.
    pub fn id(&self) -> Option<&str> {
        self.text(&self.0.id)
    }

    /// `sid` (OpenID Connect Front-Channel Logout 1.0 section 3): the session that the token belongs
    /// to, as long as that goes on. Unique within its issuer.
    pub fn session_id(&self) -> Option<&str> {
        self.text(&self.0.session)
    }

    /// All claims, as a type of the application.
    ///
    /// # Errors
    ///
    /// When they don't fit the type. The error's text may quote a claim.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0.claims)
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("subject", &self.subject())
            .field("tenant", &self.tenant())
            .finish_non_exhaustive()
    }
}
