//! What a server takes for a request, all or none: kept, or given back.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::key::Key;
use super::link::{Link, Trouble};
use super::script::{Call, Rest, Taken, taken};
use crate::limit::quota::Quota;

/// How long an answer is waited for at least, be it that no request waits for it any more.
const IN_DOUBT: Duration = Duration::from_secs(1);

/// One count, and what a request takes from it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) quota: Quota,
    pub(super) cost: u64,
    pub(super) is_settled_later: bool,
    /// The moment for which it was counted, by the server's time in microseconds.
    pub(super) taken: u64,
}

impl Entry {
    /// What is to be settled when the request has cost `cost`.
    pub(super) fn rest(&self, cost: u64) -> Rest {
        let back = self.cost.saturating_sub(cost);
        Rest { back, taken: self.taken, more: cost.saturating_sub(self.cost) }
    }
}

/// The counts of one request that one script decides.
pub(super) struct Ask {
    pub(super) link: Arc<Link>,
    pub(super) entries: Vec<Entry>,
}

impl Ask {
    /// Takes from all counts or from none.
    ///
    /// An estimate is much to lose with a request that is dropped, or that waits no longer: so the
    /// question is nobody's then, and what it has taken goes back when the answer comes.
    pub(super) async fn ask(self, deadline: Instant) -> Result<(Taken, Grant), Trouble> {
        if !self.entries.iter().any(|entry| entry.is_settled_later) {
            return self.run(deadline).await;
        }
        let link = Arc::clone(&self.link);
        let run = link.runtime.spawn(self.run(deadline.max(Instant::now() + IN_DOUBT)));
        match timeout_at(deadline, run).await {
            Ok(answered) => answered.unwrap_or(Err(Trouble::GivenUp)),
            Err(_) => {
                link.fail(&Trouble::Late);
                Err(Trouble::Late)
            }
        }
    }

    async fn run(self, deadline: Instant) -> Result<(Taken, Grant), Trouble> {
        let Self { link, mut entries } = self;
        let claims = entries.iter().map(|entry| (&entry.key, entry.quota, entry.cost));
        let answer = link.call(&Call::take(claims), deadline).await?;
        let quotas: Vec<_> = entries.iter().map(|entry| entry.quota).collect();
        let taken = taken(&answer, &quotas).ok_or(Trouble::Nonsense)?;
        if !taken.admitted {
            entries.clear();
        }
        for (entry, state) in entries.iter_mut().zip(&taken.states) {
            entry.taken = state.last / 1_000;
        }
        Ok((taken, Grant { link, entries }))
    }
}

/// What one script has taken. It goes back when this is dropped, unless it is [kept](Self::keep).
pub(super) struct Grant {
    link: Arc<Link>,
    entries: Vec<Entry>,
}

impl Grant {
    /// The request pays; what it will settle later is told.
    pub(super) fn keep(mut self) -> (Arc<Link>, Vec<Entry>) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| entry.is_settled_later);
        (Arc::clone(&self.link), entries)
    }

    /// Gives it back, and waits for that. A server that does not answer keeps it counted.
    pub(super) async fn undo(mut self, deadline: Instant) {
        if let Some(told) = self.give_back() {
            let _ = timeout_at(deadline, told).await;
        }
    }

    fn give_back(&mut self) -> Option<JoinHandle<bool>> {
        let entries = std::mem::take(&mut self.entries);
        settle(&self.link, &entries, 0)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Settles what the server has taken for a request that has cost `cost`; beside it.
pub(super) fn settle(link: &Arc<Link>, entries: &[Entry], cost: u64) -> Option<JoinHandle<bool>> {
    let due: Vec<_> = entries.iter().filter(|entry| entry.cost != cost).collect();
    let rests = due.iter().map(|entry| (&entry.key, entry.quota, entry.rest(cost)));
    (!due.is_empty()).then(|| link.tell(Call::settle(rests)))
}
