//! Records to test with, and short ways to ask a store.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::store::{Action, AuditEvent, KeyAdmin, KeyFilter, KeyPage, StoreError};
use crate::{
    Access, Environment, KeyDigest, KeyId, KeyRecord, KeyStatus, Quota, RotationPolicy, ScopeSet,
    Tenant, TenantId, TenantStatus, Timestamp,
};

/// 2027-01-15, and some nanoseconds that a store must not lose.
pub(super) const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000_123_456_789);

pub(super) fn acme() -> TenantId {
    TenantId::from("acme")
}

/// A key of acme.
pub(super) fn key(id: &str) -> KeyRecord {
    key_of("acme", id)
}

/// A key whose digest is that of its id.
pub(super) fn key_of(tenant: &str, id: &str) -> KeyRecord {
    KeyRecord::new(id, KeyDigest::of(id), Tenant::new(tenant))
}

pub(super) fn suspended(id: &str) -> Tenant {
    Tenant::new(id).with_status(TenantStatus::Suspended)
}

/// A key of which every fact differs from what a new record has.
pub(super) fn full(id: &str) -> KeyRecord {
    let read = |error: crate::ConfigError| -> ! { panic!("the sample is wrong: {error}") };
    let scopes = ScopeSet::new(["read:*", "write:contacts"]).unwrap_or_else(|e| read(e));
    let quota = Quota::new(77, Duration::from_millis(1_234)).unwrap_or_else(|e| read(e));
    let rotation = RotationPolicy::new(90, 7).unwrap_or_else(|e| read(e));
    let day = |n: u64| NOW.saturating_add(Duration::from_secs(86_400 * n));
    let tenant = Tenant::new("acme").with_plan("pro");
    KeyRecord::new(id, KeyDigest::of(id), tenant)
        .with_name("billing job")
        .with_display("sk_live_abcd")
        .with_environment(Environment::Test)
        .with_access(Access::Scopes(scopes))
        .with_created(NOW)
        .with_expires(day(3))
        .with_status(KeyStatus::Inactive)
        .with_networks(["203.0.113.0/24", "2001:db8::/32"].iter().filter_map(|n| n.parse().ok()))
        .with_quota(quota.gcra())
        .with_rotation(rotation)
        .with_successor(KeyId::from("next"), day(2))
        .with_revision(41)
}

pub(super) fn event(action: Action, key: &str) -> AuditEvent {
    AuditEvent::new(NOW, "ann", action, acme(), Some(KeyId::from(key)))
}

/// All that a record says, one fact a line.
pub(super) fn facts(record: &KeyRecord) -> Vec<String> {
    let fact = |name: &str, value: &dyn Debug| format!("{name}: {value:?}");
    vec![
        fact("id", record.id()),
        fact("digest", record.digest().as_bytes()),
        fact("display", &record.display()),
        fact("name", &record.name()),
        fact("tenant", record.tenant()),
        fact("environment", &record.environment()),
        fact("access", record.access()),
        fact("created", &record.created()),
        fact("expires", &record.expires()),
        fact("status", &record.status()),
        fact("networks", &record.networks()),
        fact("quota", &record.quota()),
        fact("rotation", &record.rotation()),
        fact("deprecated", &record.deprecated()),
        fact("successor", &record.successor()),
        fact("revision", &record.revision()),
    ]
}

/// What must succeed.
pub(super) fn must<T>(result: Result<T, StoreError>) -> T {
    let why = |error: StoreError| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    };
    match result.map_err(why) {
        Ok(value) => value,
        Err(why) => panic!("this must succeed, but {why}"),
    }
}

/// A write that must be refused.
pub(super) fn must_conflict(result: Result<(), StoreError>) {
    match result {
        Ok(()) => panic!("this must conflict, but it was made"),
        Err(error) if error.is_conflict() => {}
        Err(error) => panic!("this must conflict, but {error}: {error:?}"),
    }
}

/// The key with the digest of `text`.
pub(super) async fn find(store: &impl KeyAdmin, text: &str) -> Option<Arc<KeyRecord>> {
    must(store.find(&KeyDigest::of(text)).await)
}

/// A key of acme, by id.
pub(super) async fn get(store: &impl KeyAdmin, id: &str) -> Option<Arc<KeyRecord>> {
    must(store.get(&acme(), &KeyId::from(id)).await)
}

/// A key of acme that must be there, as it is to be changed.
pub(super) async fn read(store: &impl KeyAdmin, id: &str) -> KeyRecord {
    match get(store, id).await {
        Some(record) => KeyRecord::clone(&record),
        None => panic!("{id} must be there"),
    }
}

/// The ids of a page of acme's keys, and the total.
pub(super) async fn list(store: &impl KeyAdmin, filter: KeyFilter) -> (Vec<String>, usize) {
    let KeyPage { keys, total } = must(store.list(&acme(), &filter).await);
    (keys.iter().map(|key| key.id().as_str().to_owned()).collect(), total)
}

/// Runs `task` so many times at once, and gives what came of it.
pub(super) async fn at_once<S, T, F>(
    store: &Arc<S>,
    times: usize,
    task: impl Fn(Arc<S>, usize) -> F + Clone + Send + 'static,
) -> Vec<T>
where
    S: Send + Sync + 'static,
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(times));
    let mut tasks = JoinSet::new();
    for n in 0..times {
        let (store, task, start) = (Arc::clone(store), task.clone(), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            task(store, n).await
        });
    }
    tasks.join_all().await
}
