//! What one atomic write changes, and who did it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ConfigError, KeyId, KeyRecord, Tenant, TenantId, Timestamp};

/// One change of what a store keeps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A new key. Conflicts when its id or digest exists already.
    Insert(KeyRecord),
    /// A key as it was read, changed by its `with_…` methods, its revision untouched; the stored
    /// revision is one higher afterwards. Conflicts when the key is gone, was changed since it was
    /// read, or has a digest that is another key's.
    Replace(KeyRecord),
    /// The end of a key. Conflicts when there is none.
    Delete {
        /// Whose it is.
        tenant: TenantId,
        /// Which one.
        id: KeyId,
    },
    /// A tenant, new or changed; its keys follow in the same write.
    PutTenant(Tenant),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// A key was switched off.
    Deactivated,
    /// A key was removed.
    Deleted,
    /// A key that was made elsewhere was taken in.
    Imported,
    /// A key was made.
    Issued,
    /// A key was switched on again.
    Reactivated,
    /// A key's digest was made anew with the current pepper.
    Rehashed,
    /// A key was ended for good.
    Revoked,
    /// A key got a successor.
    Rotated,
    /// A tenant was made or changed.
    TenantChanged,
    /// A key's name, scopes, addresses, expiry or limit was changed.
    Updated,
}

impl Action {
    const ALL: [(Self, &str); 10] = [
        (Self::Deactivated, "deactivated"),
        (Self::Deleted, "deleted"),
        (Self::Imported, "imported"),
        (Self::Issued, "issued"),
        (Self::Reactivated, "reactivated"),
        (Self::Rehashed, "rehashed"),
        (Self::Revoked, "revoked"),
        (Self::Rotated, "rotated"),
        (Self::TenantChanged, "tenant_changed"),
        (Self::Updated, "updated"),
    ];

    /// Its name in snake case, as in JSON.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        let action = found.map(|(action, _)| *action);
        action.ok_or_else(|| ConfigError::invalid("action", text, "not an action that is known"))
    }
}

/// Who did what, and when. Written with the change or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// Who, in the application's words: a user's id, a job's name.
    pub actor: Arc<str>,
    /// What.
    pub action: Action,
    /// Whose key.
    pub tenant: TenantId,
    /// Which key; `None` for a change of the tenant.
    pub key: Option<KeyId>,
}

impl AuditEvent {
    /// `actor` did `action` to a key of `tenant`, or to the tenant.
    pub fn new(
        at: Timestamp,
        actor: impl Into<Arc<str>>,
        action: Action,
        tenant: TenantId,
        key: Option<KeyId>,
    ) -> Self {
        Self { at, actor: actor.into(), action, tenant, key }
    }
}

/// Changes that are made together or not at all, with the events that tell of them.
///
/// ```
/// use keygate::store::{Change, Commit};
/// use keygate::{KeyDigest, KeyRecord, Tenant};
///
/// let record = KeyRecord::new("key_1", KeyDigest::from_bytes([7; 32]), Tenant::new("acme"));
/// let commit = Commit::from(Change::Insert(record));
/// assert_eq!(commit.changes.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Commit {
    /// The changes, in the order in which they are made.
    pub changes: Vec<Change>,
    /// The events.
    pub events: Vec<AuditEvent>,
}

impl Commit {
    /// Changes, and the events that tell of them.
    pub fn new(changes: Vec<Change>, events: Vec<AuditEvent>) -> Self {
        Self { changes, events }
    }
}

impl From<Change> for Commit {
    /// One change of which no event tells.
    fn from(change: Change) -> Self {
        Self::new(vec![change], Vec::new())
    }
}
