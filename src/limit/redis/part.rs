//! One limit's part in counting a request.

use std::sync::Arc;
use std::time::Duration;

use super::counting::CountError;
use super::grant::Entry;
use super::key::{Digest, Key};
use super::link::{Link, Trouble};
use super::script::Taken;
use super::settling::{HeldSlice, Settling};
use super::shared::{Away, Count, Counter, share};
use super::slice;
use super::slot::{Flight, Slot};
use crate::Timestamp;
use crate::limit::algorithm::{self, Answer, Decision, State};
use crate::limit::cell::{self, LimitError};
use crate::limit::identity::Identity;
use crate::limit::quota::Quota;
use crate::limit::reservation::Hold;
use crate::limit::table::{self, Table};
use crate::limit::{Limit, LimitName, Standing};

/// How often a request waits for a slice before the server decides it alone: near the end of a
/// window a slice may be over when it comes.
const WAITS: u8 = 3;

/// What a limit says before anything is taken.
pub(super) enum Look {
    Says(Answer),
    /// A slice has to be renewed first.
    Unknown,
}

pub(crate) struct Part {
    name: LimitName,
    quota: Quota,
    cost: u64,
    is_settled_later: bool,
    table: Arc<Table>,
    counter: Option<Arc<Counter>>,
    place: Place,
    held: Option<Held>,
    told: Option<(Decision, Timestamp)>,
    waits: u8,
}

/// Where it is counted.
enum Place {
    Memory {
        place: table::Place,
        quota: Quota,
    },
    Slice(Arc<Slot>),
    /// On the server; with a slice that could not decide.
    Server {
        key: Key,
        slot: Option<Arc<Slot>>,
    },
    /// Nowhere: the server is away and the limit lets requests pass.
    Open,
}

/// What was taken here, and can be given back.
enum Held {
    /// At this moment.
    Memory(Timestamp),
    /// Of this window of the server's.
    Slice(u64),
}

impl Part {
    /// Of a limit that is counted in this process.
    pub(crate) fn in_memory(limit: &Limit, place: table::Place, quota: Quota, cost: u64) -> Self {
        Self::new(limit, None, Place::Memory { place, quota }, quota, cost)
    }

    /// Of a limit that is counted on a server.
    pub(crate) fn on_server(
        limit: &Limit,
        counter: &Arc<Counter>,
        count: Count,
        quota: Quota,
        cost: u64,
    ) -> Self {
        let place = match count {
            Count::Here(slot) => Place::Slice(slot),
            Count::There(key) => Place::Server { key, slot: None },
        };
        Self::new(limit, Some(Arc::clone(counter)), place, quota, cost)
    }

    fn new(
        limit: &Limit,
        counter: Option<Arc<Counter>>,
        place: Place,
        quota: Quota,
        cost: u64,
    ) -> Self {
        let (name, table) = (limit.shown_name().clone(), Arc::clone(limit.table()));
        let is_settled_later = limit.is_settled_later();
        Self {
            name,
            quota,
            cost,
            is_settled_later,
            table,
            counter,
            place,
            held: None,
            told: None,
            waits: 0,
        }
    }

    pub(super) fn link(&self) -> Option<&Arc<Link>> {
        self.counter.as_deref().map(Counter::link)
    }

    /// True when the server has to decide.
    pub(super) fn is_there(&self) -> bool {
        matches!(self.place, Place::Server { .. })
    }

    /// Parts of one group are decided by one script.
    pub(super) fn group(&self) -> (usize, Option<Digest>) {
        let Some(link) = self.link() else { return (0, None) };
        let tag = match &self.place {
            Place::Server { key, .. } if link.is_cluster => Some(key.tag),
            _ => None,
        };
        (Arc::as_ptr(link).addr(), tag)
    }

    /// What it asks of the server.
    pub(super) fn entry(&self) -> Option<Entry> {
        let Place::Server { key, .. } = &self.place else { return None };
        let (quota, cost, is_settled_later) = (self.quota, self.cost, self.is_settled_later);
        Some(Entry { key: key.clone(), quota, cost, is_settled_later, taken: 0 })
    }

    /// What the limit says of the request. Takes nothing.
    pub(super) fn look(&mut self, now: Timestamp) -> Result<Look, LimitError> {
        match &mut self.place {
            Place::Memory { place, quota } => {
                let counter = lock(place, &self.table, now)?;
                let (_, decision) = counter.decide(quota, now, self.cost);
                Ok(Look::Says(decision.answer))
            }
            Place::Slice(slot) => {
                let slot = Arc::clone(slot);
                self.look_at(&slot)
            }
            Place::Server { .. } | Place::Open => Ok(Look::Says(Answer::Admitted)),
        }
    }

    fn look_at(&mut self, slot: &Arc<Slot>) -> Result<Look, LimitError> {
        let now = self.link().map_or(0, |link| link.now());
        let mut state = slot.lock()?;
        let look = match state.slice.look(slot.terms, now, self.cost) {
            slice::Look::Fits(_) => Look::Says(Answer::Admitted),
            slice::Look::Refused(answer) => Look::Says(answer),
            slice::Look::Ask if self.waits < WAITS => Look::Unknown,
            slice::Look::Ask | slice::Look::Alone => {
                let slot = Arc::clone(slot);
                self.place = Place::Server { key: slot.key.clone(), slot: Some(slot) };
                Look::Says(Answer::Admitted)
            }
        };
        Ok(look)
    }

    /// Takes the cost; false when it is not there any more.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<bool, LimitError> {
        match &mut self.place {
            Place::Memory { place, quota } => {
                let mut counter = lock(place, &self.table, now)?;
                let decision = counter.take(quota, now, self.cost);
                let is_taken = decision.answer == Answer::Admitted;
                self.held = is_taken.then(|| Held::Memory(counter.last()));
                drop(counter);
                self.told = Some(with_reset(decision, now));
                Ok(self.held.is_some())
            }
            Place::Slice(slot) => {
                let slot = Arc::clone(slot);
                self.take_from(&slot)
            }
            Place::Server { .. } | Place::Open => Ok(true),
        }
    }

    fn take_from(&mut self, slot: &Arc<Slot>) -> Result<bool, LimitError> {
        let Some(link) = self.link().cloned() else { return Ok(false) };
        let now = link.now();
        let mut state = slot.lock()?;
        let slice::Look::Fits(is_low) = state.slice.look(slot.terms, now, self.cost) else {
            return Ok(false);
        };
        state.slice.take(slot.terms, now, self.cost);
        self.told = state.slice.standing(slot.terms, now);
        self.held = state.slice.number().map(Held::Slice);
        drop(state);
        link.counts.local.add(1);
        if is_low && !link.circuit.is_open() {
            slot.renew(&link, 0)?;
        }
        Ok(true)
    }

    /// Gives back what was taken, unless it is to be [kept](Self::keep).
    pub(super) fn release(&mut self, now: Timestamp) {
        match (self.held.take(), &self.place) {
            (Some(Held::Memory(taken)), Place::Memory { place, quota }) => {
                let give_back = |mut counter: cell::Counter<'_>| {
                    counter.give_back(quota, now, taken, self.cost);
                };
                // A counter that can't be used lets nobody in any more: nothing is owed to it.
                let _ = self.table.settle(place, give_back);
            }
            (Some(Held::Slice(number)), Place::Slice(slot)) => {
                if let Ok(mut state) = slot.lock() {
                    state.slice.restore(slot.terms, number, self.cost);
                }
            }
            _ => {}
        }
    }

    /// The request pays for what was taken here, at once or when it is settled.
    pub(super) fn keep(&mut self, here: &mut Vec<Hold>, there: &mut Settling) {
        let held = self.held.take().filter(|_| self.is_settled_later);
        match (held, &self.place) {
            (Some(Held::Memory(taken)), Place::Memory { place, quota }) => {
                let (table, place) = (Arc::clone(&self.table), *place);
                here.push(Hold { table, place, quota: *quota, taken, cost: self.cost });
            }
            (Some(Held::Slice(number)), Place::Slice(slot)) => {
                let Some(link) = self.link().cloned() else { return };
                let (slot, cost) = (Arc::clone(slot), self.cost);
                there.hold_slice(HeldSlice { slot, link, number, cost });
            }
            _ => {}
        }
    }

    /// The flight that renews its slice, if that is not enough.
    pub(super) fn renew(&mut self) -> Result<Option<Arc<Flight>>, Trouble> {
        let (Place::Slice(slot), Some(link)) = (&self.place, self.link()) else { return Ok(None) };
        let look = |slot: &Slot| {
            slot.lock().map(|mut state| state.slice.look(slot.terms, link.now(), self.cost))
        };
        if !matches!(look(slot), Ok(slice::Look::Ask)) {
            return Ok(None);
        }
        if link.circuit.is_open() {
            return Err(Trouble::GivenUp);
        }
        let flight = slot.renew(link, self.cost).map_err(|_| Trouble::Nonsense)?;
        self.waits += 1;
        Ok(Some(flight))
    }

    /// Takes in what the server has decided.
    pub(super) fn learn(&mut self, state: State, taken: &Taken) -> Answer {
        let now = taken.now.saturating_mul(1_000);
        let decide = |cost| algorithm::decide(&self.quota, state, now, cost).1;
        let cost = if taken.admitted { 0 } else { self.cost };
        let decision = Decision { answer: decide(cost).answer, ..decide(0) };
        let reset = Timestamp::from_nanos(now.saturating_add(decision.reset));
        let remaining = match &self.place {
            Place::Server { slot: Some(slot), .. } => slot.show(state.last, decision.remaining),
            _ => decision.remaining,
        };
        self.told = Some((Decision { remaining, ..decision }, reset));
        decision.answer
    }

    /// Puts in the server's place what was configured for when it is away.
    pub(super) fn fall_back(&mut self, trouble: Trouble, now: Timestamp) -> Result<(), CountError> {
        let Some(counter) = self.counter.clone() else { return Err(trouble.into()) };
        let counts = &counter.link().counts;
        self.told = None;
        match counter.away {
            Away::Refuse => {
                counts.refused.add(1);
                Err(trouble.into())
            }
            Away::Allow => {
                counts.allowed.add(1);
                self.place = Place::Open;
                Ok(())
            }
            Away::Share { nodes } => {
                counts.shared.add(1);
                self.share(nodes, now)
            }
        }
    }

    fn share(&mut self, nodes: u32, now: Timestamp) -> Result<(), CountError> {
        let owner = match &self.place {
            Place::Server { key, .. } => key.owner(),
            Place::Slice(slot) => slot.key.owner(),
            Place::Memory { .. } | Place::Open => return Ok(()),
        };
        let quota = share(&self.quota, nodes);
        let place = self.table.place(&Identity::Text(owner.into()), &quota, now)?;
        self.place = Place::Memory { place, quota };
        Ok(())
    }

    /// What limits that are counted here say of a request that was refused.
    pub(super) fn look_again(&mut self, now: Timestamp) -> Result<(), LimitError> {
        match &mut self.place {
            Place::Memory { place, quota } => {
                let (_, decision) = lock(place, &self.table, now)?.decide(quota, now, 0);
                self.told = Some(with_reset(decision, now));
            }
            Place::Slice(slot) => {
                let slot = Arc::clone(slot);
                let now = self.link().map_or(0, |link| link.now());
                self.told = slot.lock()?.slice.standing(slot.terms, now);
            }
            Place::Server { .. } | Place::Open => {}
        }
        Ok(())
    }

    /// Where the caller stands, if the limit has said.
    pub(super) fn standing(&self) -> Option<Standing> {
        let (decision, reset) = self.told?;
        Some(Standing {
            name: self.name.clone(),
            limit: self.quota.limit(),
            window: self.quota.window(),
            remaining: decision.remaining,
            reset,
            reset_after: Duration::from_nanos(decision.reset),
        })
    }
}

fn with_reset(decision: Decision, now: Timestamp) -> (Decision, Timestamp) {
    (decision, now.saturating_add(Duration::from_nanos(decision.reset)))
}

/// The counter, in another place if it has lost this one.
fn lock<'t>(
    place: &mut table::Place,
    table: &'t Table,
    now: Timestamp,
) -> Result<cell::Counter<'t>, LimitError> {
    loop {
        if let Some(counter) = table.lock(place)? {
            return Ok(counter);
        }
        *place = table.readmit(place, now)?;
    }
}
