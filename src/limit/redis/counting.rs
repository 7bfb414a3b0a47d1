//! One request against limits of which some are counted on a server.
//!
//! What can be decided here is held first, then the server is asked; what was held is kept or given
//! back. So the server is not asked for a request that is refused here, and nothing has to be taken
//! back from it unless it is a cluster.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::grant::{Ask, Entry, Grant};
use super::link::Trouble;
use super::part::{Look, Part};
use super::script::Taken;
use super::settling::Settling;
use super::slot::Flight;
use crate::Timestamp;
use crate::limit::algorithm::Answer;
use crate::limit::cell::LimitError;
use crate::limit::reservation::Holds;
use crate::limit::{Permits, Standings, Verdict};

/// How often all is tried again, at most, for a request that others overtake.
const TURNS: usize = 16;

/// Why a request can't be counted. Nobody is let in on its word.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountError {
    #[error(transparent)]
    Poisoned(#[from] LimitError),
    #[error("a limit can't be counted")]
    Away(#[from] Trouble),
    #[error("a shared limit has no calendar months")]
    Calendar,
    #[error("a limit's counts change faster than they can be taken")]
    Contended,
}

/// How counting has ended.
pub(crate) struct Counted {
    pub(crate) verdict: Result<Verdict, CountError>,
    pub(crate) standings: Standings,
    /// What it runs by, if it was that which was asked: its limits were not asked yet.
    pub(crate) permits: Option<Permits>,
}

/// A count that a server has been asked about.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Counted> + Send>>;

/// A request and its limits, in their order.
pub(crate) struct Counting {
    parts: Vec<Part>,
    now: Timestamp,
    /// What servers have taken.
    grants: Vec<Grant>,
}

/// What can be said without waiting.
enum Held {
    All,
    Refused(Answer),
    Wait,
}

impl Counting {
    pub(crate) fn new(parts: Vec<Part>, now: Timestamp) -> Self {
        Self { parts, now, grants: Vec::new() }
    }

    /// Decides the request if nobody has to be asked.
    pub(crate) fn try_now(
        &mut self,
        standings: &mut Standings,
    ) -> Result<Option<Verdict>, CountError> {
        let answer = match self.hold()? {
            Held::All if self.parts.iter().any(Part::is_there) => return Ok(None),
            Held::All => Answer::Admitted,
            Held::Refused(answer) => answer,
            Held::Wait => return Ok(None),
        };
        self.tell(answer, standings).map(Some)
    }

    /// Decides it by asking.
    pub(crate) fn ask(mut self) -> Pending {
        Box::pin(async move {
            let mut standings = Standings::default();
            let verdict = match self.decide().await {
                Ok(answer) => self.tell(answer, &mut standings),
                Err(error) => Err(error),
            };
            let verdict = verdict.inspect_err(|_| self.release());
            Counted { verdict, standings, permits: None }
        })
    }

    async fn decide(&mut self) -> Result<Answer, CountError> {
        let deadline = Instant::now() + self.patience();
        for _ in 0..TURNS {
            match self.hold()? {
                Held::Refused(answer) => return Ok(answer),
                Held::Wait => self.wait(deadline).await?,
                Held::All => {
                    if let Some(answer) = self.ask_servers(deadline).await? {
                        return Ok(answer);
                    }
                }
            }
        }
        Err(CountError::Contended)
    }

    /// The longest of its servers' patience.
    fn patience(&self) -> Duration {
        self.parts.iter().filter_map(Part::link).map(|link| link.patience).max().unwrap_or_default()
    }

    /// Takes from all counts that are here, or from none.
    fn hold(&mut self) -> Result<Held, CountError> {
        self.release();
        for _ in 0..TURNS {
            let (mut waits, mut worst) = (false, Answer::Admitted);
            for part in &mut self.parts {
                match part.look(self.now)? {
                    Look::Says(answer) => worst = worst.max(answer),
                    Look::Unknown => waits = true,
                }
            }
            if worst != Answer::Admitted {
                return Ok(Held::Refused(worst));
            }
            if waits {
                return Ok(Held::Wait);
            }
            if self.take()? {
                return Ok(Held::All);
            }
        }
        Err(CountError::Contended)
    }

    /// False when somebody else was faster since all were looked at.
    fn take(&mut self) -> Result<bool, CountError> {
        for part in &mut self.parts {
            if !part.take(self.now)? {
                self.release();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn release(&mut self) {
        self.parts.iter_mut().for_each(|part| part.release(self.now));
    }

    /// Waits until all slices are renewed that are not enough.
    async fn wait(&mut self, deadline: Instant) -> Result<(), CountError> {
        let mut flights: Vec<(usize, Arc<Flight>)> = Vec::new();
        for (place, part) in self.parts.iter_mut().enumerate() {
            match part.renew() {
                Ok(None) => {}
                Ok(Some(flight)) => flights.push((place, flight)),
                Err(trouble) => part.fall_back(trouble, self.now)?,
            }
        }
        for (place, flight) in flights {
            let Some(part) = self.parts.get_mut(place) else { continue };
            let Some(link) = part.link().cloned() else { continue };
            if let Err(trouble) = flight.landed(&link, deadline).await {
                part.fall_back(trouble, self.now)?;
            }
        }
        Ok(())
    }

    /// Asks for all counts that are on servers; `None` when a server is away, and something else
    /// decides for it now.
    async fn ask_servers(&mut self, deadline: Instant) -> Result<Option<Answer>, CountError> {
        let mut grants = Vec::new();
        for group in groups(&self.parts) {
            let (taken, grant) = match take(&self.parts, &group, deadline).await {
                Ok(taken) => taken,
                Err(trouble) => {
                    undo(grants, deadline).await;
                    self.fall_back(&group, trouble)?;
                    return Ok(None);
                }
            };
            let answer = self.learn(&group, &taken);
            if answer != Answer::Admitted {
                undo(grants, deadline).await;
                self.release();
                return Ok(Some(answer));
            }
            grants.push(grant);
        }
        self.grants = grants;
        Ok(Some(Answer::Admitted))
    }

    /// A server that has taken nothing is believed, whatever its counts would have room for.
    fn learn(&mut self, group: &[usize], taken: &Taken) -> Answer {
        let mut worst = if taken.admitted { Answer::Admitted } else { Answer::After(0) };
        for (place, state) in group.iter().zip(&taken.states) {
            if let Some(part) = self.parts.get_mut(*place) {
                worst = worst.max(part.learn(*state, taken));
            }
        }
        worst
    }

    fn fall_back(&mut self, group: &[usize], trouble: Trouble) -> Result<(), CountError> {
        let trouble = Arc::new(trouble);
        for place in group {
            if let Some(part) = self.parts.get_mut(*place) {
                part.fall_back(Trouble::Shared(Arc::clone(&trouble)), self.now)?;
            }
        }
        Ok(())
    }

    /// Tells where the caller stands against all limits that have said so, and keeps what was taken.
    fn tell(&mut self, answer: Answer, standings: &mut Standings) -> Result<Verdict, CountError> {
        let (mut here, mut there) = (Vec::new(), Settling::default());
        for part in &mut self.parts {
            match answer {
                Answer::Admitted => part.keep(&mut here, &mut there),
                _ => part.look_again(self.now)?,
            }
            part.standing().into_iter().for_each(|standing| standings.push(standing));
        }
        self.grants.drain(..).for_each(|grant| there.hold_on_server(grant.keep()));
        let there = Some(there).filter(|there| !there.is_empty());
        Ok(Verdict::from(answer).holding(Holds { here, there }))
    }
}

/// A request that is dropped while it waits has taken nothing here.
impl Drop for Counting {
    fn drop(&mut self) {
        self.release();
    }
}

/// Places of parts that one script decides.
type Group = Vec<usize>;

/// All parts that a server decides, by the script that does so, in one order for all requests.
fn groups(parts: &[Part]) -> Vec<Group> {
    let mut groups = BTreeMap::<_, Group>::new();
    for (place, part) in parts.iter().enumerate().filter(|(_, part)| part.is_there()) {
        groups.entry(part.group()).or_default().push(place);
    }
    groups.into_values().collect()
}

async fn take(
    parts: &[Part],
    group: &[usize],
    deadline: Instant,
) -> Result<(Taken, Grant), Trouble> {
    let group = || group.iter().filter_map(|place| parts.get(*place));
    let link = group().find_map(Part::link).cloned().ok_or(Trouble::Nonsense)?;
    let entries: Vec<Entry> = group().filter_map(Part::entry).collect();
    Ask { link, entries }.ask(deadline).await
}

async fn undo(grants: Vec<Grant>, deadline: Instant) {
    for grant in grants {
        grant.undo(deadline).await;
    }
}
