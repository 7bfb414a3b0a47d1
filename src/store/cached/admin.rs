//! What goes through the cache to the store beneath, and what it makes stale.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Cached, Found};
use crate::store::feed::{Invalidation, KeyState};
use crate::store::{
    AuditEvent, Change, Commit, KeyAdmin, KeyFilter, KeyPage, Month, StoreError, TenantDirectory,
    Usage, UsageStore, Use,
};
use crate::{KeyId, KeyRecord, Tenant, TenantId};

#[async_trait]
impl<S: TenantDirectory> TenantDirectory for Cached<S> {
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        self.store.tenant(id).await
    }

    fn peek_tenant(&self, id: &TenantId) -> Option<Result<Option<Arc<Tenant>>, StoreError>> {
        self.store.peek_tenant(id)
    }
}

#[async_trait]
impl<S: UsageStore> UsageStore for Cached<S> {
    async fn add_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.store.add_uses(uses).await
    }

    async fn usage(&self, key: &KeyId, month: Month) -> Result<Usage, StoreError> {
        self.store.usage(key, month).await
    }
}

#[async_trait]
impl<S: KeyAdmin> KeyAdmin for Cached<S> {
    /// As the store beneath has it, and memory learns of its revision: whoever reads what became of
    /// a commit that failed ends what memory may have kept of the time before.
    async fn get(&self, tenant: &TenantId, id: &KeyId) -> Result<Found, StoreError> {
        let found = self.store.get(tenant, id).await?;
        if let Some(record) = &found {
            let state = KeyState::Revision(record.revision());
            self.invalidate(&Invalidation::Key { digest: *record.digest(), state })?;
        }
        Ok(found)
    }

    async fn list(&self, tenant: &TenantId, filter: &KeyFilter) -> Result<KeyPage, StoreError> {
        self.store.list(tenant, filter).await
    }

    /// As the store beneath does it. What it changes is dropped from memory when it is done, and
    /// when nobody knows whether it is: after a failure, and for a call that was dropped.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let mut stale =
            Stale { cache: self, what: self.made_stale_by(&commit).await?, done: false };
        self.store.commit(commit).await?;
        stale.done = true;
        Ok(())
    }

    async fn events(
        &self,
        tenant: &TenantId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        self.store.events(tenant, offset, limit).await
    }
}

impl<S: KeyAdmin> Cached<S> {
    async fn made_stale_by(&self, commit: &Commit) -> Result<Vec<Invalidation>, StoreError> {
        let mut stale = Vec::new();
        for change in &commit.changes {
            match change {
                Change::Insert(record) => {
                    stale.push(Invalidation::inserted(*record.digest(), record.revision()));
                }
                Change::Replace(record) => {
                    stale.extend(self.moved_from(record).await?);
                    let revision = record.revision().wrapping_add(1);
                    stale.push(Invalidation::changed(*record.digest(), revision));
                }
                Change::Delete { tenant, id } => {
                    let kept = self.store.get(tenant, id).await?;
                    stale.extend(kept.map(|record| Invalidation::gone(*record.digest())));
                    // Its digest may change until it is removed.
                    stale.push(Invalidation::Id(id.clone()));
                }
                Change::PutTenant(tenant) => stale.push(Invalidation::Tenant(tenant.id().clone())),
            }
        }
        Ok(stale)
    }

    /// The digest under which `record` was found, if it gets another. The commit succeeds only if
    /// nobody changes it after this was read.
    async fn moved_from(&self, record: &KeyRecord) -> Result<Option<Invalidation>, StoreError> {
        let kept = self.store.get(record.tenant().id(), record.id()).await?;
        let moved = kept.filter(|kept| kept.digest() != record.digest());
        Ok(moved.map(|kept| Invalidation::gone(*kept.digest())))
    }
}

/// What a commit makes stale, to be dropped from memory however the commit ends.
struct Stale<'c, S> {
    cache: &'c Cached<S>,
    what: Vec<Invalidation>,
    done: bool,
}

impl<S> Drop for Stale<'_, S> {
    fn drop(&mut self) {
        for mut what in self.what.drain(..) {
            if let Invalidation::Key { digest, state } = &mut what {
                if !self.done {
                    *state = KeyState::Unknown;
                }
                // A higher revision in memory is no newer one, if the key was removed and made again
                // elsewhere.
                let _ = self.cache.invalidate(&Invalidation::key(*digest));
            }
            // After a panic it is dropped, and nothing is put in any more.
            let _ = self.cache.invalidate(&what);
            if let Some(feed) = &self.cache.settings.announce {
                feed.publish(what);
            }
        }
    }
}
