//! One limit, in this process: the road of most requests.

use std::sync::Arc;

use super::algorithm::Answer;
use super::caller::Caller;
use super::cell::{Counter, LimitError, Tag};
use super::definition::Limit;
use super::quota::{Algorithm, Quota};
use super::standing::{LimitName, Standing, Standings};
use super::table::Table;
use crate::{KeyRecord, Timestamp};

/// A limit that needs of a key's record only whose it is: what others may depend on is not looked up for
/// each request.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) table: Arc<Table>,
    pub(super) owner: Owner,
    pub(super) quota: Quota,
    pub(super) cost: u64,
    pub(super) name: LimitName,
}

/// Whose a count is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Tenant,
    Key,
}

impl Plain {
    /// Counts a request with the key of this record.
    ///
    /// # Errors
    ///
    /// When the counter can't be used: nothing is known then, and nothing was counted.
    #[inline(always)]
    pub(super) fn take(
        &self,
        record: &KeyRecord,
        now: Timestamp,
        standings: &mut Standings,
    ) -> Result<Answer, LimitError> {
        let hash = match self.owner {
            Owner::Tenant => record.tenant().name_hash(),
            Owner::Key => self.table.key().of_key(record.digest()),
        };
        let counter = self.table.counter(Tag::new(hash, &self.quota), &self.quota, now)?;
        Ok(counter.take_and_tell(&self.quota, self.cost, now, &self.name, standings))
    }
}

/// Counts a request against a limit that may look at more of it; `None` if it is not for the caller.
///
/// # Errors
///
/// As [`Plain::take`].
#[inline]
pub(super) fn take_one(
    limit: &Limit,
    caller: &Caller<'_>,
    now: Timestamp,
    standings: &mut Standings,
) -> Result<Option<Answer>, LimitError> {
    let mut shared = None;
    let account = limit.account(caller, &mut shared);
    let Some((tag, quota)) = account else { return Ok(None) };
    let cost = limit.cost_of(caller);
    let counter = limit.table().counter(tag, quota, now)?;
    Ok(Some(counter.take_and_tell(quota, cost, now, limit.shown_name(), standings)))
}

impl Counter<'_> {
    /// Takes `cost` if it fits, and writes to `standings` where the caller of this limit then stands.
    ///
    /// Each of the usual algorithms has a road of its own to the end: where roads meet, what is in
    /// registers has to go to memory and back. For the same reason nothing is put together to be handed
    /// on, which took 250 cycles more among a million callers (`benches/limits`).
    #[inline(always)]
    fn take_and_tell(
        self,
        quota: &Quota,
        cost: u64,
        now: Timestamp,
        name: &LimitName,
        standings: &mut Standings,
    ) -> Answer {
        match quota.algorithm() {
            Algorithm::FixedWindow => {
                self.tell(&quota.by(Algorithm::FixedWindow), cost, now, name, standings)
            }
            Algorithm::Gcra => self.tell_gcra(quota, cost, now, name, standings),
            _ => self.tell_others(quota, cost, now, name, standings),
        }
    }

    #[inline(never)]
    fn tell_gcra(
        self,
        quota: &Quota,
        cost: u64,
        now: Timestamp,
        name: &LimitName,
        standings: &mut Standings,
    ) -> Answer {
        self.tell(&quota.by(Algorithm::Gcra), cost, now, name, standings)
    }

    #[inline(never)]
    fn tell_others(
        self,
        quota: &Quota,
        cost: u64,
        now: Timestamp,
        name: &LimitName,
        standings: &mut Standings,
    ) -> Answer {
        self.tell(quota, cost, now, name, standings)
    }

    #[inline(always)]
    fn tell(
        mut self,
        quota: &Quota,
        cost: u64,
        now: Timestamp,
        name: &LimitName,
        standings: &mut Standings,
    ) -> Answer {
        let decision = self.take_by(quota, now, cost);
        drop(self);
        standings.push_with(move || Standing::after(decision, name, quota, now));
        decision.answer
    }
}
