//! One request against concurrency limits of which some are counted on a server.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::counting::{CountError, Counted, Pending};
use super::desk::{Desk, Permit};
use super::key::{Digest, Key};
use super::link::{Link, Trouble};
use super::script::Call;
use super::shared::Away;
use crate::limit::concurrency::Permits;
use crate::limit::identity::Identity;
use crate::limit::running;
use crate::limit::{Standing, Standings, Verdict};

/// What one limit asks a server for.
pub(crate) struct Turn {
    desk: Arc<Desk>,
    key: Key,
    /// As this node knows it.
    standing: Standing,
    retry_after: Duration,
}

impl Turn {
    pub(crate) fn new(
        desk: &Arc<Desk>,
        (owner, tag): (Identity<'_>, Identity<'_>),
        standing: Standing,
        retry_after: Duration,
    ) -> Self {
        let (tag, owner) = (Digest::of(tag.parts()), Digest::of(owner.parts()));
        let key = Key::of_permits(&desk.link.prefix, tag, owner, &standing.name);
        Self { desk: Arc::clone(desk), key, standing, retry_after }
    }

    fn link(&self) -> &Arc<Link> {
        &self.desk.link
    }

    fn limit(&self) -> u64 {
        self.standing.limit
    }

    /// How many run on this node, with this one.
    fn here(&self) -> u64 {
        self.standing.limit - self.standing.remaining
    }

    fn standing(&self, most: u64, running: u64) -> Standing {
        Standing { remaining: most.saturating_sub(running), ..self.standing.clone() }
    }
}

/// Asks for a request that may run as far as this node knows, with what it has by that.
pub(crate) fn enter(turns: Vec<Turn>, here: Vec<running::Permit>) -> Pending {
    Box::pin(async move {
        let mut entering = Entering::default();
        let verdict = entering.run(&turns).await;
        let verdict = verdict.map(|wait| wait.map_or(Verdict::Admitted, after));
        let Entering { permits, standings } = entering;
        let is_let = matches!(verdict, Ok(Verdict::Admitted));
        let permits = is_let.then(|| Permits::new(here, permits));
        Counted { verdict, standings, permits }
    })
}

fn after(wait: Duration) -> Verdict {
    Verdict::After(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}

/// What servers have said so far. Permits go back when it is dropped.
#[derive(Default)]
struct Entering {
    permits: Vec<Permit>,
    standings: Standings,
}

impl Entering {
    /// After how long to try again, where one limit does not let it run.
    async fn run(&mut self, turns: &[Turn]) -> Result<Option<Duration>, CountError> {
        for group in turns.chunk_by(|one, other| Arc::ptr_eq(one.link(), other.link())) {
            let wait = match self.ask(group).await {
                Ok(wait) => wait,
                Err(trouble) => self.fall_back(group, trouble)?,
            };
            if wait.is_some() {
                return Ok(wait);
            }
        }
        Ok(None)
    }

    /// All that one server decides are decided by one script: their counts are those of one tenant.
    async fn ask(&mut self, turns: &[Turn]) -> Result<Option<Duration>, Trouble> {
        let Some(link) = turns.first().map(Turn::link) else { return Ok(None) };
        if link.circuit.is_open() {
            return Err(Trouble::GivenUp);
        }
        let asked = Instant::now();
        let mut permits: Vec<_> = turns.iter().map(|turn| turn.desk.permit(&turn.key)).collect();
        let entries = permits.iter_mut().zip(turns).map(|(permit, turn)| permit.ask(turn.limit()));
        let answer = link.call(&Call::enter(entries), asked + link.patience).await?;
        let [entered, running @ ..] = &answer[..] else { return Err(Trouble::Nonsense) };
        if running.len() != turns.len() {
            return Err(Trouble::Nonsense);
        }
        for (turn, running) in turns.iter().zip(running) {
            self.standings.push(turn.standing(turn.limit(), *running));
        }
        if *entered == 1 {
            self.permits.extend(permits.into_iter().map(|permit| permit.runs(Some(asked))));
            return Ok(None);
        }
        permits.into_iter().for_each(Permit::refuse);
        let full = turns.iter().zip(running).filter(|(turn, running)| **running >= turn.limit());
        Ok(full.map(|(turn, _)| turn.retry_after).max().or(Some(Duration::ZERO)))
    }

    /// Does what was configured for when the server is away.
    fn fall_back(
        &mut self,
        turns: &[Turn],
        trouble: Trouble,
    ) -> Result<Option<Duration>, CountError> {
        if turns.iter().any(|turn| turn.desk.away == Away::Refuse) {
            turns.iter().take(1).for_each(|turn| turn.link().counts.refused.add(1));
            return Err(trouble.into());
        }
        for turn in turns {
            let (counts, mut most) = (&turn.link().counts, turn.limit());
            match turn.desk.away {
                Away::Share { nodes } => {
                    counts.shared.add(1);
                    most = (turn.limit() / u64::from(nodes.max(1))).max(1);
                    self.standings.push(turn.standing(most, turn.here()));
                }
                Away::Refuse | Away::Allow => counts.allowed.add(1),
            }
            if turn.here() > most {
                return Ok(Some(turn.retry_after));
            }
            self.permits.push(turn.desk.permit(&turn.key).runs(None));
        }
        Ok(None)
    }
}
