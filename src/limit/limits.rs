//! All limits of a gate, decided together.

use std::sync::Arc;
use std::time::Duration;

use super::algorithm::{Answer, Decision};
use super::caller::Caller;
use super::cell::{Counter, LimitError};
use super::definition::{Claim, Limit};
use super::quota::Quota;
use super::remote::{CountError, Pending, Remote};
use super::reservation::{Hold, Holds};
use super::standing::{Standing, Standings};
use crate::{ConfigError, KeyDigest, Timestamp};

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
    /// More than eight limits, two of one name, two that share their counters, a cost that is above one
    /// of its quotas, or a limit by calendar month that is shared by many machines.
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

    /// Begins to read the counters of the key with this digest, as far as they are known before its
    /// record is.
    #[inline]
    pub(crate) fn await_key(&self, digest: &KeyDigest) {
        if self.remote.is_none() {
            self.all.iter().for_each(|limit| limit.await_key(digest));
        }
    }

    /// True when nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
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
    let mut shared = None;
    let account = limit.account(caller, &mut shared);
    let Some((tag, quota)) = account else { return Ok(Verdict::Admitted) };
    let cost = limit.cost_of(caller);
    let decision = limit.table().counter(tag, quota, now)?.take(quota, now, cost);
    standings.push_with(|| standing(limit, quota, decision, now));
    Ok(decision.answer.into())
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
        match decide(&claims, order, now)? {
            Ok(decided) => return Ok(tell(&claims, &decided, now, standings)),
            Err(place) => claims[place].iter_mut().try_for_each(|claim| claim.readmit(now))?,
        }
    }
}

/// What was decided of each claim, in its place.
struct Decided {
    answer: Answer,
    each: [Option<(Decision, Timestamp)>; MAX_LIMITS],
}

/// Decides all claims with all their counters locked, and does nothing else meanwhile: others may
/// wait on the spot. `Err` is the place of one that has lost its counter.
fn decide(
    claims: &Claims<'_>,
    order: &[usize],
    now: Timestamp,
) -> Result<Result<Decided, usize>, LimitError> {
    let mut locked: [Option<(&Claim<'_>, Counter<'_>)>; MAX_LIMITS] = Default::default();
    for &place in order {
        let Some(claim) = &claims[place] else { continue };
        let Some(counter) = claim.lock()? else { return Ok(Err(place)) };
        locked[place] = Some((claim, counter));
    }
    let asked = locked.iter().flatten().map(|(claim, counter)| claim.ask(counter, now));
    // A request must wait for the last of its limits.
    let answer = asked.max().unwrap_or(Answer::Admitted);
    let each = locked.map(|locked| {
        let (claim, mut counter) = locked?;
        let cost = if answer == Answer::Admitted { claim.cost } else { 0 };
        let decision = counter.take(&claim.quota, now, cost);
        Some((decision, counter.last()))
    });
    Ok(Ok(Decided { answer, each }))
}

/// Where the caller stands, and what is held for it.
fn tell(
    claims: &Claims<'_>,
    decided: &Decided,
    now: Timestamp,
    standings: &mut Standings,
) -> Verdict {
    let mut holds = Holds::default();
    for (claim, each) in claims.iter().zip(&decided.each) {
        let (Some(claim), Some((decision, taken))) = (claim, each) else { continue };
        if claim.limit.is_settled_later() {
            holds.here.push(claim.hold(*taken));
        }
        standings.push(standing(claim.limit, &claim.quota, *decision, now));
    }
    Verdict::from(decided.answer).holding(holds)
}

impl Claim<'_> {
    /// The counter; `None` if it has lost that.
    #[inline]
    fn lock(&self) -> Result<Option<Counter<'_>>, LimitError> {
        self.limit.table().lock(&self.place)
    }

    fn ask(&self, counter: &Counter<'_>, now: Timestamp) -> Answer {
        counter.decide(&self.quota, now, self.cost).1.answer
    }

    #[cold]
    fn readmit(&mut self, now: Timestamp) -> Result<(), LimitError> {
        self.place = self.limit.table().readmit(&self.place, now)?;
        Ok(())
    }

    /// What the counter has taken, as if at `taken`.
    fn hold(&self, taken: Timestamp) -> Hold {
        Hold {
            table: Arc::clone(self.limit.table()),
            place: self.place,
            quota: self.quota,
            taken,
            cost: self.cost,
        }
    }
}

#[inline(always)]
fn standing(limit: &Limit, quota: &Quota, decision: Decision, now: Timestamp) -> Standing {
    Standing {
        name: limit.shown_name().clone(),
        limit: quota.limit(),
        window: quota.window(),
        remaining: decision.remaining,
        reset: Timestamp::from_nanos(now.as_nanos().saturating_add(decision.reset)),
        reset_after: Duration::from_nanos(decision.reset),
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
