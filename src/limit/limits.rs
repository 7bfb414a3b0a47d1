//! All limits of a gate, decided together.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::algorithm::{Answer, Decision};
use super::caller::Caller;
use super::cell::{Counter, LimitError};
use super::definition::{Claim, Limit};
use super::standing::{Standing, Standings};
use crate::{ConfigError, Timestamp};

const MAX_LIMITS: usize = 8;

/// What all limits together say of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Every limit has counted it.
    Admitted(Standings),
    /// No limit has counted it; the standings are those without it.
    Denied {
        standings: Standings,
        /// After how long the same request is admitted if nobody else calls; `None` for never.
        retry_after: Option<Duration>,
    },
}

/// The limits of a gate, in the order of its configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits(Arc<[Limit]>);

impl Limits {
    /// # Errors
    ///
    /// More than eight limits, two of one name, two that share their counters, or a cost that is
    /// above one of its quotas.
    pub(crate) fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, ConfigError> {
        let limits: Arc<[Limit]> = limits.into_iter().collect();
        if limits.len() > MAX_LIMITS {
            let reason = "a gate takes at most 8";
            return Err(ConfigError::invalid("number of limits", limits.len(), reason));
        }
        for (index, limit) in limits.iter().enumerate() {
            limit.check()?;
            limits.iter().take(index).try_for_each(|other| check_pair(limit, other))?;
        }
        Ok(Self(limits))
    }

    /// The same limits and one more.
    ///
    /// # Errors
    ///
    /// See [`Limits::new`].
    pub(crate) fn with(&self, limit: Limit) -> Result<Self, ConfigError> {
        Self::new(self.0.iter().cloned().chain([limit]))
    }

    /// True when nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when the client's address may matter to one of them.
    pub(crate) fn look_at_address(&self) -> bool {
        self.0.iter().any(Limit::looks_at_address)
    }

    /// Counts the request against all limits, or against none.
    ///
    /// # Errors
    ///
    /// When a counter can't be used: nothing is known then, and nothing was counted.
    #[inline]
    pub(crate) fn take(&self, caller: &Caller<'_>, now: Timestamp) -> Result<Verdict, LimitError> {
        match &*self.0 {
            [limit] => take_one(limit, caller, now),
            limits => take_all(limits, caller, now),
        }
    }
}

fn check_pair(limit: &Limit, other: &Limit) -> Result<(), ConfigError> {
    let name = limit.shown_name();
    if name == other.shown_name() {
        let reason = "two limits of a gate have it; tell them apart with Limit::name";
        return Err(ConfigError::invalid("name of a limit", name.as_str(), reason));
    }
    if limit.table().id() == other.table().id() {
        let reason = "another limit of the gate is its clone and shares its counters";
        return Err(ConfigError::invalid("limit", name, reason));
    }
    Ok(())
}

#[inline]
fn take_one(limit: &Limit, caller: &Caller<'_>, now: Timestamp) -> Result<Verdict, LimitError> {
    let Some(mut claim) = limit.claim(caller, now)? else {
        return Ok(Verdict::Admitted(Standings::default()));
    };
    loop {
        let mut counter = claim.cell.lock()?;
        if !counter.is_evicted() {
            let decision = counter.take(&claim.quota, now, claim.cost);
            drop(counter);
            let standings = Standings::from(claim.standing(decision, now));
            return Ok(Verdict::new(standings, [decision.answer]));
        }
        drop(counter);
        claim.readmit(now)?;
    }
}

fn take_all(limits: &[Limit], caller: &Caller<'_>, now: Timestamp) -> Result<Verdict, LimitError> {
    let mut claims = Vec::with_capacity(limits.len());
    for limit in limits {
        claims.extend(limit.claim(caller, now)?);
    }
    loop {
        if let Some(verdict) = decide(&claims, now)? {
            return Ok(verdict);
        }
        claims.iter_mut().try_for_each(|claim| claim.readmit_if_evicted(now))?;
    }
}

/// Decides all claims with all their counters locked; `None` if one of them was evicted.
fn decide(claims: &[Claim<'_>], now: Timestamp) -> Result<Option<Verdict>, LimitError> {
    let mut locked = lock(claims)?;
    if locked.iter().any(|(_, counter)| counter.is_evicted()) {
        return Ok(None);
    }
    let asked: Vec<_> = locked.iter().map(|(claim, counter)| claim.ask(counter, now)).collect();
    let admitted = asked.iter().all(|answer| *answer == Answer::Admitted);
    let mut standings = Standings::default();
    for (claim, counter) in &mut locked {
        let cost = if admitted { claim.cost } else { 0 };
        let decision = counter.take(&claim.quota, now, cost);
        standings.push(claim.standing(decision, now));
    }
    Ok(Some(Verdict::new(standings, asked)))
}

type Locked<'a> = Vec<(&'a Claim<'a>, MutexGuard<'a, Counter>)>;

/// All counters, locked in the order of their tables: two gates that list the same limits in another
/// order can't wait for each other.
fn lock<'a>(claims: &'a [Claim<'a>]) -> Result<Locked<'a>, LimitError> {
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_unstable_by_key(|index| claims[*index].limit.table().id());
    let mut locked = Vec::with_capacity(claims.len());
    for index in order {
        locked.push((index, (&claims[index], claims[index].cell.lock()?)));
    }
    locked.sort_unstable_by_key(|(index, _)| *index);
    Ok(locked.into_iter().map(|(_, held)| held).collect())
}

impl Claim<'_> {
    fn ask(&self, counter: &Counter, now: Timestamp) -> Answer {
        counter.decide(&self.quota, now, self.cost).1.answer
    }

    fn readmit_if_evicted(&mut self, now: Timestamp) -> Result<(), LimitError> {
        let evicted = self.cell.lock()?.is_evicted();
        if evicted { self.readmit(now) } else { Ok(()) }
    }

    fn readmit(&mut self, now: Timestamp) -> Result<(), LimitError> {
        let cell = self.limit.table().readmit(&self.cell, now)?;
        self.cell = super::seats::Held::Own(cell);
        Ok(())
    }

    fn standing(&self, decision: Decision, now: Timestamp) -> Standing {
        let reset_after = Duration::from_nanos(decision.reset);
        Standing {
            name: self.limit.shown_name().clone(),
            limit: self.quota.limit(),
            window: self.quota.window(),
            remaining: decision.remaining,
            reset: now.saturating_add(reset_after),
            reset_after,
        }
    }
}

impl Verdict {
    /// A request must wait for the last of its limits.
    fn new(standings: Standings, answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut longest = Answer::Admitted;
        for answer in answers {
            longest = longest.max(answer);
        }
        match longest {
            Answer::Admitted => Self::Admitted(standings),
            Answer::After(nanos) => {
                Self::Denied { standings, retry_after: Some(Duration::from_nanos(nanos)) }
            }
            Answer::Never => Self::Denied { standings, retry_after: None },
        }
    }
}
