//! A fetch goes on as long as one stays who waits for it, whoever begins, leaves, or is polled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use loom::future::{AtomicWaker, block_on};

use crate::flight::{Broken, Flight};
use crate::world::{every_order, poll_and_drop};

#[derive(Clone, Debug, PartialEq)]
struct Failed;

impl From<Broken> for Failed {
    fn from(_: Broken) -> Self {
        Self
    }
}

/// What the fetch waits for: an answer that comes once.
struct Answer {
    is_there: loom::sync::atomic::AtomicBool,
    waker: AtomicWaker,
}

/// A fetch, its answer to come, and how often it was begun.
fn fetch() -> (Arc<Flight<Failed>>, Arc<Answer>, Arc<AtomicUsize>) {
    let is_there = loom::sync::atomic::AtomicBool::new(false);
    let answer = Arc::new(Answer { is_there, waker: AtomicWaker::new() });
    let (coming, ends) = (Arc::clone(&answer), Arc::new(AtomicUsize::new(0)));
    let ended = Arc::clone(&ends);
    let flight = Flight::new(std::future::poll_fn(move |cx| {
        coming.waker.register_by_ref(cx.waker());
        match coming.is_there.load(loom::sync::atomic::Ordering::SeqCst) {
            true => {
                ended.fetch_add(1, Ordering::Relaxed);
                Poll::Ready(Ok(()))
            }
            false => Poll::Pending,
        }
    }));
    (flight, answer, ends)
}

impl Answer {
    fn comes(&self) {
        self.is_there.store(true, loom::sync::atomic::Ordering::SeqCst);
        self.waker.wake();
    }
}

fn wait(flight: &Arc<Flight<Failed>>) -> loom::thread::JoinHandle<()> {
    let flight = Arc::clone(flight);
    loom::thread::spawn(move || assert_eq!(block_on(flight.join()), Ok(())))
}

#[test]
fn an_answer_reaches_two_who_wait() {
    every_order(3, || {
        let (flight, answer, ends) = fetch();
        let others = [wait(&flight), wait(&flight)];
        answer.comes();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_answer_reaches_who_stays_while_another_leaves() {
    every_order(3, || {
        let (flight, answer, ends) = fetch();
        let stays = wait(&flight);
        let leaving = Arc::clone(&flight);
        let leaves = loom::thread::spawn(move || poll_and_drop(leaving.join(), 1));
        answer.comes();
        leaves.join().unwrap();
        stays.join().unwrap();
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_answer_reaches_two_who_stay_while_another_leaves() {
    every_order(2, || {
        let (flight, answer, ends) = fetch();
        let stay = [wait(&flight), wait(&flight)];
        let leaving = Arc::clone(&flight);
        let leaves = loom::thread::spawn(move || poll_and_drop(leaving.join(), 2));
        answer.comes();
        leaves.join().unwrap();
        stay.into_iter().for_each(|stays| stays.join().unwrap());
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_answer_that_came_while_nobody_stayed_is_found() {
    every_order(None, || {
        let (flight, answer, _) = fetch();
        poll_and_drop(flight.join(), 1);
        let stays = wait(&flight);
        answer.comes();
        stays.join().unwrap();
        assert!(flight.has_landed());
    });
}
