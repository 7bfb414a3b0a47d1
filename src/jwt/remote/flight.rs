//! A fetch under way that belongs to all who wait for it.
//!
//! Whoever is polled goes on with it; so it ends when one of them stays, whoever began it. When
//! nobody stays it rests, and the next one goes on: giving up does not begin another fetch.
//! `tests/interleavings` compiles this file against loom.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, LockResult, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::sync::{FEW, Mutex};

/// How a fetch ended.
pub(crate) type Landed<E> = Result<(), E>;
type Work<E> = Pin<Box<dyn Future<Output = Landed<E>> + Send>>;

/// Why a flight ended whose fetch has panicked.
pub(crate) struct Broken;

pub(crate) struct Flight<E> {
    stage: Mutex<Stage<E>>,
    bell: Arc<Bell>,
}

enum Stage<E> {
    Resting(Work<E>),
    /// Somebody goes on with it at this moment. Others may have come meanwhile, and left it to him.
    Flying {
        others_came: bool,
    },
    Landed(Landed<E>),
}

/// Wakes those who wait.
#[derive(Default)]
struct Bell(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakers: BTreeMap<u64, Waker>,
    tickets: u64,
}

impl<E: Clone + From<Broken>> Flight<E> {
    pub(crate) fn new(work: impl Future<Output = Landed<E>> + Send + 'static) -> Arc<Self> {
        let stage = Mutex::new(Stage::Resting(Box::pin(work)));
        Arc::new(Self { stage, bell: Arc::default() })
    }

    pub(crate) fn has_landed(&self) -> bool {
        matches!(*whole(self.stage.lock()), Stage::Landed(_))
    }

    pub(crate) fn join(self: &Arc<Self>) -> Joined<E> {
        let ticket = self.bell.ticket();
        Joined { flight: Arc::clone(self), ticket, waits: false }
    }

    /// Goes on, if nobody else does at this moment.
    fn go_on(&self) -> Poll<Landed<E>> {
        let mut stage = whole(self.stage.lock());
        match mem::replace(&mut *stage, Stage::Flying { others_came: false }) {
            Stage::Landed(landed) => {
                *stage = Stage::Landed(landed.clone());
                Poll::Ready(landed)
            }
            Stage::Flying { .. } => {
                *stage = Stage::Flying { others_came: true };
                Poll::Pending
            }
            Stage::Resting(work) => {
                drop(stage);
                Turn { flight: self, next: None }.fly(work)
            }
        }
    }
}

/// Somebody's turn to go on. A panic in the fetch ends the flight for all.
struct Turn<'f, E: Clone + From<Broken>> {
    flight: &'f Flight<E>,
    next: Option<Stage<E>>,
}

impl<E: Clone + From<Broken>> Turn<'_, E> {
    fn fly(mut self, mut work: Work<E>) -> Poll<Landed<E>> {
        let waker = Waker::from(Arc::clone(&self.flight.bell));
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        self.next = Some(match &polled {
            Poll::Ready(landed) => Stage::Landed(landed.clone()),
            Poll::Pending => Stage::Resting(work),
        });
        polled
    }
}

impl<E: Clone + From<Broken>> Drop for Turn<'_, E> {
    fn drop(&mut self) {
        let broken = || Stage::Landed(Err(Broken.into()));
        let next = self.next.take().unwrap_or_else(broken);
        let has_landed = matches!(next, Stage::Landed(_));
        let before = mem::replace(&mut *whole(self.flight.stage.lock()), next);
        if has_landed {
            self.flight.bell.ring(usize::MAX);
        } else if matches!(before, Stage::Flying { others_came: true }) {
            // They may have been woken for something that this one has not seen.
            self.flight.bell.ring(FEW);
        }
    }
}

impl Bell {
    fn ticket(&self) -> u64 {
        let mut waiting = whole(self.0.lock());
        waiting.tickets += 1;
        waiting.tickets
    }

    /// Wakes so many, those first who have waited longest.
    fn ring(&self, most: usize) {
        let mut waiting = whole(self.0.lock());
        let woken: Vec<_> = match most >= waiting.wakers.len() {
            true => mem::take(&mut waiting.wakers).into_values().collect(),
            false => (0..most).map_while(|_| waiting.wakers.pop_first()).map(|(_, w)| w).collect(),
        };
        drop(waiting);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring(FEW);
    }
}

/// What is locked here is whole whenever the lock is free.
fn whole<T>(locked: LockResult<T>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// Somebody who waits for a flight.
pub(crate) struct Joined<E> {
    flight: Arc<Flight<E>>,
    ticket: u64,
    waits: bool,
}

impl<E: Clone + From<Broken>> Future for Joined<E> {
    type Output = Landed<E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Landed<E>> {
        // First, so that no bell is missed.
        whole(self.flight.bell.0.lock()).wakers.insert(self.ticket, cx.waker().clone());
        let polled = self.flight.go_on();
        self.waits = polled.is_pending();
        polled
    }
}

impl<E> Drop for Joined<E> {
    fn drop(&mut self) {
        whole(self.flight.bell.0.lock()).wakers.remove(&self.ticket);
        // The bell may have rung for this one only.
        if self.waits {
            self.flight.bell.ring(1);
        }
    }
}
