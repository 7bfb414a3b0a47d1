//! What requests read: records by digest and tenants by name, without a lock.

use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use papaya::{HashMap, ResizeMode};

use super::books::{Books, Draft};
use crate::{KeyDigest, KeyRecord, Tenant, TenantId};

pub(super) struct Readers {
    /// The hash is keyed, though digests are uniform: whoever brings keys of his own can choose them.
    records: HashMap<KeyDigest, Arc<KeyRecord>, DefaultHashBuilder>,
    tenants: HashMap<TenantId, Arc<Tenant>, DefaultHashBuilder>,
}

impl Default for Readers {
    fn default() -> Self {
        Self { records: map(), tenants: map() }
    }
}

/// A map that grows in one go: one that grows bit by bit stays slow to read for long after.
fn map<K, V>() -> HashMap<K, V, DefaultHashBuilder> {
    let builder = HashMap::builder().hasher(DefaultHashBuilder::default());
    builder.resize_mode(ResizeMode::Blocking).build()
}

impl Readers {
    pub(super) fn record(&self, digest: &KeyDigest) -> Option<Arc<KeyRecord>> {
        self.records.pin().get(digest).cloned()
    }

    pub(super) fn tenant(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.tenants.pin().get(id).cloned()
    }

    /// Puts a draft in force. All new digests come before an old one goes: a key that is kept under
    /// another digest is always found under one of them, and one that takes over the digest of
    /// another keeps it.
    pub(super) fn publish(&self, books: &Books, draft: &Draft) {
        let tenants = self.tenants.pin();
        for tenant in draft.tenants() {
            tenants.insert(tenant.id().clone(), Arc::clone(tenant));
        }
        let records = self.records.pin();
        for record in draft.kept() {
            records.insert(*record.digest(), Arc::clone(record));
        }
        for ended in draft.ended(books) {
            let is_own = |now: &Arc<KeyRecord>| now.id() == ended.id();
            if records.get(ended.digest()).is_some_and(is_own) {
                records.remove(ended.digest());
            }
        }
    }
}
