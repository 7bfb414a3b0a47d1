//! What is known of an issuer's keys, and the one fetch that may be under way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::attempt::{Asking, Published, Tag, Told};
use super::error::{Reason, RemoteError};
use super::flight;
use super::schedule::{Leave, Schedule, Times};
use super::stats::{Counts, RemoteStats};
use crate::jwt::keys::KeySet;
use crate::jwt::{Algorithm, Jwks, JwtError};
use crate::signal::Signal;
use crate::{Clock, trace};

type Flight = flight::Flight<RemoteError>;
pub(super) type Joined = flight::Joined<RemoteError>;
type Landed = flight::Landed<RemoteError>;

/// Requests that may wait for a fetch at a time.
const MAX_WAITING: usize = 4096;

pub(super) struct Machine {
    /// What is read for each token.
    current: RwLock<Arc<Current>>,
    state: Mutex<State>,
    /// None where keys are pushed only.
    asking: Option<Asking>,
    times: Times,
    algorithms: Vec<Algorithm>,
    clock: Arc<dyn Clock>,
    counts: Counts,
    waiting: AtomicUsize,
    /// A fetch has begun that the task should go on with; closed when nobody has the keys any more.
    pub(super) signal: Signal,
}

/// The keys, and until when they may be used.
pub(super) struct Current {
    keys: Arc<KeySet>,
    until: Duration,
    generation: u64,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    flight: Option<Arc<Flight>>,
    /// What the keys were read from.
    tag: Option<Tag>,
    digest: Option<[u8; 32]>,
    keys: Arc<KeySet>,
    skipped: usize,
}

/// What a token without a key at hand has to do.
pub(super) enum Advice {
    Wait(Joined),
    Believe,
    Unavailable(Duration),
}

impl Machine {
    pub(super) fn new(
        asking: Option<Asking>,
        times: Times,
        algorithms: Vec<Algorithm>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let current = Current { keys: Arc::default(), until: Duration::ZERO, generation: 0 };
        Self {
            current: RwLock::new(Arc::new(current)),
            state: Mutex::default(),
            asking,
            times,
            algorithms,
            clock,
            counts: Counts::default(),
            waiting: AtomicUsize::new(0),
            signal: Signal::default(),
        }
    }

    /// The keys, if they may be used now.
    pub(super) fn at_hand(&self) -> Result<Arc<KeySet>, JwtError> {
        const MOMENT: Duration = Duration::from_secs(1);
        let current = self.current.read().map_err(|_| poisoned())?;
        match self.clock.monotonic() < current.until {
            true => Ok(Arc::clone(&current.keys)),
            false => Err(JwtError::unavailable("the issuer's keys are not known", MOMENT)),
        }
    }

    /// A number that is another one when keys were taken away; none when they may be used no more.
    pub(super) fn generation(&self) -> Option<u64> {
        let current = self.current.read().ok()?;
        (self.clock.monotonic() < current.until).then_some(current.generation)
    }

    /// Keys were put in by hand: they are as good as fetched ones.
    pub(super) fn push(&self, set: Jwks) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.skipped = set.skipped().len();
        state.keys = Arc::new(set.into_key_set());
        (state.tag, state.digest) = (None, None);
        match self.asking {
            Some(_) => state.schedule.succeed(now, None, &self.times, luck()),
            None => state.schedule.until = Duration::MAX,
        }
        self.publish(&state);
    }

    /// What to do for a token whose key is not at hand.
    pub(super) fn advise(self: &Arc<Self>) -> Advice {
        if self.asking.is_none() {
            return Advice::Believe;
        }
        let mut state = self.lock();
        if let Some(flight) = under_way(&state) {
            return Advice::Wait(flight.join());
        }
        let now = self.clock.monotonic();
        match state.schedule.ask(now, &self.times) {
            Leave::Fetch => Advice::Wait(self.begin(&mut state, now).join()),
            Leave::Believe => {
                self.counts.unknown_kids.add();
                Advice::Believe
            }
            Leave::Wait(wait) => Advice::Unavailable(wait),
        }
    }

    /// Takes one of the places of those who wait.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        let place = Place(Arc::clone(self));
        (self.waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(place)
    }

    /// The fetch that is under way, or a new one, whatever the time; `None` where keys are pushed
    /// only.
    pub(super) fn fly(self: &Arc<Self>) -> Option<Joined> {
        self.asking.as_ref()?;
        let mut state = self.lock();
        let flight = under_way(&state).cloned();
        Some(flight.unwrap_or_else(|| self.begin(&mut state, self.clock.monotonic())).join())
    }

    /// The fetch that is under way.
    pub(super) fn flying(&self) -> Option<Joined> {
        under_way(&self.lock()).map(Flight::join)
    }

    /// How long it is until the next fetch; `None` if it is time.
    pub(super) fn rest(&self) -> Option<Duration> {
        let due = self.lock().schedule.due;
        due.checked_sub(self.clock.monotonic()).filter(|rest| !rest.is_zero())
    }

    pub(super) async fn sleep(&self, time: Duration) {
        if let Some(asking) = &self.asking {
            asking.fetch.sleep(time).await;
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State, now: Duration) -> Arc<Flight> {
        self.counts.fetches.add();
        state.schedule.begin(now, &self.times);
        self.publish(state);
        let asking = self.asking.clone();
        let (tag, landing) = (state.tag.clone(), Landing::new(self, now));
        let flight = Flight::new(async move {
            match asking {
                Some(asking) => landing.land(asking.run(tag).await),
                None => landing.land(Err(Reason::Broken.into())),
            }
        });
        state.flight = Some(Arc::clone(&flight));
        self.signal.raise();
        flight
    }

    /// Takes in what a fetch has brought that began at `born`.
    fn land(&self, born: Duration, told: Result<Told, RemoteError>) -> Landed {
        let landed = told.and_then(|told| self.take(born, told));
        if let Err(error) = &landed {
            self.counts.failures.add();
            trace::keys_not_fetched(error);
            let now = self.clock.monotonic();
            let mut state = self.lock();
            if error.is_empty_set() {
                state.schedule.withdraw();
                (state.tag, state.digest, state.keys) = (None, None, Arc::default());
            }
            state.schedule.fail(now, &self.times, luck());
            self.publish(&state);
        }
        landed
    }

    fn take(&self, born: Duration, told: Told) -> Landed {
        let Some(Published { json, tag }) = told.set else {
            self.counts.not_modified.add();
            return self.succeed(born, told.lifetime, |_| {});
        };
        let digest: [u8; 32] = Sha256::digest(&json).into();
        if self.lock().digest == Some(digest) {
            return self.succeed(born, told.lifetime, |state| state.tag = tag);
        }
        let set = Jwks::parse(&json, &self.algorithms).map_err(Reason::KeySet)?;
        trace::keys_skipped(set.skipped());
        let skipped = set.skipped().len();
        if set.keys().is_empty() {
            self.lock().skipped = skipped;
            return Err(Reason::NoKey.into());
        }
        let keys = Arc::new(set.into_key_set());
        self.succeed(born, told.lifetime, |state| {
            (state.tag, state.digest, state.keys, state.skipped) =
                (tag, Some(digest), keys, skipped);
        })
    }

    fn succeed(
        &self,
        born: Duration,
        lifetime: Option<Duration>,
        change: impl FnOnce(&mut State),
    ) -> Landed {
        let mut state = self.lock();
        change(&mut state);
        state.schedule.succeed(born, lifetime, &self.times, luck());
        self.publish(&state);
        Ok(())
    }

    /// Makes known to the requests what the state is. In the state's lock, so that the last word is
    /// the last to be heard.
    fn publish(&self, state: &State) {
        // Poisoned, it refuses every token.
        let Ok(mut published) = self.current.write() else { return };
        let is_same = Arc::ptr_eq(&published.keys, &state.keys);
        *published = Arc::new(Current {
            keys: Arc::clone(&state.keys),
            until: state.schedule.until,
            generation: published.generation + u64::from(!is_same),
        });
    }

    /// Nothing is left half done here by a panic: what can panic is called outside.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> RemoteStats {
        let state = self.lock();
        let now = self.clock.monotonic();
        let left = state.schedule.until.checked_sub(now).filter(|left| !left.is_zero());
        RemoteStats {
            keys: state.keys.len(),
            skipped: state.skipped,
            age: state.schedule.born.map(|born| now.saturating_sub(born)),
            usable_for: left,
            is_failing: state.schedule.is_failing(),
            waiting: self.waiting.load(Ordering::Relaxed),
            fetches: self.counts.fetches.total(),
            not_modified: self.counts.not_modified.total(),
            failures: self.counts.failures.total(),
            unknown_kids: self.counts.unknown_kids.total(),
        }
    }
}

fn under_way(state: &State) -> Option<&Arc<Flight>> {
    state.flight.as_ref().filter(|flight| !flight.has_landed())
}

fn poisoned() -> JwtError {
    JwtError::unavailable("a panic has spoiled the issuer's keys", Duration::from_secs(60))
}

/// Up to 1. Without random numbers many do at once what they should spread, and nothing worse.
fn luck() -> f64 {
    getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX))
}

/// The duty to say how a fetch ended, even when it panics.
struct Landing {
    machine: Weak<Machine>,
    born: Duration,
    has_landed: bool,
}

impl Landing {
    /// Weak, because the machine has the flight, and the flight this.
    fn new(machine: &Arc<Machine>, born: Duration) -> Self {
        Self { machine: Arc::downgrade(machine), born, has_landed: false }
    }

    fn land(mut self, told: Result<Told, RemoteError>) -> Landed {
        self.has_landed = true;
        match self.machine.upgrade() {
            Some(machine) => machine.land(self.born, told),
            None => told.map(|_| ()),
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let (false, Some(machine)) = (self.has_landed, self.machine.upgrade()) {
            let _ = machine.land(self.born, Err(Reason::Broken.into()));
        }
    }
}

/// A place among those who wait.
pub(super) struct Place(Arc<Machine>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
