//! A store that stands for a database far away: it counts, it is slow when told to, and it fails.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use keygate::store::{
    AuditEvent, Commit, KeyAdmin, KeyFilter, KeyPage, KeyStore, MemoryStore, StoreError,
    TenantDirectory,
};
use keygate::{KeyDigest, KeyId, KeyRecord, KeyStatus, Tenant, TenantId};
use tokio::sync::watch;

type Found = Option<Arc<KeyRecord>>;

/// Clones are the same database.
#[derive(Clone)]
pub struct Backend {
    pub inner: MemoryStore,
    shared: Arc<Shared>,
}

struct Shared {
    finds: AtomicUsize,
    open: watch::Sender<bool>,
    failure: Mutex<Option<Failure>>,
    forgets_to_say: AtomicBool,
    /// What a replica that lags answers with.
    past: Mutex<Option<Found>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Away,
    Unreadable,
    Panics,
}

impl Default for Backend {
    fn default() -> Self {
        Self::over(MemoryStore::new())
    }
}

impl Backend {
    pub fn over(inner: MemoryStore) -> Self {
        let shared = Shared {
            finds: AtomicUsize::new(0),
            open: watch::Sender::new(true),
            failure: Mutex::default(),
            forgets_to_say: AtomicBool::default(),
            past: Mutex::default(),
        };
        Self { inner, shared: Arc::new(shared) }
    }

    /// How often it was asked for a key.
    pub fn finds(&self) -> usize {
        self.shared.finds.load(Ordering::SeqCst)
    }

    /// Questions are read at once, and answered after [`release`](Self::release).
    pub fn hold(&self) {
        self.shared.open.send_replace(false);
    }

    pub fn release(&self) {
        self.shared.open.send_replace(true);
    }

    pub fn fail(&self, failure: impl Into<Option<Failure>>) {
        *self.shared.failure.lock().unwrap() = failure.into();
    }

    /// The next commits are done, and reported as failed.
    pub fn forget_to_say(&self) {
        self.shared.forgets_to_say.store(true, Ordering::SeqCst);
    }

    /// Answers with what was, like a replica that lags; `None` ends it.
    pub fn lag(&self, past: Option<Found>) {
        *self.shared.past.lock().unwrap() = past;
    }

    /// Changes a key behind the back of whatever is in front.
    pub fn revoke(&self, tenant: &str, id: &str) -> KeyRecord {
        let kept = super::wait(self.inner.get(&tenant.into(), &id.into())).unwrap().unwrap();
        let revoked = KeyRecord::clone(&kept).with_status(KeyStatus::Revoked);
        super::wait(self.inner.replace(revoked.clone())).unwrap();
        revoked
    }

    fn failure(&self) -> Result<(), StoreError> {
        let failure = *self.shared.failure.lock().unwrap();
        match failure {
            Some(Failure::Away) => Err(StoreError::unavailable("connection refused")),
            Some(Failure::Unreadable) => Err(StoreError::other("a row that makes no sense")),
            Some(Failure::Panics) => panic!("a bug in a store"),
            None => Ok(()),
        }
    }

    async fn answered(&self) {
        let mut open = self.shared.open.subscribe();
        open.wait_for(|open| *open).await.unwrap();
    }
}

#[async_trait]
impl KeyStore for Backend {
    async fn find(&self, digest: &KeyDigest) -> Result<Found, StoreError> {
        self.shared.finds.fetch_add(1, Ordering::SeqCst);
        let past = self.shared.past.lock().unwrap().clone();
        let found = self.inner.find(digest).await?;
        self.answered().await;
        self.failure()?;
        Ok(past.unwrap_or(found))
    }
}

#[async_trait]
impl TenantDirectory for Backend {
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        self.inner.tenant(id).await
    }
}

#[async_trait]
impl KeyAdmin for Backend {
    async fn get(&self, tenant: &TenantId, id: &KeyId) -> Result<Found, StoreError> {
        self.inner.get(tenant, id).await
    }

    async fn list(&self, tenant: &TenantId, filter: &KeyFilter) -> Result<KeyPage, StoreError> {
        self.inner.list(tenant, filter).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.inner.commit(commit).await?;
        self.answered().await;
        if self.shared.forgets_to_say.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("timed out"));
        }
        Ok(())
    }

    async fn events(
        &self,
        tenant: &TenantId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        self.inner.events(tenant, offset, limit).await
    }
}

/// A key of `acme`, found by the digest of its id.
pub fn keyed(id: &str) -> KeyRecord {
    KeyRecord::new(id, KeyDigest::of(id), Tenant::new("acme"))
}

/// A database with these keys of `acme`.
pub fn backend(ids: &[&str]) -> Backend {
    let backend = Backend::default();
    ids.iter().for_each(|id| super::wait(backend.inner.insert(keyed(id))).unwrap());
    backend
}
