//! Every way in which a key changes, each one commit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Issued, Keys, KeysError, NewKey};
use crate::store::{Action, AuditEvent, Change, Commit, KeyAdmin, StoreError};
use crate::{KeyId, KeyRecord, KeyStatus, TenantId, Timestamp};

/// How often a change is tried while others change the same key. Of those who try at once one always
/// succeeds, so that many changes of one key at one time have all been made.
const ATTEMPTS: usize = 64;

/// Keys in somebody's hands; made by [`Keys::by`].
///
/// Every change is one atomic [`Commit`] with one [`AuditEvent`] for each key that it makes or
/// changes. What changes nothing (to revoke a revoked key) writes nothing.
pub struct KeysBy<'k, S> {
    keys: &'k Keys<S>,
    actor: Arc<str>,
}

/// The old key's end, and what comes after it.
#[derive(Clone, Copy)]
enum End {
    After(Duration),
    Revoked,
}

impl<'k, S: KeyAdmin> KeysBy<'k, S> {
    pub(super) fn new(keys: &'k Keys<S>, actor: Arc<str>) -> Self {
        Self { keys, actor }
    }

    /// Makes a key. Its secret is in the answer, and nowhere else.
    ///
    /// # Errors
    ///
    /// [`Expired`](KeysError::Expired) when it would have expired already,
    /// [`Generate`](KeysError::Generate), [`Store`](KeysError::Store). A key that the store kept
    /// although it failed shows in listings; nobody has its secret.
    pub async fn issue(&self, key: NewKey) -> Result<Issued, KeysError> {
        let now = self.keys.now();
        if key.is_expired(now) {
            return Err(KeysError::Expired);
        }
        let issued = self.make(key, now)?;
        self.insert(&issued.record, Action::Issued, now).await?;
        Ok(issued)
    }

    /// Takes in a key that was made elsewhere: its record as it is, with a
    /// [digest](crate::KeyDigest::from_hex) that was kept there. A gate finds it where it makes its
    /// digests in the same way; see [`Peppers`](crate::Peppers).
    ///
    /// # Errors
    ///
    /// [`Exists`](KeysError::Exists) when its id or digest is known, [`Store`](KeysError::Store).
    pub async fn import(&self, record: KeyRecord) -> Result<Arc<KeyRecord>, KeysError> {
        let record = Arc::new(record.with_revision(0));
        self.insert(&record, Action::Imported, self.keys.now()).await?;
        Ok(record)
    }

    /// Changes what may be changed of a key: its name, access, expiry, networks, quota and rotation
    /// policy, as `change` tells. All else stays, whatever `change` makes of it.
    ///
    /// `change` is called again with what others have written meanwhile, so that nobody's change is
    /// lost; it must look at nothing but what it is given.
    ///
    /// # Errors
    ///
    /// [`NotFound`](KeysError::NotFound), [`Revoked`](KeysError::Revoked),
    /// [`Contended`](KeysError::Contended), [`Store`](KeysError::Store).
    pub async fn update(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        change: impl Fn(KeyRecord) -> KeyRecord,
    ) -> Result<Arc<KeyRecord>, KeysError> {
        let edit = |old: &KeyRecord| {
            check_living(old)?;
            Ok(Some(edited(old, change(old.clone()))))
        };
        self.alter(tenant, id, Action::Updated, edit).await
    }

    /// Switches a key off, until it is [reactivated](Self::reactivate).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub async fn deactivate(
        &self,
        tenant: &TenantId,
        id: &KeyId,
    ) -> Result<Arc<KeyRecord>, KeysError> {
        self.put(tenant, id, KeyStatus::Inactive, Action::Deactivated).await
    }

    /// Switches a key on again. A revoked one stays revoked.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub async fn reactivate(
        &self,
        tenant: &TenantId,
        id: &KeyId,
    ) -> Result<Arc<KeyRecord>, KeysError> {
        self.put(tenant, id, KeyStatus::Active, Action::Reactivated).await
    }

    /// Ends a key for good. Its record stays, for those who look back.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), but for `Revoked`: what is ended already is as it should be.
    pub async fn revoke(&self, tenant: &TenantId, id: &KeyId) -> Result<Arc<KeyRecord>, KeysError> {
        let end = |old: &KeyRecord| {
            let lives = old.status() != KeyStatus::Revoked;
            Ok(lives.then(|| old.clone().with_status(KeyStatus::Revoked)))
        };
        self.alter(tenant, id, Action::Revoked, end).await
    }

    /// Removes a key and its record. Its audit events stay.
    ///
    /// # Errors
    ///
    /// [`NotFound`](KeysError::NotFound), [`Store`](KeysError::Store).
    pub async fn delete(&self, tenant: &TenantId, id: &KeyId) -> Result<(), KeysError> {
        let change = Change::Delete { tenant: tenant.clone(), id: id.clone() };
        let event = self.event(self.keys.now(), Action::Deleted, tenant, id);
        match self.keys.store().commit(Commit::new(vec![change], vec![event])).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_conflict() => Err(KeysError::NotFound),
            Err(error) => Err(KeysError::Store(error)),
        }
    }

    /// Makes a successor of a key, and keeps the old one working for `overlap` more, or until it
    /// expires by itself: in one commit, so that there is never none that works. Until then answers
    /// to the old key carry `Deprecation` and `Sunset`.
    ///
    /// The successor has the same name, tenant, environment, access, networks, quota and rotation
    /// policy, and a new id, secret and time of creation. It lives as long as the old key was made to
    /// live, from now on: a key that had 90 days gets a successor with 90 days, one that never
    /// expires, one that never does. Where it is not known when the old key was made
    /// ([`Timestamp::EPOCH`]), its successor expires when it would have.
    ///
    /// # Errors
    ///
    /// [`NotFound`](KeysError::NotFound), [`Revoked`](KeysError::Revoked),
    /// [`Inactive`](KeysError::Inactive), [`Expired`](KeysError::Expired),
    /// [`AlreadyRotated`](KeysError::AlreadyRotated), [`Generate`](KeysError::Generate),
    /// [`Contended`](KeysError::Contended), [`Store`](KeysError::Store).
    pub async fn rotate(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        overlap: Duration,
    ) -> Result<Issued, KeysError> {
        self.succeed(tenant, id, End::After(overlap)).await
    }

    /// Makes a successor of a key that has leaked: as [`rotate`](Self::rotate), but the old key is
    /// revoked in the same commit.
    ///
    /// # Errors
    ///
    /// As [`rotate`](Self::rotate).
    pub async fn rotate_now(&self, tenant: &TenantId, id: &KeyId) -> Result<Issued, KeysError> {
        self.succeed(tenant, id, End::Revoked).await
    }

    async fn succeed(&self, tenant: &TenantId, id: &KeyId, end: End) -> Result<Issued, KeysError> {
        let draft = |old: &Arc<KeyRecord>| {
            let now = self.keys.now();
            check_rotatable(old, now)?;
            let next = self.make(NewKey::after(old, now), now)?;
            let new = next.record.id();
            let changes = vec![
                Change::Insert(KeyRecord::clone(&next.record)),
                Change::Replace(ended(old, new, end, now)),
            ];
            let events = vec![
                self.event(now, Action::Issued, tenant, new),
                self.event(now, Action::Rotated, tenant, id),
            ];
            Ok((next, Commit::new(changes, events)))
        };
        self.retry(tenant, id, draft).await
    }

    async fn put(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        status: KeyStatus,
        action: Action,
    ) -> Result<Arc<KeyRecord>, KeysError> {
        let put = |old: &KeyRecord| {
            check_living(old)?;
            Ok((old.status() != status).then(|| old.clone().with_status(status)))
        };
        self.alter(tenant, id, action, put).await
    }

    /// Writes what `change` makes of the key, or nothing if it makes nothing of it.
    async fn alter(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        action: Action,
        change: impl Fn(&KeyRecord) -> Result<Option<KeyRecord>, KeysError>,
    ) -> Result<Arc<KeyRecord>, KeysError> {
        let draft = |old: &Arc<KeyRecord>| {
            let Some(new) = change(old)? else { return Ok((Arc::clone(old), Commit::default())) };
            let event = self.event(self.keys.now(), action, tenant, id);
            let commit = Commit::new(vec![Change::Replace(new.clone())], vec![event]);
            let next = new.revision().wrapping_add(1);
            Ok((Arc::new(new.with_revision(next)), commit))
        };
        self.retry(tenant, id, draft).await
    }

    /// Reads, drafts and writes, until nobody was faster.
    async fn retry<T>(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        draft: impl Fn(&Arc<KeyRecord>) -> Result<(T, Commit), KeysError>,
    ) -> Result<T, KeysError> {
        let mut faster = StoreError::conflict("nothing was tried");
        for _ in 0..ATTEMPTS {
            let (outcome, commit) = draft(&self.keys.get(tenant, id).await?)?;
            if commit.changes.is_empty() {
                return Ok(outcome);
            }
            match self.keys.store().commit(commit).await {
                Ok(()) => return Ok(outcome),
                Err(error) if error.is_conflict() => faster = error,
                Err(error) => return Err(KeysError::Store(error)),
            }
        }
        Err(KeysError::Contended(faster))
    }

    fn make(&self, key: NewKey, now: Timestamp) -> Result<Issued, KeysError> {
        let format = self.keys.format();
        let token = format.generate(key.environment_of())?;
        let (digest, display) = (self.keys.digest(&token), format.display_prefix(&token));
        let record = Arc::new(key.record(KeyId::random()?, digest, display, now));
        Ok(Issued { token, record })
    }

    async fn insert(
        &self,
        record: &KeyRecord,
        action: Action,
        now: Timestamp,
    ) -> Result<(), KeysError> {
        let event = self.event(now, action, record.tenant().id(), record.id());
        let commit = Commit::new(vec![Change::Insert(record.clone())], vec![event]);
        self.keys.store().commit(commit).await.map_err(|error| match error.is_conflict() {
            true => KeysError::Exists(error),
            false => KeysError::Store(error),
        })
    }

    fn event(&self, at: Timestamp, action: Action, tenant: &TenantId, id: &KeyId) -> AuditEvent {
        AuditEvent::new(at, Arc::clone(&self.actor), action, tenant.clone(), Some(id.clone()))
    }
}

fn edited(old: &KeyRecord, new: KeyRecord) -> KeyRecord {
    old.clone()
        .with_name(new.name())
        .with_access(new.access().clone())
        .with_expires(new.expires())
        .with_networks(new.networks().iter().copied())
        .with_quota(new.quota().cloned())
        .with_rotation(new.rotation())
}

fn ended(old: &KeyRecord, successor: &KeyId, end: End, now: Timestamp) -> KeyRecord {
    let old = old.clone().with_successor(successor.clone(), now);
    match end {
        End::Revoked => old.with_status(KeyStatus::Revoked),
        End::After(overlap) => {
            let last = now.saturating_add(overlap);
            let end = old.expires().map_or(last, |end| end.min(last));
            old.with_expires(end)
        }
    }
}

fn check_living(key: &KeyRecord) -> Result<(), KeysError> {
    if key.status() == KeyStatus::Revoked { Err(KeysError::Revoked) } else { Ok(()) }
}

fn check_rotatable(key: &KeyRecord, now: Timestamp) -> Result<(), KeysError> {
    check_living(key)?;
    if let Some(successor) = key.successor() {
        return Err(KeysError::AlreadyRotated { successor: successor.clone() });
    }
    if key.expires().is_some_and(|end| now >= end) {
        return Err(KeysError::Expired);
    }
    if key.status() == KeyStatus::Active { Ok(()) } else { Err(KeysError::Inactive) }
}

impl<S> fmt::Debug for KeysBy<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeysBy").field("actor", &self.actor).finish_non_exhaustive()
    }
}
