//! Who a caller belongs to: the customer, workspace or organisation that owns keys and users.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

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
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    id: TenantId,
    #[serde(default)]
    status: TenantStatus,
    #[serde(default)]
    plan: Option<Arc<str>>,
    #[serde(skip)]
    name_hash: NameHash,
}

impl Tenant {
    /// An active tenant without a plan.
    pub fn new(id: impl Into<TenantId>) -> Self {
        Self {
            id: id.into(),
            status: TenantStatus::Active,
            plan: None,
            name_hash: NameHash::default(),
        }
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

    /// A hash of its name that nobody can foresee, the same for equal names in this process.
    #[inline]
    pub(crate) fn name_hash(&self) -> u64 {
        self.name_hash.of(&self.id)
    }
}

/// Made when it is first asked for; never 0 then.
#[derive(Default)]
struct NameHash(AtomicU64);

impl NameHash {
    #[inline]
    fn of(&self, id: &TenantId) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            0 => self.make(id),
            made => made,
        }
    }

    #[cold]
    fn make(&self, id: &TenantId) -> u64 {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let made = KEY.hash_one(id.as_str()).max(1);
        self.0.store(made, Ordering::Relaxed);
        made
    }
}

impl Clone for NameHash {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

/// It says nothing that the name does not.
impl PartialEq for NameHash {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for NameHash {}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("plan", &self.plan)
            .finish()
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
