//! The keys of an issuer: announced, signing, retired.

use std::time::Duration;

use crate::jwt::builder::MAX_LEEWAY;
use crate::jwt::keys::KeySet;
use crate::jwt::ring::{End, KeyRing};
use crate::jwt::signing_key::SigningKey;
use crate::{ConfigError, Timestamp};

/// A set that grows beyond this has no end to its rotations.
const MAX_KEYS: usize = 16;

/// The one that has begun last signs.
#[derive(Clone)]
pub(super) struct Keys(Vec<Slot>);

#[derive(Clone)]
pub(super) struct Slot {
    pub(super) key: SigningKey,
    /// [`Timestamp::MAX`] for one that is announced only.
    pub(super) signs_from: Timestamp,
    /// When the last token that it may have signed has expired; at once for a withdrawn one.
    pub(super) trusted_until: Timestamp,
}

impl Slot {
    fn is_announced(&self) -> bool {
        self.signs_from == Timestamp::MAX
    }
}

impl Keys {
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        Self(slots)
    }

    pub(super) fn only(key: SigningKey, now: Timestamp) -> Self {
        Self(vec![Slot { key, signs_from: now, trusted_until: Timestamp::MAX }])
    }

    /// Those that are trusted at `now`.
    pub(super) fn trusted(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        self.0.iter().filter(move |slot| now < slot.trusted_until).map(|slot| &slot.key)
    }

    pub(super) fn signing(&self, now: Timestamp) -> Option<&SigningKey> {
        let begun = self.0.iter().filter(|slot| slot.signs_from <= now && now < slot.trusted_until);
        begun.max_by_key(|slot| slot.signs_from).map(|slot| &slot.key)
    }

    /// The same keys when `next` signs from `start` on. The others are trusted until what they have
    /// signed by then has expired.
    pub(super) fn rotated(
        &self,
        next: SigningKey,
        start: Timestamp,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        let end = start.saturating_add(lifetime).saturating_add(MAX_LEEWAY);
        let print = next.verifying().print();
        let is_next = |slot: &Slot| slot.key.verifying().print() == print;
        if self.0.iter().any(|slot| is_next(slot) && !slot.is_announced()) {
            return Err(ConfigError::unusable(
                "signing key",
                "it is not new: it signs or has signed",
            ));
        }
        let mut slots = self.0.clone();
        slots.retain(|slot| now < slot.trusted_until && !is_next(slot));
        // One that was to begin then or later has signed nothing, and will not.
        slots.retain(|slot| slot.signs_from < start || slot.is_announced());
        let signed = slots.iter_mut().filter(|slot| !slot.is_announced());
        signed.for_each(|slot| slot.trusted_until = slot.trusted_until.min(end));
        slots.push(Slot { key: next, signs_from: start, trusted_until: Timestamp::MAX });
        Ok(Self(slots))
    }

    /// The set for verifiers, and when keys leave it.
    pub(super) fn set(&self) -> Result<(KeySet, Vec<End>), ConfigError> {
        if self.0.len() > MAX_KEYS {
            let reason = "more than 16 keys at a time: rotated faster than tokens expire";
            return Err(ConfigError::unusable("JWT keys", reason));
        }
        let set = KeySet::new(self.0.iter().map(|slot| slot.key.verifying().clone()).collect())?;
        let ends = self.0.iter().filter(|slot| slot.trusted_until < Timestamp::MAX);
        let end = |slot: &Slot| End { key: slot.key.verifying().print(), at: slot.trusted_until };
        Ok((set, ends.map(end).collect()))
    }

    pub(super) fn ring(&self) -> Result<KeyRing, ConfigError> {
        let (set, ends) = self.set()?;
        Ok(KeyRing::ending(set, ends))
    }
}
