//! What is kept of an issued key.

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Environment, KeyDigest, RotationPolicy};
use crate::limit::Quota;
use crate::policy::{Met, canonical};
use crate::{Access, ScopeSet, Tenant, Timestamp};

/// Names a key in logs, listings and URLs; not a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Names a key.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KeyId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a key is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyStatus {
    /// In use.
    #[default]
    Active,
    /// Switched off; may be switched on again.
    Inactive,
    /// Ended for good; answered like a key that never was.
    Revoked,
}

/// What a store keeps of a key: whose it is, what it may do, and until when. Never the key itself.
///
/// ```
/// use keygate::{Environment, KeyFormat, KeyRecord, ScopeSet, Tenant};
///
/// let format = KeyFormat::sk();
/// let key = format.generate(Environment::Live)?;
/// let record = KeyRecord::new("key_1", key.digest(), Tenant::new("acme").with_plan("starter"))
///     .with_name("billing job")
///     .with_display(format.display_prefix(&key))
///     .with_access(ScopeSet::new(["read:customers"])?)
///     .with_networks(["203.0.113.0/24".parse()?, "2001:db8::/32".parse()?]);
/// # assert_eq!(record.id().as_str(), "key_1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyRecord {
    id: KeyId,
    digest: KeyDigest,
    display: Arc<str>,
    name: Arc<str>,
    tenant: Arc<Tenant>,
    environment: Environment,
    access: Access,
    /// Of that access.
    met: Met,
    created: Timestamp,
    expires: Option<Timestamp>,
    status: KeyStatus,
    networks: Arc<[IpNet]>,
    quota: Option<Quota>,
    rotation: Option<RotationPolicy>,
    deprecated: Option<Timestamp>,
    successor: Option<KeyId>,
    revision: u64,
}

impl KeyRecord {
    /// An active live key of `tenant` that holds no scope, never expires and may come from anywhere.
    pub fn new(id: impl Into<KeyId>, digest: KeyDigest, tenant: impl Into<Arc<Tenant>>) -> Self {
        Self {
            id: id.into(),
            digest,
            display: Arc::default(),
            name: Arc::default(),
            tenant: tenant.into(),
            environment: Environment::Live,
            access: ScopeSet::default().into(),
            met: Met::default(),
            created: Timestamp::EPOCH,
            expires: None,
            status: KeyStatus::Active,
            networks: Arc::default(),
            quota: None,
            rotation: None,
            deprecated: None,
            successor: None,
            revision: 0,
        }
    }

    /// A name for people.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// The part of the key that may be shown; see
    /// [`KeyFormat::display_prefix`](super::KeyFormat::display_prefix).
    #[must_use]
    pub fn with_display(mut self, display: impl Into<Arc<str>>) -> Self {
        self.display = display.into();
        self
    }

    /// The environment that the key's text names.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// What the key may do.
    #[must_use]
    pub fn with_access(mut self, access: impl Into<Access>) -> Self {
        (self.access, self.met) = (access.into(), Met::default());
        self
    }

    /// When the key was made.
    #[must_use]
    pub fn with_created(mut self, created: Timestamp) -> Self {
        self.created = created;
        self
    }

    /// The first moment at which the key is refused; `None` for never.
    #[must_use]
    pub fn with_expires(mut self, expires: impl Into<Option<Timestamp>>) -> Self {
        self.expires = expires.into();
        self
    }

    /// Whether the key is in use.
    #[must_use]
    pub fn with_status(mut self, status: KeyStatus) -> Self {
        self.status = status;
        self
    }

    /// The networks from which the key may be used; none means from anywhere.
    #[must_use]
    pub fn with_networks(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.networks = networks.into_iter().map(canonical).collect();
        self
    }

    /// The key's own quota, which a [`Limit`](crate::limit) may prefer to its plan's.
    #[must_use]
    pub fn with_quota(mut self, quota: impl Into<Option<Quota>>) -> Self {
        self.quota = quota.into();
        self
    }

    /// The same key with its tenant as it is now.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Arc<Tenant>>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// How often the key is to be replaced by a new one.
    #[must_use]
    pub fn with_rotation(mut self, policy: impl Into<Option<RotationPolicy>>) -> Self {
        self.rotation = policy.into();
        self
    }

    /// The key has got a successor: from `since` on its answers say that it is deprecated, and when
    /// it [expires](Self::with_expires).
    #[must_use]
    pub fn with_successor(mut self, successor: KeyId, since: Timestamp) -> Self {
        self.successor = Some(successor);
        self.deprecated = Some(since);
        self
    }

    /// The same facts under another digest, for a store that keeps digests in another way now.
    #[must_use]
    pub fn with_digest(mut self, digest: KeyDigest) -> Self {
        self.digest = digest;
        self
    }

    /// The revision that a store has read; see
    /// [`KeyAdmin::replace`](crate::store::KeyAdmin::replace).
    #[must_use]
    pub fn with_revision(mut self, revision: u64) -> Self {
        self.revision = revision;
        self
    }

    /// Names the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The digest of its text.
    pub fn digest(&self) -> &KeyDigest {
        &self.digest
    }

    /// What may be shown of its text.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose it is.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The environment that it belongs to.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// What it may do.
    pub fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn met(&self) -> &Met {
        &self.met
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// From when on it is refused.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Whether it is in use.
    pub fn status(&self) -> KeyStatus {
        self.status
    }

    /// From where it may be used; empty means from anywhere.
    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }

    /// Its own quota.
    pub fn quota(&self) -> Option<&Quota> {
        self.quota.as_ref()
    }

    /// How often it is to be replaced.
    pub fn rotation(&self) -> Option<RotationPolicy> {
        self.rotation
    }

    /// Since when it has a successor.
    pub fn deprecated(&self) -> Option<Timestamp> {
        self.deprecated
    }

    /// The key that has replaced it.
    pub fn successor(&self) -> Option<&KeyId> {
        self.successor.as_ref()
    }

    /// How often it was changed.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}
