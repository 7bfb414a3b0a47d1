//! The keys of a store: who may look at them, and in whose name they are changed.

use std::fmt;
use std::sync::Arc;

use super::{DueRotation, KeysBy, KeysError};
use crate::store::{KeyAdmin, KeyFilter, KeyPage};
use crate::{
    Clock, KeyDigest, KeyFormat, KeyId, KeyRecord, KeyToken, Peppers, SystemClock, TenantId,
    Timestamp,
};

/// The largest page that a listing has.
const PAGE: usize = 1000;

/// The keys of a store, to be issued, listed, changed, rotated and ended.
///
/// Every call names the tenant: a key of another tenant is not there. What changes a key needs
/// somebody who does it: [`by`](Self::by).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use std::time::Duration;
///
/// use keygate::store::MemoryStore;
/// use keygate::{KeyFormat, Keys, NewKey, ScopeSet, TenantId};
///
/// let keys = Keys::new(MemoryStore::new(), KeyFormat::sk());
/// let access = ScopeSet::new(["read:customers"])?;
/// let issued = keys.by("ann").issue(NewKey::new("acme", "billing job").access(access)).await?;
/// println!("keep it well, you won't see it again: {}", issued.token.reveal());
///
/// let acme = TenantId::from("acme");
/// let day = Duration::from_secs(86_400);
/// let next = keys.by("ann").rotate(&acme, issued.record.id(), day).await?;
/// let old = keys.get(&acme, issued.record.id()).await?;
/// assert_eq!(old.successor(), Some(next.record.id())); // and works until tomorrow
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Keys<S> {
    store: S,
    format: KeyFormat,
    peppers: Option<Peppers>,
    clock: Arc<dyn Clock>,
}

impl<S: KeyAdmin> Keys<S> {
    /// The keys of `store`; new ones look as `format` says.
    pub fn new(store: S, format: KeyFormat) -> Self {
        Self { store, format, peppers: None, clock: Arc::new(SystemClock::new()) }
    }

    /// The clock by which keys are made and end.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// New keys are kept under digests with the current pepper. To be the same as the gate's, which
    /// does not find them otherwise.
    #[must_use]
    pub fn peppers(mut self, peppers: Peppers) -> Self {
        self.peppers = Some(peppers);
        self
    }

    /// The keys, in the hands of `actor`: a user's id, a job's name. Audit events name it.
    pub fn by(&self, actor: impl Into<Arc<str>>) -> KeysBy<'_, S> {
        KeysBy::new(self, actor.into())
    }

    /// One key of a tenant.
    ///
    /// # Errors
    ///
    /// [`NotFound`](KeysError::NotFound), [`Store`](KeysError::Store).
    pub async fn get(&self, tenant: &TenantId, id: &KeyId) -> Result<Arc<KeyRecord>, KeysError> {
        let found = self.store.get(tenant, id).await.map_err(KeysError::Store)?;
        found.ok_or(KeysError::NotFound)
    }

    /// A page of a tenant's keys, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Store`](KeysError::Store).
    pub async fn list(&self, tenant: &TenantId, filter: &KeyFilter) -> Result<KeyPage, KeysError> {
        self.store.list(tenant, filter).await.map_err(KeysError::Store)
    }

    /// The tenant's keys that are to be replaced now, or whose replacement is to be announced; see
    /// [`DueRotation::of`]. For a scheduler of yours, once a day or so.
    ///
    /// It reads all of the tenant's active keys, page by page. Keys that others delete meanwhile may
    /// hide a key until the next time.
    ///
    /// # Errors
    ///
    /// [`Store`](KeysError::Store).
    pub async fn due(&self, tenant: &TenantId) -> Result<Vec<DueRotation>, KeysError> {
        let now = self.now();
        let mut due = Vec::new();
        for page in 1.. {
            let filter = KeyFilter::new().active(true).page(page, PAGE);
            let listed = self.list(tenant, &filter).await?;
            due.extend(listed.keys.iter().filter_map(|key| DueRotation::of(key, now)));
            if listed.keys.is_empty() || filter.offset() + listed.keys.len() >= listed.total {
                break;
            }
        }
        Ok(due)
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    pub(super) fn format(&self) -> &KeyFormat {
        &self.format
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn digest(&self, token: &KeyToken) -> KeyDigest {
        match &self.peppers {
            Some(peppers) => peppers.current().digest(token.reveal()),
            None => token.digest(),
        }
    }
}

impl<S> fmt::Debug for Keys<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("format", &self.format)
            .field("peppers", &self.peppers)
            .finish_non_exhaustive()
    }
}
