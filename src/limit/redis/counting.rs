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

use super::key::Key;
use super::link::{Link, Trouble};
use super::part::{Look, Part};
use super::script::{Call, Taken, taken};
use super::slot::Flight;
use crate::Timestamp;
use crate::limit::algorithm::Answer;
use crate::limit::cell::LimitError;
use crate::limit::quota::Quota;
use crate::limit::{Standings, Verdict};

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
}

/// A count that a server has been asked about.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Counted> + Send>>;

/// A request and its limits, in their order.
pub(crate) struct Counting {
    parts: Vec<Part>,
    now: Timestamp,
}

/// What can be said without waiting.
enum Held {
    All,
    Refused(Answer),
    Wait,
}

impl Counting {
    pub(crate) fn new(parts: Vec<Part>, now: Timestamp) -> Self {
        Self { parts, now }
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
        self.tell(answer, standings)?;
        Ok(Some(answer.into()))
    }

    /// Decides it by asking.
    pub(crate) fn ask(mut self) -> Pending {
        Box::pin(async move {
            let mut standings = Standings::default();
            let verdict = match self.decide().await {
                Ok(answer) => self.tell(answer, &mut standings).map(|()| answer.into()),
                Err(error) => Err(error),
            };
            Counted { verdict: verdict.inspect_err(|_| self.release()), standings }
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
        let mut done: Vec<(Group, u64)> = Vec::new();
        for group in groups(&self.parts) {
            let taken = match take(&self.parts, &group, deadline).await {
                Ok(taken) => taken,
                Err(trouble) => {
                    undo(&self.parts, &done, deadline).await;
                    self.fall_back(&group, trouble)?;
                    return Ok(None);
                }
            };
            let answer = self.learn(&group, &taken);
            if answer != Answer::Admitted {
                undo(&self.parts, &done, deadline).await;
                self.release();
                return Ok(Some(answer));
            }
            done.push((group, taken.now));
        }
        Ok(Some(Answer::Admitted))
    }

    fn learn(&mut self, group: &[usize], taken: &Taken) -> Answer {
        let mut worst = Answer::Admitted;
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
    fn tell(&mut self, answer: Answer, standings: &mut Standings) -> Result<(), CountError> {
        for part in &mut self.parts {
            match answer {
                Answer::Admitted => part.keep(),
                _ => part.look_again(self.now)?,
            }
            part.standing().into_iter().for_each(|standing| standings.push(standing));
        }
        Ok(())
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

async fn take(parts: &[Part], group: &[usize], deadline: Instant) -> Result<Taken, Trouble> {
    let claims = claims(parts, group);
    let Some(link) = link(parts, group) else { return Err(Trouble::Nonsense) };
    let quotas: Vec<Quota> = claims.iter().map(|(_, quota, _)| *quota).collect();
    let answer = link.call(&Call::take(claims), deadline).await?;
    taken(&answer, &quotas).ok_or(Trouble::Nonsense)
}

/// Gives back what the groups before have taken. A server that does not answer keeps it counted.
async fn undo(parts: &[Part], done: &[(Group, u64)], deadline: Instant) {
    for (group, at) in done {
        if let Some(link) = link(parts, group) {
            let _ = link.call(&Call::undo(claims(parts, group), *at), deadline).await;
        }
    }
}

fn claims<'a>(parts: &'a [Part], group: &[usize]) -> Vec<(&'a Key, Quota, u64)> {
    group.iter().filter_map(|place| parts.get(*place)).filter_map(Part::claim).collect()
}

fn link<'a>(parts: &'a [Part], group: &[usize]) -> Option<&'a Arc<Link>> {
    group.first().and_then(|place| parts.get(*place)).and_then(Part::link)
}
