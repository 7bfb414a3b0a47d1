//! Which keys are to be replaced by now, by their rotation policies.

use std::sync::Arc;
use std::time::Duration;

use crate::{KeyRecord, KeyStatus, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

/// What the time asks of whoever looks after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RotationStep {
    /// Its owner is to be told that it will be replaced.
    Announce,
    /// It is to be replaced.
    Rotate,
}

/// A key whose rotation is near, or due.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DueRotation {
    /// The key.
    pub key: Arc<KeyRecord>,
    /// What is to be done.
    pub step: RotationStep,
    /// When it is, or was, to be replaced.
    pub at: Timestamp,
}

impl DueRotation {
    /// What `now` asks for `key`: nothing if it has no policy or its time is far, and nothing if it
    /// can't be rotated any more: it is switched off, revoked, expired, or has a successor.
    ///
    /// A key that would have expired by then is to be replaced as many days before it expires as the
    /// policy gives notice, one at least. One whose time of creation is not known is due.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use keygate::lifecycle::{DueRotation, RotationStep};
    /// use keygate::{KeyDigest, KeyRecord, RotationPolicy, Tenant, Timestamp};
    ///
    /// const DAY: u64 = 86_400;
    /// let made = Timestamp::from_secs(20_000 * DAY);
    /// let key = KeyRecord::new("key_1", KeyDigest::of("…"), Tenant::new("acme"))
    ///     .with_created(made)
    ///     .with_rotation(RotationPolicy::new(90, 7)?);
    /// let key = Arc::new(key);
    /// let step = |day| {
    ///     let due = DueRotation::of(&key, Timestamp::from_secs((20_000 + day) * DAY));
    ///     due.map(|due| due.step)
    /// };
    /// assert_eq!(step(82), None);
    /// assert_eq!(step(83), Some(RotationStep::Announce));
    /// assert_eq!(step(90), Some(RotationStep::Rotate));
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    pub fn of(key: &Arc<KeyRecord>, now: Timestamp) -> Option<Self> {
        let policy = key.rotation()?;
        let ended = key.expires().is_some_and(|end| now >= end);
        if key.status() != KeyStatus::Active || key.successor().is_some() || ended {
            return None;
        }
        let notice = DAY * u32::from(policy.notify_days_before());
        let due = policy.due(key.created());
        let in_time = |end: Timestamp| end.saturating_sub(notice.max(DAY));
        let at = key.expires().filter(|end| *end <= due).map_or(due, in_time);
        let step = if now >= at { RotationStep::Rotate } else { RotationStep::Announce };
        (now >= at.saturating_sub(notice)).then(|| Self { key: Arc::clone(key), step, at })
    }
}
