//! Limits that are counted elsewhere: the way from a request to there.

use std::sync::Arc;

use super::caller::Caller;
use super::definition::{Limit, Sharing, Terms, of_tenant};
use super::limits::Verdict;
use super::quota::Algorithm;
use super::redis::{Counter, Counting, Part};
use super::standing::Standings;
use crate::Timestamp;

pub(crate) use super::redis::{CountError, Counted, Pending};
pub(super) use super::redis::{Desk, Permit, Settling, Tally, Turn, enter};

/// Where a limit is counted.
#[derive(Clone, Debug)]
pub(crate) struct Remote(Arc<Counter>);

impl From<Counter> for Remote {
    fn from(counter: Counter) -> Self {
        Self(Arc::new(counter))
    }
}

impl Remote {
    /// Counts a request against `limits`, of which at least one is counted elsewhere.
    #[inline(never)]
    pub(super) fn count(
        &self,
        limits: &[Limit],
        caller: &Caller<'_>,
        now: Timestamp,
        standings: &mut Standings,
    ) -> Result<Result<Verdict, Pending>, CountError> {
        let parts = limits.iter().filter_map(|limit| limit.part(caller, now).transpose());
        let mut counting = Counting::new(parts.collect::<Result<_, _>>()?, now);
        Ok(match counting.try_now(standings)? {
            Some(verdict) => Ok(verdict),
            None => Err(counting.ask()),
        })
    }
}

impl Limit {
    fn part(&self, caller: &Caller<'_>, now: Timestamp) -> Result<Option<Part>, CountError> {
        let Some(Remote(counter)) = &self.remote else {
            let Some(claim) = self.claim(caller, now)? else { return Ok(None) };
            return Ok(Some(Part::in_memory(self, claim.place, claim.quota, claim.cost)));
        };
        let mut plan = None;
        let Some(Terms { quota, by_itself }) = self.terms(caller, &mut plan) else {
            return Ok(None);
        };
        let Some(owner) = self.identity(caller, by_itself) else { return Ok(None) };
        if quota.algorithm() == Algorithm::CalendarMonth {
            return Err(CountError::Calendar);
        }
        // What belongs to a tenant stays together.
        let tag = match self.sharing {
            Sharing::Tenant | Sharing::Caller => of_tenant(caller.principal()),
            Sharing::Address { .. } | Sharing::Custom(_) => owner.clone(),
        };
        let count = counter.count(&owner, &tag, quota, self.shown_name())?;
        Ok(Some(Part::on_server(self, counter, count, *quota, self.cost_of(caller))))
    }
}
