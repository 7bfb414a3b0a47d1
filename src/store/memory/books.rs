//! What a store in memory has written down, and the draft of a commit.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::readers::Readers;
use super::{AuditEvent, Change, StoreError};
use crate::{KeyDigest, KeyId, KeyRecord, Tenant, TenantId};

/// Audit events that are kept; older ones are forgotten.
const EVENTS: usize = 100_000;

/// All that writers read, behind one lock: whoever holds it sees no half of a commit.
#[derive(Default)]
pub(super) struct Books {
    by_id: HashMap<KeyId, Arc<KeyRecord>>,
    /// Each tenant's keys in the order of their issue.
    of_tenant: HashMap<TenantId, BTreeMap<u64, KeyId>>,
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

    pub(super) fn close(&mut self, draft: Draft, events: Vec<AuditEvent>) {
        for (id, record) in draft.keys {
            match record {
                Some(record) => self.enter(record),
                None => self.strike(&id),
            }
        }
        self.events.extend(events);
        let surplus = self.events.len().saturating_sub(EVENTS);
        self.events.drain(..surplus);
    }

    fn enter(&mut self, record: Arc<KeyRecord>) {
        let tenant = record.tenant().id().clone();
        if self.get(&tenant, record.id()).is_none() {
            self.strike(record.id());
            self.of_tenant.entry(tenant).or_default().insert(self.issued, record.id().clone());
            self.issued += 1;
        }
        self.by_id.insert(record.id().clone(), record);
    }

    fn strike(&mut self, id: &KeyId) {
        let Some(record) = self.by_id.remove(id) else { return };
        let tenant = record.tenant().id();
        let Some(keys) = self.of_tenant.get_mut(tenant) else { return };
        keys.retain(|_, other| other != id);
        if keys.is_empty() {
            self.of_tenant.remove(tenant);
        }
    }
}

/// What is kept before a commit.
#[derive(Clone, Copy)]
pub(super) struct Kept<'k> {
    pub(super) books: &'k Books,
    pub(super) readers: &'k Readers,
}

impl Draft {
    /// Adds `change`, as what is kept and the changes before it allow.
    pub(super) fn make(&mut self, kept: Kept<'_>, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Insert(record) => self.insert(kept, record),
            Change::Replace(record) => self.replace(kept, record),
            Change::Delete { tenant, id } => self.delete(kept, &tenant, id),
            Change::PutTenant(tenant) => {
                self.put_tenant(kept, Arc::new(tenant));
                Ok(())
            }
        }
    }

    /// The records that are to be in force.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Arc<KeyRecord>> {
        self.keys.values().flatten()
    }

    /// The records in force whose key is to be gone, or to have another digest.
    pub(super) fn ended<'d>(&'d self, books: &'d Books) -> impl Iterator<Item = &'d KeyRecord> {
        let before = |id| books.by_id.get(id).map(Arc::as_ref);
        let all = self.keys.iter().filter_map(move |(id, after)| Some((before(id)?, after)));
        let moved = |(before, after): &(&KeyRecord, &Option<Arc<KeyRecord>>)| {
            after.as_ref().is_none_or(|after| after.digest() != before.digest())
        };
        all.filter(moved).map(|(before, _)| before)
    }

    pub(super) fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    fn insert(&mut self, kept: Kept<'_>, record: KeyRecord) -> Result<(), StoreError> {
        if self.get(kept, record.id()).is_some() || self.owner(kept, record.digest()).is_some() {
            return Err(StoreError::conflict("a key with this id or digest exists"));
        }
        self.keep(kept, record);
        Ok(())
    }

    fn replace(&mut self, kept: Kept<'_>, record: KeyRecord) -> Result<(), StoreError> {
        let read = self.get(kept, record.id());
        let read = read.filter(|read| read.tenant().id() == record.tenant().id());
        if read.is_none_or(|read| read.revision() != record.revision()) {
            return Err(StoreError::conflict("the key was changed or removed meanwhile"));
        }
        if self.owner(kept, record.digest()).is_some_and(|owner| owner != *record.id()) {
            return Err(StoreError::conflict("a key with this digest exists"));
        }
        let next = record.revision().wrapping_add(1);
        self.keep(kept, record.with_revision(next));
        Ok(())
    }

    fn delete(&mut self, kept: Kept<'_>, tenant: &TenantId, id: KeyId) -> Result<(), StoreError> {
        if self.get(kept, &id).is_none_or(|record| record.tenant().id() != tenant) {
            return Err(StoreError::conflict("there is no such key"));
        }
        self.keys.insert(id, None);
        Ok(())
    }

    fn put_tenant(&mut self, kept: Kept<'_>, tenant: Arc<Tenant>) {
        self.tenants.insert(tenant.id().clone(), Arc::clone(&tenant));
        let all = kept.books.keys_of(tenant.id()).chain(self.keys.values().flatten());
        let ids: Vec<_> = all.map(|record| record.id().clone()).collect();
        for id in ids {
            let record = self.get(kept, &id).filter(|r| r.tenant().id() == tenant.id()).cloned();
            if let Some(record) = record {
                let record = KeyRecord::clone(&record).with_tenant(Arc::clone(&tenant));
                self.keys.insert(id, Some(Arc::new(record)));
            }
        }
    }

    /// A record's tenant is the one kept already, if there is one: a suspended tenant gets no key
    /// that works.
    fn keep(&mut self, kept: Kept<'_>, record: KeyRecord) {
        let id = record.tenant().id().clone();
        let known = self.tenants.get(&id).cloned().or_else(|| kept.readers.tenant(&id));
        let tenant = known.unwrap_or_else(|| Arc::clone(record.tenant()));
        self.tenants.insert(id, Arc::clone(&tenant));
        let record = record.with_tenant(tenant);
        self.keys.insert(record.id().clone(), Some(Arc::new(record)));
    }

    fn get<'d>(&'d self, kept: Kept<'d>, id: &KeyId) -> Option<&'d Arc<KeyRecord>> {
        match self.keys.get(id) {
            Some(drafted) => drafted.as_ref(),
            None => kept.books.by_id.get(id),
        }
    }

    /// The key that has this digest.
    fn owner(&self, kept: Kept<'_>, digest: &KeyDigest) -> Option<KeyId> {
        let drafted = self.kept().find(|record| record.digest() == digest).cloned();
        let known = || kept.readers.record(digest).filter(|r| !self.keys.contains_key(r.id()));
        drafted.or_else(known).map(|record| record.id().clone())
    }
}
