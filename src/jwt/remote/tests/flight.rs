//! A fetch that belongs to all who wait for it.
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::jwt::remote::RemoteError;
use crate::jwt::remote::flight::Flight;
use crate::jwt::remote::sync::FEW;

type Landed = Result<(), RemoteError>;
type Joined = crate::jwt::remote::flight::Joined<RemoteError>;

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

/// What a fetch waits for.
#[derive(Default)]
struct Event(Mutex<Option<Waker>>);

impl Event {
    fn happens(&self) {
        self.0.lock().unwrap().take().unwrap().wake();
    }
}

/// A fetch that ends when the gate is open, and the gate.
fn gated() -> (Arc<Flight<RemoteError>>, Arc<Event>, Arc<AtomicUsize>) {
    let (event, open) = (Arc::new(Event::default()), Arc::new(AtomicUsize::new(0)));
    let (waited, gate) = (Arc::clone(&event), Arc::clone(&open));
    let flight = Flight::new(std::future::poll_fn(move |cx| {
        *waited.0.lock().unwrap() = Some(cx.waker().clone());
        match gate.load(Ordering::SeqCst) {
            0 => Poll::Pending,
            1 => Poll::Ready(Ok(())),
            _ => panic!("a fetch that panics"),
        }
    }));
    (flight, event, open)
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
    event.happens();
    assert_eq!(woken[1].0.load(Ordering::SeqCst), 2, "told of the event");
    assert!(matches!(poll(&mut second, &woken[1]), Poll::Ready(Ok(()))));
    assert!(flight.has_landed());
}

#[test]
fn an_event_wakes_a_few_and_the_end_wakes_all() {
    let (flight, event, open) = gated();
    let woken = Arc::new(Woken::default());
    let mut all: Vec<_> = (0..100).map(|_| flight.join()).collect();
    assert!(all.iter_mut().all(|joined| poll(joined, &woken).is_pending()));
    event.happens();
    assert_eq!(woken.0.load(Ordering::SeqCst), FEW);
    open.store(1, Ordering::SeqCst);
    assert!(poll(&mut all[0], &woken).is_ready());
    // The few have not been polled since, but for the one who ended it.
    assert_eq!(woken.0.load(Ordering::SeqCst), 100 + 1);
}

#[test]
fn who_was_never_polled_wakes_nobody_when_it_leaves() {
    let (flight, _event, _open) = gated();
    let woken = Arc::new(Woken::default());
    let mut stays = flight.join();
    assert!(poll(&mut stays, &woken).is_pending());
    drop(flight.join());
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
}

/// An event comes while one is polled; another is woken for it and finds the flight taken.
#[test]
fn an_event_during_a_turn_is_not_lost() {
    let slot = Arc::new(Mutex::new(None::<Joined>));
    let (inner, woken) = (Arc::clone(&slot), Arc::new(Woken::default()));
    let (seen, other) = (Arc::clone(&woken), Arc::new(Woken::default()));
    let turned_away = Arc::clone(&other);
    let flight: Arc<Flight<RemoteError>> = Flight::new(std::future::poll_fn(move |_| {
        if let Some(joined) = inner.lock().unwrap().as_mut() {
            assert!(poll(joined, &turned_away).is_pending());
        }
        Poll::Pending
    }));
    *slot.lock().unwrap() = Some(flight.join());
    let mut first = flight.join();
    assert!(poll(&mut first, &seen).is_pending());
    let rung = woken.0.load(Ordering::SeqCst) + other.0.load(Ordering::SeqCst);
    assert!(rung >= 1, "somebody looks again");
    *slot.lock().unwrap() = None;
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
