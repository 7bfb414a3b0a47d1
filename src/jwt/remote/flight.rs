//! A fetch under way that belongs to all who wait for it.
//!
//! Whoever is polled goes on with it; so it ends when one of them stays, whoever began it. When
//! nobody stays it rests, and the next one goes on: giving up does not begin another fetch.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::error::{Reason, RemoteError};

pub(super) type Landed = Result<(), RemoteError>;
type Work = Pin<Box<dyn Future<Output = Landed> + Send>>;

pub(super) struct Flight {
    stage: Mutex<Stage>,
    bell: Arc<Bell>,
}

enum Stage {
    Resting(Work),
    /// Somebody goes on with it at this moment.
    Flying,
    Landed(Landed),
}

/// Wakes all who wait: each of them may be the one who stays.
#[derive(Default)]
struct Bell(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakers: BTreeMap<u64, Waker>,
    tickets: u64,
}

impl Flight {
    pub(super) fn new(work: impl Future<Output = Landed> + Send + 'static) -> Arc<Self> {
        let stage = Mutex::new(Stage::Resting(Box::pin(work)));
        Arc::new(Self { stage, bell: Arc::default() })
    }

    pub(super) fn has_landed(&self) -> bool {
        matches!(*lock(&self.stage), Stage::Landed(_))
    }

    pub(super) fn join(self: &Arc<Self>) -> Joined {
        let ticket = self.bell.ticket();
        Joined { flight: Arc::clone(self), ticket, is_over: false }
    }

    /// Goes on, if nobody else does at this moment.
    fn go_on(&self) -> Poll<Landed> {
        let mut stage = lock(&self.stage);
        match mem::replace(&mut *stage, Stage::Flying) {
            Stage::Landed(landed) => {
                *stage = Stage::Landed(landed.clone());
                Poll::Ready(landed)
            }
            Stage::Flying => Poll::Pending,
            Stage::Resting(work) => {
                drop(stage);
                Turn { flight: self, next: None }.fly(work)
            }
        }
    }
}

/// Somebody's turn to go on. A panic in the fetch ends the flight for all.
struct Turn<'f> {
    flight: &'f Flight,
    next: Option<Stage>,
}

impl Turn<'_> {
    fn fly(mut self, mut work: Work) -> Poll<Landed> {
        let waker = Waker::from(Arc::clone(&self.flight.bell));
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        self.next = Some(match &polled {
            Poll::Ready(landed) => Stage::Landed(landed.clone()),
            Poll::Pending => Stage::Resting(work),
        });
        polled
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let broken = || Stage::Landed(Err(Reason::Broken.into()));
        let next = self.next.take().unwrap_or_else(broken);
        let has_landed = matches!(next, Stage::Landed(_));
        *lock(&self.flight.stage) = next;
        if has_landed {
            self.flight.bell.ring();
        }
    }
}

impl Bell {
    fn ticket(&self) -> u64 {
        let mut waiting = lock(&self.0);
        waiting.tickets += 1;
        waiting.tickets
    }

    fn ring(&self) {
        let wakers = mem::take(&mut lock(&self.0).wakers);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// What is locked here is whole whenever the lock is free.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody who waits for a flight.
pub(super) struct Joined {
    flight: Arc<Flight>,
    ticket: u64,
    is_over: bool,
}

impl Future for Joined {
    type Output = Landed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Landed> {
        // First, so that no bell is missed.
        lock(&self.flight.bell.0).wakers.insert(self.ticket, cx.waker().clone());
        let polled = self.flight.go_on();
        self.is_over = polled.is_ready();
        polled
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        lock(&self.flight.bell.0).wakers.remove(&self.ticket);
        // The bell may have rung for this one, while the others could not go on.
        if !self.is_over {
            self.flight.bell.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(joined: &mut Joined, woken: &Arc<Woken>) -> Poll<Landed> {
        let waker = Waker::from(Arc::clone(woken));
        Pin::new(joined).poll(&mut Context::from_waker(&waker))
    }

    /// A fetch that ends when the gate is open, and the gate.
    fn gated() -> (Arc<Flight>, Arc<Bell>, Arc<AtomicUsize>) {
        let (bell, open) = (Arc::new(Bell::default()), Arc::new(AtomicUsize::new(0)));
        let (ringing, gate) = (Arc::clone(&bell), Arc::clone(&open));
        let flight = Flight::new(std::future::poll_fn(move |cx| {
            lock(&ringing.0).wakers.insert(0, cx.waker().clone());
            match gate.load(Ordering::SeqCst) {
                0 => Poll::Pending,
                1 => Poll::Ready(Ok(())),
                _ => panic!("a fetch that panics"),
            }
        }));
        (flight, bell, open)
    }

    #[test]
    fn who_stays_goes_on_after_the_first_has_left() {
        let (flight, event, open) = gated();
        let (mut first, mut second) = (flight.join(), flight.join());
        let woken = [Arc::new(Woken::default()), Arc::new(Woken::default())];
        assert!(poll(&mut first, &woken[0]).is_pending());
        assert!(poll(&mut second, &woken[1]).is_pending());
        drop(first);
        assert_eq!(woken[1].0.load(Ordering::SeqCst), 1, "told that somebody left");
        assert!(poll(&mut second, &woken[1]).is_pending());
        open.store(1, Ordering::SeqCst);
        event.ring();
        assert_eq!(woken[1].0.load(Ordering::SeqCst), 2, "told of the event");
        assert!(matches!(poll(&mut second, &woken[1]), Poll::Ready(Ok(()))));
        assert!(flight.has_landed());
    }

    #[test]
    fn a_flight_that_all_have_left_rests_and_is_resumed() {
        let (flight, _event, open) = gated();
        let woken = Arc::new(Woken::default());
        assert!(poll(&mut flight.join(), &woken).is_pending());
        assert!(!flight.has_landed());
        open.store(1, Ordering::SeqCst);
        assert!(matches!(poll(&mut flight.join(), &woken), Poll::Ready(Ok(()))));
    }

    #[test]
    fn a_panic_ends_the_flight_for_all() {
        let (flight, _event, open) = gated();
        let (mut first, mut second) = (flight.join(), flight.join());
        let woken = Arc::new(Woken::default());
        assert!(poll(&mut second, &woken).is_pending());
        open.store(2, Ordering::SeqCst);
        let unwound =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut first, &woken)));
        assert!(unwound.is_err());
        assert!(woken.0.load(Ordering::SeqCst) >= 1, "the other is told");
        assert!(matches!(poll(&mut second, &woken), Poll::Ready(Err(_))));
        assert!(flight.has_landed());
    }
}
