//! All limits of a gate, decided together.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::algorithm::{Answer, Decision};
use super::caller::Caller;
use super::cell::{Counter, LimitError};
use super::definition::{Claim, Limit};
use super::remote::{CountError, Pending, Remote};
use super::reservation::{Hold, Holds};
use super::standing::{Standing, Standings};
use crate::{ConfigError, Timestamp};

const MAX_LIMITS: usize = 8;

/// What all limits together say of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Every limit has counted it.
    Admitted,
    /// The same, and some hold it to be settled later.
    Reserved(Box<Holds>),
    /// No limit has counted it. After how long the same request is admitted if nobody else calls;
    /// `None` for never.
    Denied(Option<Duration>),
}

/// The limits of a gate, in the order of its configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    all: Arc<[Limit]>,
    /// Places in `all`, in the order in which counters are locked: that of the tables, so that two
    /// gates that list the same limits in another order can't wait for each other.
    order: Arc<[usize]>,
    /// There if one of them is counted elsewhere.
    remote: Option<Remote>,
}

impl Limits {
    /// # Errors
    ///
    /// More than eight limits, two of one name, two that share their counters, or a cost that is
    /// above one of its quotas.
    pub(crate) fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, ConfigError> {
        let all: Arc<[Limit]> = limits.into_iter().collect();
        if all.len() > MAX_LIMITS {
            let reason = "a gate takes at most 8";
            return Err(ConfigError::invalid("number of limits", all.len(), reason));
        }
        for (index, limit) in all.iter().enumerate() {
            limit.check()?;
            all.iter().take(index).try_for_each(|other| check_pair(limit, other))?;
        }
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_unstable_by_key(|index| all[*index].table().id());
        let remote = all.iter().find_map(|limit| limit.remote.clone());
        Ok(Self { all, order: order.into(), remote })
    }

    /// The same limits and one more.
    ///
    /// # Errors
    ///
    /// See [`Limits::new`].
    pub(crate) fn with(&self, limit: Limit) -> Result<Self, ConfigError> {
        Self::new(self.all.iter().cloned().chain([limit]))
    }

    /// True when nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// True when the client's address may matter to one of them.
    pub(crate) fn look_at_address(&self) -> bool {
        self.all.iter().any(Limit::looks_at_address)
    }

    /// Counts the request as [`take`](Self::take) does, wherever that is; `Err` in the answer means
    /// that somebody has to be asked first.
    ///
    /// # Errors
    ///
    /// When it can't be counted.
    #[inline]
    pub(crate) fn count(
        &self,
        caller: &Caller<'_>,
        now: Timestamp,
        standings: &mut Standings,
    ) -> Result<Result<Verdict, Pending>, CountError> {
        match &self.remote {
            None => Ok(Ok(self.take(caller, now, standings)?)),
            Some(remote) => remote.count(&self.all, caller, now, standings),
        }
    }

    /// Counts the request against all limits, or against none, and writes to `standings` where the
    /// caller then stands: in place, since they are too large to be handed from one to the next.
    ///
    /// # Errors
    ///
    /// When a counter can't be used: nothing is known then, and nothing was counted.
    #[inline]
    pub(crate) fn take(
        &self,
        caller: &Caller<'_>,
        now: Timestamp,
        standings: &mut Standings,
    ) -> Result<Verdict, LimitError> {
        match &*self.all {
            [limit] if !limit.is_settled_later() => take_one(limit, caller, now, standings),
            limits => take_all(limits, &self.order, caller, now, standings),
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
fn take_one(
    limit: &Limit,
    caller: &Caller<'_>,
    now: Timestamp,
    standings: &mut Standings,
) -> Result<Verdict, LimitError> {
    let Some(mut claim) = limit.claim(caller, now)? else { return Ok(Verdict::Admitted) };
    loop {
        let mut counter = claim.cell.lock()?;
        if !counter.is_evicted() {
            let decision = counter.take(&claim.quota, now, claim.cost);
            drop(counter);
            standings.push(claim.standing(decision, now));
            return Ok(decision.answer.into());
        }
        drop(counter);
        claim.readmit(now)?;
    }
}

/// The claims of a request, each in the place of its limit; none where the limit does not apply.
type Claims<'a> = [Option<Claim<'a>>; MAX_LIMITS];

#[inline(never)]
fn take_all(
    limits: &[Limit],
    order: &[usize],
    caller: &Caller<'_>,
    now: Timestamp,
    standings: &mut Standings,
) -> Result<Verdict, LimitError> {
    let mut claims = Claims::default();
    for (claim, limit) in claims.iter_mut().zip(limits) {
        *claim = limit.claim(caller, now)?;
    }
    loop {
        if let Some(verdict) = decide(&claims, order, now, standings)? {
            return Ok(verdict);
        }
        claims.iter_mut().flatten().try_for_each(|claim| claim.readmit_if_evicted(now))?;
    }
}

/// Decides all claims with all their counters locked; `None` if one of them was evicted.
fn decide(
    claims: &Claims<'_>,
    order: &[usize],
    now: Timestamp,
    standings: &mut Standings,
) -> Result<Option<Verdict>, LimitError> {
    let mut locked = lock(claims, order)?;
    if locked.iter().flatten().any(|(_, counter)| counter.is_evicted()) {
        return Ok(None);
    }
    let asked = locked.iter().flatten().map(|(claim, counter)| claim.ask(counter, now));
    // A request must wait for the last of its limits.
    let answer = asked.max().unwrap_or(Answer::Admitted);
    let mut holds = Holds::default();
    for (claim, counter) in locked.iter_mut().flatten() {
        let cost = if answer == Answer::Admitted { claim.cost } else { 0 };
        let decision = counter.take(&claim.quota, now, cost);
        if claim.limit.is_settled_later() {
            holds.here.push(claim.hold(counter));
        }
        standings.push(claim.standing(decision, now));
    }
    Ok(Some(Verdict::from(answer).holding(holds)))
}

type Locked<'a> = [Option<(&'a Claim<'a>, MutexGuard<'a, Counter>)>; MAX_LIMITS];

/// All counters, locked in `order`, each in the place of its claim.
fn lock<'a>(claims: &'a Claims<'a>, order: &[usize]) -> Result<Locked<'a>, LimitError> {
    let mut locked = Locked::default();
    for &place in order {
        if let Some(claim) = &claims[place] {
            locked[place] = Some((claim, claim.cell.lock()?));
        }
    }
    Ok(locked)
}

impl Claim<'_> {
    fn ask(&self, counter: &Counter, now: Timestamp) -> Answer {
        counter.decide(&self.quota, now, self.cost).1.answer
    }

    fn readmit_if_evicted(&mut self, now: Timestamp) -> Result<(), LimitError> {
        let evicted = self.cell.lock()?.is_evicted();
        if evicted { self.readmit(now) } else { Ok(()) }
    }

    #[cold]
    fn readmit(&mut self, now: Timestamp) -> Result<(), LimitError> {
        let cell = self.limit.table().readmit(&self.cell, now)?;
        self.cell = super::seats::Held::Own(cell);
        Ok(())
    }

    /// What the counter has just taken.
    fn hold(&self, counter: &Counter) -> Hold {
        Hold {
            table: Arc::clone(self.limit.table()),
            cell: Arc::clone(&self.cell),
            quota: self.quota,
            taken: counter.last(),
            cost: self.cost,
        }
    }

    fn standing(&self, decision: Decision, now: Timestamp) -> Standing {
        Standing {
            name: self.limit.shown_name().clone(),
            limit: self.quota.limit(),
            window: self.quota.window(),
            remaining: decision.remaining,
            reset: Timestamp::from_nanos(now.as_nanos().saturating_add(decision.reset)),
            reset_after: Duration::from_nanos(decision.reset),
        }
    }
}

impl Verdict {
    /// Nothing was taken, and so nothing is held, of a request that is denied.
    pub(super) fn holding(self, holds: Holds) -> Self {
        match self {
            Self::Admitted if !holds.is_empty() => Self::Reserved(Box::new(holds)),
            other => other,
        }
    }
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Admitted => Self::Admitted,
            Answer::After(nanos) => Self::Denied(Some(Duration::from_nanos(nanos))),
            Answer::Never => Self::Denied(None),
        }
    }
}
