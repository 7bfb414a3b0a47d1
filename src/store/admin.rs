//! Managing keys: the second, optional half of a store.

use std::sync::Arc;

use async_trait::async_trait;

use super::{AuditEvent, Change, Commit, KeyStore, StoreError};
use crate::{Environment, KeyId, KeyRecord, KeyStatus, Tenant, TenantId, Timestamp};

/// Lists, changes and ends keys. Every call names the tenant: a key of another tenant is not there.
///
/// [`commit`](Self::commit) is the only way to change anything; the other writing methods are short
/// ways to it, and leave no audit event.
#[async_trait]
pub trait KeyAdmin: KeyStore {
    /// One key of a tenant.
    ///
    /// # Errors
    ///
    /// When the store fails.
    async fn get(
        &self,
        tenant: &TenantId,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyRecord>>, StoreError>;

    /// A page of a tenant's keys, the oldest first.
    ///
    /// # Errors
    ///
    /// When the store fails.
    async fn list(&self, tenant: &TenantId, filter: &KeyFilter) -> Result<KeyPage, StoreError>;

    /// Makes all changes of `commit` and keeps its events in one atomic step, or does nothing. A
    /// key's tenant is the one that the store keeps, if it keeps one of that name.
    ///
    /// # Errors
    ///
    /// [Conflict](StoreError::is_conflict) when a change contradicts what is stored; see [`Change`].
    async fn commit(&self, commit: Commit) -> Result<(), StoreError>;

    /// A page of a tenant's audit events, the newest first: `limit` of them after `offset`.
    ///
    /// # Errors
    ///
    /// When the store fails.
    async fn events(
        &self,
        tenant: &TenantId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, StoreError>;

    /// Keeps a new key; see [`Change::Insert`].
    ///
    /// # Errors
    ///
    /// [Conflict](StoreError::is_conflict) when its id or digest exists already.
    async fn insert(&self, record: KeyRecord) -> Result<(), StoreError> {
        self.commit(Change::Insert(record).into()).await
    }

    /// Changes a key; see [`Change::Replace`].
    ///
    /// # Errors
    ///
    /// [Conflict](StoreError::is_conflict) when the key is gone or was changed since it was read:
    /// read again and repeat.
    async fn replace(&self, record: KeyRecord) -> Result<(), StoreError> {
        self.commit(Change::Replace(record).into()).await
    }

    /// Removes a key; false if there was none.
    ///
    /// # Errors
    ///
    /// When the store fails.
    async fn delete(&self, tenant: &TenantId, id: &KeyId) -> Result<bool, StoreError> {
        let change = Change::Delete { tenant: tenant.clone(), id: id.clone() };
        match self.commit(change.into()).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps a tenant, new or changed; see [`Change::PutTenant`].
    ///
    /// # Errors
    ///
    /// When the store fails.
    async fn put_tenant(&self, tenant: Tenant) -> Result<(), StoreError> {
        self.commit(Change::PutTenant(tenant).into()).await
    }
}

#[async_trait]
impl<S: KeyAdmin + ?Sized> KeyAdmin for Arc<S> {
    async fn get(
        &self,
        tenant: &TenantId,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        (**self).get(tenant, id).await
    }

    async fn list(&self, tenant: &TenantId, filter: &KeyFilter) -> Result<KeyPage, StoreError> {
        (**self).list(tenant, filter).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        (**self).commit(commit).await
    }

    async fn events(
        &self,
        tenant: &TenantId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        (**self).events(tenant, offset, limit).await
    }
}

/// Which keys to list, and which page of them.
///
/// ```
/// use keygate::{Environment, store::KeyFilter};
///
/// let filter = KeyFilter::new().environment(Environment::Live).active(true).page(2, 20);
/// # let _ = filter;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KeyFilter {
    environment: Option<Environment>,
    active: Option<bool>,
    page: usize,
    per_page: usize,
}

impl Default for KeyFilter {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyFilter {
    /// All keys, the first page of 20.
    pub const fn new() -> Self {
        Self { environment: None, active: None, page: 1, per_page: 20 }
    }

    /// Only keys of this environment.
    #[must_use]
    pub const fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Only keys that are in use, or only those that are not.
    #[must_use]
    pub const fn active(mut self, active: bool) -> Self {
        self.active = Some(active);
        self
    }

    /// Another page, counted from 1, of another size, at least 1 and at most 1,000.
    #[must_use]
    pub fn page(mut self, page: usize, per_page: usize) -> Self {
        self.page = page.max(1);
        self.per_page = per_page.clamp(1, 1000);
        self
    }

    /// The environment asked for, for a store that filters by itself; `None` for any.
    pub const fn only_environment(&self) -> Option<Environment> {
        self.environment
    }

    /// Whether keys in use are asked for, or others; `None` for all. See [`admits`](Self::admits)
    /// for what is in use.
    pub const fn only_active(&self) -> Option<bool> {
        self.active
    }

    /// True when `record` is one of those asked for.
    pub fn admits(&self, record: &KeyRecord, now: Timestamp) -> bool {
        let expired = record.expires().is_some_and(|end| now >= end);
        let active = record.status() == KeyStatus::Active && !expired;
        self.environment.is_none_or(|asked| asked == record.environment())
            && self.active.is_none_or(|asked| asked == active)
    }

    /// How many keys stand before the page.
    pub const fn offset(&self) -> usize {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// How many keys a page has at most.
    pub const fn limit(&self) -> usize {
        self.per_page
    }
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeyPage {
    /// The page's keys.
    pub keys: Vec<Arc<KeyRecord>>,
    /// How many there are on all pages.
    pub total: usize,
}

impl KeyPage {
    /// A page of `keys`, of `total` in all.
    pub fn new(keys: Vec<Arc<KeyRecord>>, total: usize) -> Self {
        Self { keys, total }
    }
}
