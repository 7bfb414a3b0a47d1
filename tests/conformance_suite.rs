//! The conformance suite itself: its macro makes tests of any store, a sound store passes, and a
//! store with one fault fails the clauses that the fault breaks.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use keygate::store::conformance::{all, keys_of, outage_of};
use keygate::store::{
    AuditEvent, Change, Commit, KeyAdmin, KeyFilter, KeyPage, KeyStore, MemoryStore, Month,
    StoreError, TenantDirectory, Usage, UsageStore, Use,
};
use keygate::{KeyDigest, KeyId, KeyRecord, Tenant, TenantId};

mod in_one_line {
    keygate::conformance!(super::opened().await);
}

mod by_group {
    use keygate::store::MemoryStore;

    use super::Faulty;

    keygate::conformance! {
        keys: MemoryStore::new(),
        usage: MemoryStore::new(),
        outage: Faulty::new(super::Fault::None).with_outage(),
    }
}

/// Opening takes its time, and needs the runtime.
async fn opened() -> MemoryStore {
    tokio::task::spawn(async { MemoryStore::new() }).await.unwrap()
}

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Changes are made one by one.
    CommitsPiecewise,
    /// A conflict is an error like any other.
    ConflictIsOther,
    EventsOldestFirst,
    /// Events of a commit that conflicts are kept.
    EventsOutlive,
    FindIgnoresCase,
    ForgetsQuota,
    /// A key belongs to the tenant as it was written into its record.
    KeepsTenantOfRecord,
    LastUseOfBatch,
    LastWriterWins,
    TotalOfPage,
}

/// A store in memory with one fault.
struct Faulty {
    inner: MemoryStore,
    fault: Fault,
    away: bool,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self { inner: MemoryStore::new(), fault, away: false }
    }

    fn with_outage(mut self) -> Self {
        self.away = true;
        self
    }

    fn is_there(&self) -> Result<(), StoreError> {
        if self.away { Err(StoreError::unavailable("away")) } else { Ok(()) }
    }

    fn tell(&self, record: Option<Arc<KeyRecord>>) -> Option<Arc<KeyRecord>> {
        let record = KeyRecord::clone(&*record?);
        let tenant = Tenant::new(record.tenant().id().clone());
        Some(Arc::new(match self.fault {
            Fault::ForgetsQuota => record.with_quota(None),
            Fault::KeepsTenantOfRecord => record.with_tenant(tenant),
            _ => record,
        }))
    }

    /// The change as a store without revisions makes it.
    async fn forced(&self, change: Change) -> Change {
        let Change::Replace(record) = change else { return change };
        let kept = self.inner.get(record.tenant().id(), record.id()).await.unwrap();
        let revision = kept.map_or(record.revision(), |kept| kept.revision());
        Change::Replace(record.with_revision(revision))
    }
}

#[async_trait]
impl KeyStore for Faulty {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.is_there()?;
        Ok(self.tell(self.inner.find(digest).await?))
    }
}

#[async_trait]
impl TenantDirectory for Faulty {
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        match self.fault {
            Fault::FindIgnoresCase => {
                let lower = TenantId::new(id.as_str().to_lowercase());
                let title = TenantId::from("Acme");
                let id = if lower.as_str() == "acme" { &title } else { id };
                self.inner.tenant(id).await
            }
            _ => self.inner.tenant(id).await,
        }
    }
}

#[async_trait]
impl KeyAdmin for Faulty {
    async fn get(
        &self,
        tenant: &TenantId,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.is_there()?;
        Ok(self.tell(self.inner.get(tenant, id).await?))
    }

    async fn list(&self, tenant: &TenantId, filter: &KeyFilter) -> Result<KeyPage, StoreError> {
        self.is_there()?;
        let mut page = self.inner.list(tenant, filter).await?;
        page.keys = page.keys.into_iter().filter_map(|key| self.tell(Some(key))).collect();
        if self.fault == Fault::TotalOfPage {
            page.total = page.keys.len();
        }
        Ok(page)
    }

    async fn commit(&self, mut commit: Commit) -> Result<(), StoreError> {
        self.is_there()?;
        match self.fault {
            Fault::CommitsPiecewise => {
                for change in commit.changes.drain(..) {
                    self.inner.commit(change.into()).await?;
                }
            }
            Fault::EventsOutlive => {
                self.inner.commit(Commit::new(Vec::new(), commit.events.split_off(0))).await?;
            }
            Fault::LastWriterWins => {
                for n in 0..commit.changes.len() {
                    commit.changes[n] = self.forced(commit.changes[n].clone()).await;
                }
            }
            _ => {}
        }
        let done = self.inner.commit(commit).await;
        match self.fault {
            Fault::ConflictIsOther => done.map_err(StoreError::other),
            _ => done,
        }
    }

    async fn events(
        &self,
        tenant: &TenantId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        self.is_there()?;
        let mut events = self.inner.events(tenant, offset, limit).await?;
        if self.fault == Fault::EventsOldestFirst {
            events.reverse();
        }
        Ok(events)
    }
}

#[async_trait]
impl UsageStore for Faulty {
    async fn add_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.inner.add_uses(uses).await
    }

    async fn usage(&self, key: &KeyId, month: Month) -> Result<Usage, StoreError> {
        let mut usage = self.inner.usage(key, month).await?;
        if self.fault == Fault::LastUseOfBatch && usage.total == 0 {
            usage.last_used = None;
        }
        Ok(usage)
    }
}

/// The clauses that a store with this fault fails.
fn failed(fault: Fault) -> Vec<&'static str> {
    let clauses = all(move || async move { Faulty::new(fault) });
    let fails = |clause: keygate::store::conformance::Clause| {
        let name = clause.name();
        catch_unwind(AssertUnwindSafe(|| clause.run())).is_err().then_some(name)
    };
    clauses.into_iter().filter_map(fails).collect()
}

#[test]
fn a_sound_store_passes() {
    assert_eq!(failed(Fault::None), [""; 0]);
}

#[test]
fn each_fault_fails_the_clauses_that_it_breaks() {
    let table: [(Fault, &[&str]); 10] = [
        (Fault::CommitsPiecewise, &["a_conflict_leaves_nothing_of_a_commit"]),
        (
            Fault::ConflictIsOther,
            &["an_id_is_inserted_once", "a_deleted_key_is_gone_from_everywhere"],
        ),
        (Fault::EventsOldestFirst, &["events_come_back_newest_first", "events_are_paged"]),
        (Fault::EventsOutlive, &["a_conflict_leaves_nothing_of_a_commit"]),
        (Fault::FindIgnoresCase, &["tenants_names_are_compared_exactly"]),
        (Fault::ForgetsQuota, &["every_field_comes_back"]),
        (Fault::KeepsTenantOfRecord, &["a_tenants_change_reaches_its_keys"]),
        (Fault::LastUseOfBatch, &["months_are_told_apart_to_the_nanosecond"]),
        (Fault::LastWriterWins, &["replace_refuses_what_was_changed_meanwhile"]),
        (Fault::TotalOfPage, &["pages_cut_the_listing"]),
    ];
    for (fault, expected) in table {
        let failed = failed(fault);
        assert!(expected.iter().all(|name| failed.contains(name)), "{fault:?}: {failed:?}");
        assert!(failed.len() < 15, "the suite tells what is wrong: {fault:?}: {failed:?}");
    }
}

#[test]
fn a_store_that_hides_an_outage_fails() {
    let clauses = outage_of(async || MemoryStore::new());
    assert_eq!(clauses.len(), 5);
    for clause in clauses {
        let name = clause.name();
        assert!(catch_unwind(AssertUnwindSafe(|| clause.run())).is_err(), "{name}");
    }
}

#[test]
fn clauses_have_names_of_their_own() {
    let clauses = all(async || MemoryStore::new());
    let mut names: Vec<_> = clauses.iter().map(|clause| clause.name()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), count), (count, 53));
    assert!(keys_of(async || MemoryStore::new()).len() < count);
    assert_eq!(format!("{:?}", clauses[0]), "Clause(\"an_unknown_digest_is_none\")");
}
