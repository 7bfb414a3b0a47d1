//! What a store in memory has written down, and the draft of a commit.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::{AuditEvent, Change, StoreError};
use crate::{KeyDigest, KeyId, KeyRecord, Tenant, TenantId};

/// Audit events that are kept; older ones are forgotten.
const EVENTS: usize = 100_000;

/// All that writers read, behind one lock: whoever holds it sees no half of a commit.
#[derive(Default)]
pub(super) struct Books {
    by_id: HashMap<KeyId, Arc<KeyRecord>>,
    by_digest: HashMap<KeyDigest, KeyId>,
    /// Each tenant's keys in the order of their issue.
    of_tenant: HashMap<TenantId, BTreeMap<u64, KeyId>>,
    tenants: HashMap<TenantId, Arc<Tenant>>,
    issued: u64,
    events: VecDeque<AuditEvent>,
}

/// What is to become of the keys and tenants that a commit names.
#[derive(Default)]
pub(super) struct Draft {
    keys: BTreeMap<KeyId, Option<Arc<KeyRecord>>>,
    tenants: HashMap<TenantId, Arc<Tenant>>,
}

impl Books {
    pub(super) fn get(&self, tenant: &TenantId, id: &KeyId) -> Option<&Arc<KeyRecord>> {
        self.by_id.get(id).filter(|record| record.tenant().id() == tenant)
    }

    pub(super) fn keys_of(&self, tenant: &TenantId) -> impl Iterator<Item = &Arc<KeyRecord>> {
        let ids = self.of_tenant.get(tenant).into_iter().flat_map(BTreeMap::values);
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// A tenant's events, the newest first.
    pub(super) fn events_of(&self, tenant: &TenantId) -> impl Iterator<Item = &AuditEvent> {
        self.events.iter().rev().filter(move |event| event.tenant == *tenant)
    }

    /// Each key that `draft` names, as it is and as it is to be.
    pub(super) fn compare<'d>(
        &'d self,
        draft: &'d Draft,
    ) -> impl Iterator<Item = (Option<&'d KeyRecord>, Option<&'d Arc<KeyRecord>>)> {
        let before = |id| self.by_id.get(id).map(Arc::as_ref);
        draft.keys.iter().map(move |(id, after)| (before(id), after.as_ref()))
    }

    pub(super) fn close(&mut self, draft: Draft, events: Vec<AuditEvent>) {
        for (id, record) in draft.keys {
            match record {
                Some(record) => self.enter(record),
                None => self.strike(&id),
            }
        }
        self.tenants.extend(draft.tenants);
        self.events.extend(events);
        let surplus = self.events.len().saturating_sub(EVENTS);
        self.events.drain(..surplus);
    }

    fn enter(&mut self, record: Arc<KeyRecord>) {
        let id = record.id().clone();
        self.by_digest.insert(*record.digest(), id.clone());
        match self.by_id.insert(id.clone(), Arc::clone(&record)) {
            Some(before) if before.digest() != record.digest() => {
                self.by_digest.remove(before.digest());
            }
            Some(_) => {}
            None => {
                let keys = self.of_tenant.entry(record.tenant().id().clone()).or_default();
                keys.insert(self.issued, id);
                self.issued += 1;
            }
        }
    }

    fn strike(&mut self, id: &KeyId) {
        let Some(record) = self.by_id.remove(id) else { return };
        self.by_digest.remove(record.digest());
        if let Some(keys) = self.of_tenant.get_mut(record.tenant().id()) {
            keys.retain(|_, other| other != id);
        }
    }
}

impl Draft {
    /// Adds `change`, as `books` and the changes before it allow.
    pub(super) fn make(&mut self, books: &Books, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Insert(record) => self.insert(books, record),
            Change::Replace(record) => self.replace(books, record),
            Change::Delete { tenant, id } => self.delete(books, &tenant, id),
            Change::PutTenant(tenant) => {
                self.put_tenant(books, Arc::new(tenant));
                Ok(())
            }
        }
    }

    pub(super) fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    fn insert(&mut self, books: &Books, record: KeyRecord) -> Result<(), StoreError> {
        if self.get(books, record.id()).is_some() || self.owner(books, record.digest()).is_some() {
            return Err(StoreError::conflict("a key with this id or digest exists"));
        }
        self.keep(books, record);
        Ok(())
    }

    fn replace(&mut self, books: &Books, record: KeyRecord) -> Result<(), StoreError> {
        let kept = self.get(books, record.id());
        let kept = kept.filter(|kept| kept.tenant().id() == record.tenant().id());
        if kept.is_none_or(|kept| kept.revision() != record.revision()) {
            return Err(StoreError::conflict("the key was changed or removed meanwhile"));
        }
        if self.owner(books, record.digest()).is_some_and(|owner| owner != record.id()) {
            return Err(StoreError::conflict("a key with this digest exists"));
        }
        let next = record.revision().wrapping_add(1);
        self.keep(books, record.with_revision(next));
        Ok(())
    }

    fn delete(&mut self, books: &Books, tenant: &TenantId, id: KeyId) -> Result<(), StoreError> {
        if self.get(books, &id).is_none_or(|kept| kept.tenant().id() != tenant) {
            return Err(StoreError::conflict("there is no such key"));
        }
        self.keys.insert(id, None);
        Ok(())
    }

    fn put_tenant(&mut self, books: &Books, tenant: Arc<Tenant>) {
        self.tenants.insert(tenant.id().clone(), Arc::clone(&tenant));
        let drafted = self.keys.values().flatten().map(|record| record.id().clone());
        let ids: Vec<_> =
            books.keys_of(tenant.id()).map(|r| r.id().clone()).chain(drafted).collect();
        for id in ids {
            let record = self.get(books, &id).filter(|r| r.tenant().id() == tenant.id()).cloned();
            if let Some(record) = record {
                let record = KeyRecord::clone(&record).with_tenant(Arc::clone(&tenant));
                self.keys.insert(id, Some(Arc::new(record)));
            }
        }
    }

    /// A record's tenant is the one kept already, if there is one: a suspended tenant gets no key
    /// that works.
    fn keep(&mut self, books: &Books, record: KeyRecord) {
        let given = record.tenant();
        let kept = self.tenants.get(given.id()).or_else(|| books.tenants.get(given.id()));
        let tenant = Arc::clone(kept.unwrap_or(given));
        self.tenants.insert(tenant.id().clone(), Arc::clone(&tenant));
        let record = record.with_tenant(tenant);
        self.keys.insert(record.id().clone(), Some(Arc::new(record)));
    }

    fn get<'d>(&'d self, books: &'d Books, id: &KeyId) -> Option<&'d Arc<KeyRecord>> {
        match self.keys.get(id) {
            Some(drafted) => drafted.as_ref(),
            None => books.by_id.get(id),
        }
    }

    /// The key that has this digest.
    fn owner<'d>(&'d self, books: &'d Books, digest: &KeyDigest) -> Option<&'d KeyId> {
        let drafted = self.keys.values().flatten().find(|record| record.digest() == digest);
        let kept = || books.by_digest.get(digest).filter(|id| !self.keys.contains_key(*id));
        drafted.map(|record| record.id()).or_else(kept)
    }
}
