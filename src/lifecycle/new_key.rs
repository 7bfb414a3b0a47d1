//! What is asked for when a key is issued, and what comes of it.

use std::sync::Arc;

use ipnet::IpNet;

use crate::limit::Quota;
use crate::{
    Access, Environment, KeyDigest, KeyId, KeyRecord, KeyToken, RotationPolicy, ScopeSet, Tenant,
    Timestamp,
};

/// A key to be issued.
///
/// ```
/// use keygate::{Environment, NewKey, RotationPolicy, ScopeSet};
///
/// let key = NewKey::new("acme", "billing job")
///     .environment(Environment::Test)
///     .access(ScopeSet::new(["read:customers"])?)
///     .networks(["203.0.113.0/24".parse()?])
///     .rotation(RotationPolicy::new(90, 7)?);
/// # let _ = key;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NewKey {
    name: Arc<str>,
    tenant: Arc<Tenant>,
    environment: Environment,
    access: Access,
    expires: Option<Timestamp>,
    networks: Vec<IpNet>,
    quota: Option<Quota>,
    rotation: Option<RotationPolicy>,
}

impl NewKey {
    /// A live key of `tenant` with a name for people, that holds no scope, never expires and may come
    /// from anywhere.
    pub fn new(tenant: impl Into<Tenant>, name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            tenant: Arc::new(tenant.into()),
            environment: Environment::Live,
            access: ScopeSet::default().into(),
            expires: None,
            networks: Vec::new(),
            quota: None,
            rotation: None,
        }
    }

    /// The environment that the key belongs to, which its text names.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// What the key may do: a [`ScopeSet`], or [`Access`] to everything.
    pub fn access(mut self, access: impl Into<Access>) -> Self {
        self.access = access.into();
        self
    }

    /// The first moment at which the key is refused; `None` for never.
    pub fn expires(mut self, expires: impl Into<Option<Timestamp>>) -> Self {
        self.expires = expires.into();
        self
    }

    /// The networks from which the key may be used; none means from anywhere.
    pub fn networks(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.networks = networks.into_iter().collect();
        self
    }

    /// The key's own quota.
    pub fn quota(mut self, quota: impl Into<Option<Quota>>) -> Self {
        self.quota = quota.into();
        self
    }

    /// How often the key is to be replaced by a new one.
    pub fn rotation(mut self, policy: impl Into<Option<RotationPolicy>>) -> Self {
        self.rotation = policy.into();
        self
    }

    /// The successor of `old`, made `now`: the same but for its age. It lives as long as `old` was
    /// made to live; where nobody knows when that was made, it ends when `old` does.
    pub(super) fn after(old: &KeyRecord, now: Timestamp) -> Self {
        let renewed = |end: Timestamp| match old.created() {
            Timestamp::EPOCH => end,
            created => now.saturating_add(end.since(created)),
        };
        Self {
            name: old.name().into(),
            tenant: Arc::clone(old.tenant()),
            environment: old.environment(),
            access: old.access().clone(),
            expires: old.expires().map(renewed),
            networks: old.networks().to_vec(),
            quota: old.quota().cloned(),
            rotation: old.rotation(),
        }
    }

    pub(super) fn environment_of(&self) -> Environment {
        self.environment
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }

    pub(super) fn record(
        self,
        id: KeyId,
        digest: KeyDigest,
        display: String,
        now: Timestamp,
    ) -> KeyRecord {
        KeyRecord::new(id, digest, self.tenant)
            .with_name(self.name)
            .with_display(display)
            .with_environment(self.environment)
            .with_access(self.access)
            .with_created(now)
            .with_expires(self.expires)
            .with_networks(self.networks)
            .with_quota(self.quota)
            .with_rotation(self.rotation)
    }
}

/// A key that was issued: its secret, which nobody can read again, and its record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The secret: to be shown once, to its owner. Redacted in `Debug`, zeroed on drop.
    pub token: KeyToken,
    /// What is kept of it, with the tenant as it was given; the store may know another plan or
    /// status.
    pub record: Arc<KeyRecord>,
}
