//! One count's slice on this node, and the round trip that renews it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::key::Key;
use super::link::{Link, Trouble};
use super::script::{Call, replies};
use super::slice::{Question, Reply, Slice, Terms};
use crate::limit::LimitName;
use crate::limit::cell::LimitError;
use crate::limit::identity::{Kept, Parts};
use crate::limit::quota::Quota;

/// How often a flight goes again for those who came while it was away, before it lets all look.
const ROUNDS: usize = 3;

/// What a slot is for.
pub(super) struct Account<'a> {
    pub(super) owner: Parts<'a>,
    pub(super) quota: &'a Quota,
    pub(super) limit: &'a LimitName,
}

/// The slice of one count, and who is to renew it.
#[derive(Debug)]
pub(crate) struct Slot {
    owner: Kept,
    limit: LimitName,
    pub(super) quota: Quota,
    pub(super) terms: Terms,
    pub(super) key: Key,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) slice: Slice,
    flight: Option<Arc<Flight>>,
    /// Costs that came while a flight was away.
    waiting: u64,
}

/// A round trip under way. It is nobody's request, so that nothing is lost with a request that is
/// dropped.
#[derive(Debug)]
pub(super) struct Flight {
    landed: watch::Sender<Option<bool>>,
    is_late: AtomicBool,
}

impl Flight {
    fn new() -> Arc<Self> {
        Arc::new(Self { landed: watch::Sender::new(None), is_late: AtomicBool::new(false) })
    }

    /// Waits until it has landed.
    pub(super) async fn landed(&self, link: &Arc<Link>, deadline: Instant) -> Result<(), Trouble> {
        let mut landed = self.landed.subscribe();
        let told = timeout_at(deadline, landed.wait_for(Option::is_some)).await;
        match told.map(|told| told.map(|told| *told)) {
            Ok(Ok(Some(true))) => Ok(()),
            Ok(_) => Err(Trouble::GivenUp),
            Err(_) => {
                // However many wait, one flight is late once.
                if !self.is_late.swap(true, Ordering::Relaxed) {
                    link.fail(&Trouble::Late);
                }
                Err(Trouble::Late)
            }
        }
    }
}

impl Slot {
    pub(super) fn new(account: &Account<'_>, terms: Terms, key: Key) -> Self {
        Self {
            owner: Kept::new(account.owner),
            limit: account.limit.clone(),
            quota: *account.quota,
            terms,
            key,
            state: Mutex::default(),
        }
    }

    pub(super) fn is(&self, account: &Account<'_>) -> bool {
        self.quota == *account.quota && self.owner.is(account.owner) && self.limit == *account.limit
    }

    pub(super) fn owner(&self) -> Parts<'_> {
        self.owner.parts()
    }

    pub(super) fn lock(&self) -> Result<MutexGuard<'_, State>, LimitError> {
        self.state.lock().map_err(|_| LimitError)
    }

    /// Renews the slice for a request of `cost`, or joins the flight that is under way.
    pub(super) fn renew(
        self: &Arc<Self>,
        link: &Arc<Link>,
        cost: u64,
    ) -> Result<Arc<Flight>, LimitError> {
        let mut state = self.lock()?;
        state.waiting = state.waiting.saturating_add(cost);
        if let Some(flight) = &state.flight {
            return Ok(Arc::clone(flight));
        }
        let flight = Flight::new();
        state.flight = Some(Arc::clone(&flight));
        drop(state);
        let landing = Landing { slot: Arc::clone(self), link: Arc::clone(link), answered: None };
        link.runtime.spawn(fly(landing));
        Ok(flight)
    }

    /// Takes the flight for background work, if nobody else has it and there is something to tell.
    pub(super) fn settle(self: &Arc<Self>, now: u64, at_once: bool) -> Option<Due> {
        let mut state = self.lock().ok()?;
        if state.flight.is_some() {
            return None;
        }
        let question = match at_once {
            true => state.slice.give_back(self.terms, now),
            false => state.slice.settle(self.terms, now),
        }?;
        state.flight = Some(Flight::new());
        Some(Due { slot: Arc::clone(self), question, is_landed: false })
    }

    /// Takes in the answer, if there was one, and lets those look who wait for it.
    fn land(&self, answered: Option<(Question, Reply, u64)>, now: u64) {
        let Ok(mut state) = self.lock() else { return };
        if let Some((question, reply, asked)) = answered {
            state.slice.learn(self.terms, question, reply, asked, now);
        }
        state.waiting = 0;
        if let Some(flight) = state.flight.take() {
            drop(state);
            flight.landed.send_replace(Some(answered.is_some()));
        }
    }

    /// The least that was told to be left in the window of `at`, the server's time in nanoseconds.
    pub(super) fn show(&self, at: u64, remaining: u64) -> u64 {
        let number = at / self.quota.nanos();
        self.lock().map_or(remaining, |mut state| state.slice.show(number, remaining))
    }

    /// True while a slice is on its way.
    pub(super) fn is_in_flight(&self) -> bool {
        self.lock().is_ok_and(|state| state.flight.is_some())
    }

    /// True when nobody loses anything if it is forgotten.
    pub(super) fn is_over(&self, now: u64) -> bool {
        self.lock().is_ok_and(|state| state.flight.is_none() && state.slice.is_over(now))
    }
}

/// What a slot has to tell the server; its flight lands when this is dropped.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) slot: Arc<Slot>,
    pub(super) question: Question,
    is_landed: bool,
}

impl Due {
    pub(super) fn land(&mut self, answered: Option<(Question, Reply, u64)>, now: u64) {
        if !std::mem::replace(&mut self.is_landed, true) {
            self.slot.land(answered, now);
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.land(None, 0);
    }
}

/// Asks for a slice, and again for those who came meanwhile if it is not enough for them.
async fn fly(mut landing: Landing) {
    for _ in 0..ROUNDS {
        let Some((question, asked)) = landing.question() else { return };
        let reply = ask(&landing.slot, &landing.link, question).await;
        let Ok(reply) = reply else { return landing.answered = None };
        landing.answered = Some((question, reply, asked));
        if !landing.goes_again() {
            return;
        }
    }
}

async fn ask(slot: &Slot, link: &Arc<Link>, question: Question) -> Result<Reply, Trouble> {
    let call = Call::slice([(&slot.key, slot.quota, question)]);
    let answer = link.call(&call, Instant::now() + link.leisure()).await?;
    replies(&answer, 1).and_then(|replies| replies.first().copied()).ok_or(Trouble::Nonsense)
}

/// Lands a flight however it ends: a runtime that shuts down drops it.
struct Landing {
    slot: Arc<Slot>,
    link: Arc<Link>,
    answered: Option<(Question, Reply, u64)>,
}

impl Landing {
    fn question(&self) -> Option<(Question, u64)> {
        let mut state = self.slot.lock().ok()?;
        let now = self.link.now();
        let waiting = std::mem::take(&mut state.waiting);
        Some((state.slice.question(self.slot.terms, now, waiting), now))
    }

    /// Takes in the answer and tells whether more wait than it is enough for.
    fn goes_again(&mut self) -> bool {
        let (Ok(mut state), Some((question, reply, asked))) = (self.slot.lock(), self.answered)
        else {
            return false;
        };
        let waiting = state.waiting;
        if waiting == 0 {
            return false;
        }
        let now = self.link.now();
        state.slice.learn(self.slot.terms, question, reply, asked, now);
        drop(state);
        // What was taken in must not be taken in again.
        let nothing = Question::default();
        self.answered = Some((nothing, Reply { lent: 0, ..reply }, asked));
        self.slot.lacks(now, waiting)
    }
}

impl Slot {
    fn lacks(&self, now: u64, waiting: u64) -> bool {
        let look = |state: &mut State| state.slice.look(self.terms, now, waiting);
        self.lock().is_ok_and(|mut state| look(&mut state) == super::slice::Look::Ask)
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.slot.land(self.answered, self.link.now());
    }
}
