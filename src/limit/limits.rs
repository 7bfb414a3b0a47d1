//! All limits of a gate, decided together.

use std::sync::Arc;

use super::algorithm::{Answer, Decision};
use super::caller::Caller;
use super::cell::{Counter, LimitError};
use super::definition::{Claim, Limit};
use super::remote::{CountError, Pending, Remote};
use super::reservation::{Hold, Holds};
use super::single::{Plain, take_one};
use super::standing::{Standing, Standings};
use super::table::Lead;
use crate::{ConfigError, KeyDigest, Timestamp};

const MAX_LIMITS: usize = 8;

/// What all limits together say of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Every limit has counted it.
    Admitted,
    /// The same, and some hold it to be settled later.
    Reserved(Box<Holds>),
    /// No limit has counted it. The same is admitted after so many nanoseconds if nobody else calls.
    After(u64),
    /// No limit ever counts so much.
    Never,
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
    /// There if the only limit is a plain one.
    plain: Option<Arc<Plain>>,
    /// To the counters that are found by a key's digest alone.
    leads: Arc<[Lead]>,
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
        let plain = if let [limit] = &*all { limit.plain().map(Arc::new) } else { None };
        let leads = all.iter().filter_map(Limit::lead).collect();
        Ok(Self { all, order: order.into(), remote, plain, leads })
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
        self.leads.iter().for_each(|lead| lead.follow(digest));
    }

    /// True when nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Counts the request against all limits, or against none, wherever that is, and writes to
    /// `standings` where the caller then stands: in place, since they are too large to be handed from
    /// one to the next. `Err` in the answer means that somebody has to be asked first.
    ///
    /// # Errors
    ///
    /// When it can't be counted: nothing was counted then.
    #[inline(always)]
    pub(crate) fn count(
        &self,
        caller: &Caller<'_>,
        now: Timestamp,
        standings: &mut Standings,
    ) -> Result<Result<Verdict, Pending>, CountError> {
        if let (Some(plain), Some(record)) = (&self.plain, caller.principal().key()) {
            return match plain.take(record, now, standings) {
                Ok(Answer::Admitted) => Ok(Ok(Verdict::Admitted)),
                refused => turn_down(refused),
            };
        }
        match &self.remote {
            None => Ok(Ok(take(&self.all, &self.order, caller, now, standings)?)),
            Some(remote) => remote.count(&self.all, caller, now, standings),
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

/// Apart from the road of who is let in, or all that an error may hold is carried along there.
#[cold]
fn turn_down(refused: Result<Answer, LimitError>) -> Result<Result<Verdict, Pending>, CountError> {
    Ok(Ok(refused?.into()))
}

#[inline(never)]
fn take(
    limits: &[Limit],
    order: &[usize],
    caller: &Caller<'_>,
    now: Timestamp,
    standings: &mut Standings,
) -> Result<Verdict, LimitError> {
    match limits {
        [limit] if !limit.is_settled_later() => {
            let answer = take_one(limit, caller, now, standings)?;
            Ok(answer.map_or(Verdict::Admitted, Verdict::from))
        }
        _ => take_all(limits, order, caller, now, standings),
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
        standings.push(Standing::after(*decision, claim.limit.shown_name(), &claim.quota, now));
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
            Answer::After(nanos) => Self::After(nanos),
            Answer::Never => Self::Never,
        }
    }
}
