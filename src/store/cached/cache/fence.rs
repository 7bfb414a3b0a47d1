//! What is known of a key's state without having it.
//!
//! An announcement may be faster than the store: a replica that lags answers with what was before.
//! Such an answer must neither be kept nor be believed.

use super::bounded::Bounded;
use super::{Digest, Hash, Value};

/// How long an announcement is remembered, in nanoseconds: a minute, more than replicas lag.
const REMEMBERED: u64 = 60_000_000_000;

/// What was announced of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It was changed, nobody says how.
    Changed,
    /// It was put in with this revision, whatever was there before.
    Inserted(u64),
    /// It has this revision, or a later one.
    Revision(u64),
    /// There is none.
    Gone,
}

/// How an answer of the store stands to what was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    UpToDate,
    /// It may be older.
    Doubtful,
    Outdated,
}

/// What was announced of keys lately. Never more than there may be entries: beyond that the ones
/// least asked for are forgotten, which matters for stores that lag only.
pub(super) struct Fences(Bounded<News>);

impl Fences {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Bounded::new(capacity))
    }

    pub(super) fn raise(
        &mut self,
        hash: u64,
        digest: &Digest,
        news: News,
        now: u64,
        hasher: &impl Hash,
    ) {
        match merge(self.0.get(hash, digest, now), news) {
            Some(news) => {
                let until = now.saturating_add(REMEMBERED);
                self.0.put(hash, (*digest, news), (now, until), hasher);
            }
            None => self.0.remove(hash, digest),
        }
    }

    pub(super) fn judge<V: Value>(
        &self,
        hash: u64,
        digest: &Digest,
        found: Option<&V>,
        now: u64,
    ) -> Standing {
        self.0.get(hash, digest, now).map_or(Standing::UpToDate, |news| news.judge(found))
    }
}

impl News {
    /// A key that should be there and is not may have been removed since: a removal has no revision.
    pub(super) fn judge<V: Value>(self, found: Option<&V>) -> Standing {
        match (self, found) {
            (Self::Changed, _) | (Self::Gone, None) => Standing::UpToDate,
            (Self::Inserted(_) | Self::Revision(_), None) => Standing::Doubtful,
            (Self::Inserted(announced) | Self::Revision(announced), Some(value))
                if value.revision() >= announced =>
            {
                Standing::UpToDate
            }
            (_, Some(_)) => Standing::Outdated,
        }
    }
}

/// What is known after `news`. Announcements may come twice, and late; a key that is gone and then
/// changed is there again. Revisions count from the key's last insertion.
fn merge(known: Option<News>, news: News) -> Option<News> {
    match (known, news) {
        (Some(News::Revision(known)), News::Revision(new)) => Some(News::Revision(known.max(new))),
        (Some(News::Revision(known)), News::Changed) => Some(News::Revision(known)),
        (_, News::Changed) => None,
        (_, News::Inserted(revision)) => Some(News::Revision(revision)),
        (_, news) => Some(news),
    }
}
