//! Looking a key up by each of the digests under which it may be kept.

use std::sync::Arc;

use crate::authenticator::Authenticator;
use crate::credential::Marks;
use crate::key::verify::Presented;
use crate::key::{EnvironmentPolicy, Peppers};
use crate::outcome::{Answer, Identity};
use crate::store::{KeyStore, StoreError};
use crate::{KeyDigest, KeyRecord, KeyStatus};

type Found = Result<Option<Arc<KeyRecord>>, StoreError>;

impl Authenticator {
    /// Asks for the digest of now, then for those of former times, until one is known.
    ///
    /// A key that no digest finds is looked up by the digest of now once more: it may have been kept
    /// under another one while it was looked for, and keys only ever move to the digest of now. What
    /// memory knew before can't answer that.
    #[inline(never)]
    pub(crate) fn ask_peppered(
        &self,
        peppers: &Arc<Peppers>,
        key: &[u8],
        marks: Marks,
    ) -> Identity {
        let now = peppers.current().digest_bytes(key);
        let admitted = self.environments;
        let asking = Asking { peppers: Arc::clone(peppers), now, marks, admitted };
        let mut missed = 0;
        for digest in asking.candidates(key) {
            match self.store.peek(&digest) {
                Some(Ok(None)) => missed += 1,
                Some(found) => return Identity::Known(asking.answer(digest, found)),
                None => break,
            }
        }
        let rest: Vec<_> = asking.candidates(key).skip(missed).collect();
        if rest.is_empty() && !peppers.has_former() {
            return Identity::Known(asking.answer(now, Ok(None)));
        }
        self.ask_later(rest, asking)
    }

    /// The future holds the digests, not the key.
    fn ask_later(&self, digests: Vec<KeyDigest>, asking: Asking) -> Identity {
        let store = Arc::clone(&self.store);
        Identity::Asked(Box::pin(async move {
            for digest in digests {
                match store.find(&digest).await {
                    Ok(None) => {}
                    found => return asking.answer(digest, found),
                }
            }
            // Without former digests nothing can move.
            let found = match asking.peppers.has_former() {
                true => store.find_again(&asking.now).await,
                false => Ok(None),
            };
            asking.answer(asking.now, found)
        }))
    }
}

/// What is to be done with what a store finds.
#[derive(Clone)]
struct Asking {
    peppers: Arc<Peppers>,
    now: KeyDigest,
    marks: Marks,
    admitted: EnvironmentPolicy,
}

impl Asking {
    fn candidates<'k>(&'k self, key: &'k [u8]) -> impl Iterator<Item = KeyDigest> + 'k {
        std::iter::once(self.now).chain(self.peppers.former(key))
    }

    /// Whoever has shown the text has shown that the digest of now is this key's, whatever becomes
    /// of the request.
    fn answer(&self, digest: KeyDigest, found: Found) -> Answer {
        if let (Ok(Some(record)), Some(upgrades)) = (&found, self.peppers.noted()) {
            let is_former = *record.digest() == digest && digest != self.now;
            if is_former && record.status() != KeyStatus::Revoked {
                upgrades.note(record, self.now);
            }
        }
        let Self { marks, admitted, .. } = *self;
        Presented { digest, marks, admitted }.answer(found)
    }
}
