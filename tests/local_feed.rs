//! The feed inside one process: its order, its end, and whom it wakes.

#![allow(clippy::unwrap_used)]

mod common;

use std::pin::pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::clock;
use keygate::KeyDigest;
use keygate::store::feed::{Feed, Heard, Invalidation, LocalFeed, Subscription};

fn changed(number: u8) -> Invalidation {
    Invalidation::key(KeyDigest::from_bytes([number; 32]))
}

/// The next message, if there is one already.
fn heard(subscription: &mut Subscription) -> Option<Heard> {
    poll(subscription, Waker::noop())
}

fn poll(subscription: &mut Subscription, waker: &Waker) -> Option<Heard> {
    match pin!(subscription.next()).as_mut().poll(&mut Context::from_waker(waker)) {
        Poll::Ready(heard) => Some(heard.unwrap()),
        Poll::Pending => None,
    }
}

#[test]
fn messages_come_in_order_to_each_subscriber() {
    let feed = LocalFeed::new().with_clock(clock());
    let mut subscribers = [feed.subscribe(), feed.subscribe()];
    feed.publish(changed(1));
    feed.beat();
    feed.beat();
    feed.publish(changed(2));
    for subscriber in &mut subscribers {
        assert_eq!(heard(subscriber), Some(Heard::Changed(changed(1))));
        assert_eq!(heard(subscriber), Some(Heard::Alive { age: Duration::ZERO }), "once");
        assert_eq!(heard(subscriber), Some(Heard::Changed(changed(2))));
        assert_eq!(heard(subscriber), None);
    }
}

#[test]
fn the_end_reaches_a_subscriber_that_falls_behind() {
    for before in [0, 1, 1023, 1024, 1025, 5000] {
        let feed = LocalFeed::new();
        let mut behind = feed.subscribe();
        (0..before).for_each(|_| feed.publish(changed(1)));
        feed.close();
        (0..5000).for_each(|_| feed.publish(changed(2)));
        feed.beat();
        let told = std::iter::from_fn(|| heard(&mut behind).filter(|heard| *heard != Heard::Ended));
        let told: Vec<_> = told.collect();
        assert!(told.len() == before || told[0] == Heard::Changed(Invalidation::Everything));
        assert!(told.len() <= 1024);
        assert_eq!(heard(&mut behind), Some(Heard::Ended), "and nothing comes after it");
        feed.publish(changed(3));
        let mut late = feed.subscribe();
        assert_eq!(heard(&mut late), None, "it has ended for those who followed it then");
        feed.publish(changed(4));
        assert_eq!(heard(&mut late), Some(Heard::Changed(changed(4))));
    }
}

/// A waker that asks the feed for something at once, as an executor that polls in place does.
struct Eager {
    feed: LocalFeed,
    subscription: Mutex<Subscription>,
    heard: mpsc::Sender<Option<Heard>>,
}

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        drop(self.feed.subscribe());
        let heard = heard(&mut self.subscription.lock().unwrap());
        self.heard.send(heard).unwrap();
    }
}

#[test]
fn who_is_woken_may_use_the_feed_at_once() {
    let (send, receive) = mpsc::channel();
    let feed = LocalFeed::new();
    let subscription = Mutex::new(feed.subscribe());
    let eager = Arc::new(Eager { feed: feed.clone(), subscription, heard: send });
    let waker = Waker::from(Arc::clone(&eager));
    assert_eq!(poll(&mut eager.subscription.lock().unwrap(), &waker), None);
    // In a thread of its own: what hangs would hang it for ever.
    thread::spawn(move || feed.publish(changed(1)));
    let heard = receive.recv_timeout(support::PATIENCE).expect("nobody waits for himself");
    assert_eq!(heard, Some(Heard::Changed(changed(1))));
}
