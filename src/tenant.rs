//! Who a caller belongs to: the customer, workspace or organisation that owns keys and users.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A tenant's identity, as the application names it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Names a tenant.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for TenantId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

/// Whether a tenant may be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TenantStatus {
    /// Served.
    #[default]
    Active,
    /// Refused, whatever credential its callers hold.
    Suspended,
}

/// A tenant as the store knows it: who, whether it is served, and on which plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    id: TenantId,
    #[serde(default)]
    status: TenantStatus,
    #[serde(default)]
    plan: Option<Arc<str>>,
}

impl Tenant {
    /// An active tenant without a plan.
    pub fn new(id: impl Into<TenantId>) -> Self {
        Self { id: id.into(), status: TenantStatus::Active, plan: None }
    }

    /// The same tenant on `plan`, the name under which a [`Limit`](crate::limit) keeps its quota.
    #[must_use]
    pub fn with_plan(mut self, plan: impl Into<Arc<str>>) -> Self {
        self.plan = Some(plan.into());
        self
    }

    /// The same tenant with another status.
    #[must_use]
    pub fn with_status(mut self, status: TenantStatus) -> Self {
        self.status = status;
        self
    }

    /// Who it is.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// Whether it may be served.
    pub fn status(&self) -> TenantStatus {
        self.status
    }

    /// The plan it is on.
    pub fn plan(&self) -> Option<&str> {
        self.plan.as_deref()
    }

    /// True while its callers are refused.
    pub fn is_suspended(&self) -> bool {
        self.status == TenantStatus::Suspended
    }
}

impl From<TenantId> for Tenant {
    /// An active tenant without a plan.
    fn from(id: TenantId) -> Self {
        Self::new(id)
    }
}

impl From<&str> for Tenant {
    /// An active tenant without a plan.
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}
