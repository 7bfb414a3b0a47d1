//! Keeps keys under the digest of now, behind the requests that have shown their texts.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::signal::Signal;
use crate::store::{Action, AuditEvent, Change, Commit, KeyAdmin, StoreError};
use crate::{Clock, ConfigError, KeyDigest, KeyId, KeyRecord, KeyStatus, SystemClock, TenantId};

/// Keys that wait to be kept under a new digest, at most.
const CAPACITY: usize = 10_000;

/// Keys that were used and are kept under a digest of former times: with a retired
/// [`Pepper`](crate::Pepper), or without one.
///
/// A gate [notes](crate::Peppers::upgrades) them without waiting for anything; a task of yours keeps
/// them anew. What is lost on the way (a store that is away, a queue that is full, a process that
/// ends) is noted again when the key is next used. Clones share the queue.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use keygate::lifecycle::Upgrades;
/// use keygate::store::MemoryStore;
/// use keygate::{AuthLayer, Pepper, Peppers};
///
/// let store = MemoryStore::new();
/// let upgrades = Upgrades::new();
/// let peppers = Peppers::new(Pepper::new("this year's secret, 32 bytes or more")?)
///     .accept_plain()
///     .upgrades(&upgrades);
/// let gate = AuthLayer::new(store.clone()).peppers(peppers);
///
/// let task = tokio::spawn({
///     let upgrades = upgrades.clone();
///     async move { upgrades.run(&store).await }
/// });
/// // … serve, and when the server has stopped:
/// upgrades.close();
/// task.await?;
/// # let _ = gate;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Upgrades {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    actor: Arc<str>,
}

struct Shared {
    capacity: usize,
    /// By the digest of now: a key that is used a thousand times waits once.
    waiting: Mutex<HashMap<KeyDigest, Upgrade>>,
    signal: Signal,
    dropped: AtomicU64,
    failed: AtomicU64,
}

struct Upgrade {
    tenant: TenantId,
    id: KeyId,
    from: KeyDigest,
    to: KeyDigest,
}

impl Default for Upgrades {
    fn default() -> Self {
        Self::new()
    }
}

impl Upgrades {
    /// An empty queue for 10,000 keys. Audit events name the actor `keygate`.
    pub fn new() -> Self {
        Self::of(CAPACITY)
    }

    /// An empty queue for so many keys; those above it are noted when they are next used.
    ///
    /// # Errors
    ///
    /// When it is 0.
    pub fn with_capacity(keys: usize) -> Result<Self, ConfigError> {
        if keys == 0 {
            return Err(ConfigError::invalid("queue of upgrades", keys, "room for nothing"));
        }
        Ok(Self::of(keys))
    }

    fn of(capacity: usize) -> Self {
        let shared = Shared {
            capacity,
            waiting: Mutex::default(),
            signal: Signal::default(),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
            clock: Arc::new(SystemClock::new()),
            actor: "keygate".into(),
        }
    }

    /// The same queue, with another clock for the times of audit events.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same queue, with another actor's name in audit events.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<Arc<str>>) -> Self {
        self.actor = actor.into();
        self
    }

    /// Keeps keys anew in `store` as they are noted, until [`close`](Self::close) is called and the
    /// queue is empty. Spawn it on the runtime of your choice.
    pub async fn run<S: KeyAdmin + ?Sized>(&self, store: &S) {
        while !self.shared.signal.is_closed() {
            self.shared.signal.raised().await;
            self.drain(store).await;
        }
        self.drain(store).await;
    }

    /// Keeps those keys anew that wait now; how many that were. Once the store is away the rest has
    /// failed too, and is noted again when it is used.
    pub async fn drain<S: KeyAdmin + ?Sized>(&self, store: &S) -> usize {
        let (mut done, mut is_away) = (0, false);
        for upgrade in self.take() {
            let made = if is_away { Ok(None) } else { self.make(store, &upgrade).await.map(Some) };
            is_away = is_away || made.as_ref().is_err_and(StoreError::is_unavailable);
            match made {
                Ok(Some(made)) => done += usize::from(made),
                Ok(None) | Err(_) => count(&self.shared.failed),
            }
        }
        done
    }

    /// Ends [`run`](Self::run) after what waits. To be called when the server has stopped.
    pub fn close(&self) {
        self.shared.signal.close();
    }

    /// How many keys wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().len()
    }

    /// How often a key was not noted because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// How often the store failed to keep a key anew. It is tried again when the key is next used.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Never waits for more than another thread's insertion.
    pub(crate) fn note(&self, record: &KeyRecord, to: KeyDigest) {
        let mut waiting = self.shared.lock();
        if waiting.contains_key(&to) {
            return;
        }
        if waiting.len() >= self.shared.capacity {
            return count(&self.shared.dropped);
        }
        let (tenant, id) = (record.tenant().id().clone(), record.id().clone());
        waiting.insert(to, Upgrade { tenant, id, from: *record.digest(), to });
        drop(waiting);
        self.shared.signal.raise();
    }

    fn take(&self) -> Vec<Upgrade> {
        self.shared.lock().drain().map(|(_, upgrade)| upgrade).collect()
    }

    /// The record is read again: it may have been changed since the request, or revoked.
    async fn make<S: KeyAdmin + ?Sized>(
        &self,
        store: &S,
        upgrade: &Upgrade,
    ) -> Result<bool, StoreError> {
        let record = store.get(&upgrade.tenant, &upgrade.id).await?;
        let record = record.filter(|record| *record.digest() == upgrade.from);
        let Some(record) = record.filter(|record| record.status() != KeyStatus::Revoked) else {
            return Ok(false);
        };
        let change = Change::Replace(KeyRecord::clone(&record).with_digest(upgrade.to));
        match store.commit(Commit::new(vec![change], vec![self.event(upgrade)])).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn event(&self, upgrade: &Upgrade) -> AuditEvent {
        let (now, actor) = (self.clock.now(), Arc::clone(&self.actor));
        let Upgrade { tenant, id, .. } = upgrade;
        AuditEvent::new(now, actor, Action::Rehashed, tenant.clone(), Some(id.clone()))
    }
}

impl Shared {
    /// A panic elsewhere leaves a map that is whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<KeyDigest, Upgrade>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrades")
            .field("waiting", &self.waiting())
            .field("dropped", &self.dropped())
            .field("failed", &self.failed())
            .finish_non_exhaustive()
    }
}
