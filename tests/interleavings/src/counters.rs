//! Counters are found and counted while others make a shard grow or close a gap, both of which moves them.

use std::sync::Arc;

use loom::thread::{self, JoinHandle};

use crate::Timestamp;
use crate::cell::{Counter, Tag};
use crate::quota::Quota;
use crate::shard::Shard;
use crate::world::every_order;

const NOW: Timestamp = Timestamp(1_700_006_400_000_000_000);
const LIMIT: u64 = 10;

fn quota() -> Quota {
    Quota::per_hour(LIMIT).unwrap()
}

/// An account whose counter belongs where these bits say.
fn tag(bits: u64) -> Tag {
    Tag::new(bits ^ quota().mixed(), &quota())
}

/// All of them belong in one place.
const HOME: [u64; 3] = [0x100, 0x200, 0x300];

fn used(counter: &Counter<'_>) -> u64 {
    LIMIT - counter.decide(&quota(), NOW, 0).1.remaining
}

struct Crowd(Shard);

impl Crowd {
    fn new(bits: u32, capacity: u32) -> Arc<Self> {
        Arc::new(Self(Shard::new(bits, capacity)))
    }

    fn admit(&self, bits: u64) {
        self.0.admit(tag(bits), (&quota()).into(), NOW).unwrap();
    }

    /// As a table does.
    fn count(&self, bits: u64) {
        loop {
            if let Some(mut counter) = self.0.seek(tag(bits)) {
                counter.take(&quota(), NOW, 1);
                return;
            }
            self.admit(bits);
        }
    }

    fn find(&self, bits: u64) -> Option<u64> {
        self.0.find(tag(bits)).unwrap().map(|counter| used(&counter))
    }
}

fn go(crowd: &Arc<Crowd>, work: impl FnOnce(&Crowd) + 'static) -> JoinHandle<()> {
    let crowd = Arc::clone(crowd);
    thread::spawn(move || work(&crowd))
}

#[test]
fn who_is_moved_to_close_a_gap_is_found_and_counted() {
    every_order(2, || {
        let crowd = Crowd::new(3, 3);
        crowd.admit(HOME[0]);
        crowd.count(HOME[1]);
        crowd.count(HOME[2]);
        let counting = go(&crowd, |crowd| {
            crowd.count(HOME[2]);
            assert_eq!(crowd.find(HOME[1]), Some(1));
        });
        // Who has consumed nothing goes.
        crowd.admit(4);
        counting.join().unwrap();
        assert_eq!(HOME.map(|bits| crowd.find(bits)), [None, Some(1), Some(2)]);
        assert_eq!((crowd.find(4), crowd.0.len()), (Some(0), 3));
    });
}

#[test]
fn who_is_moved_while_a_shard_grows_is_found_and_counted() {
    every_order(2, || {
        let crowd = Crowd::new(4, 12);
        // In sixteen cells the last of them belongs elsewhere.
        let all = [0x10, 0x20, 0x30, 0x40, 0x18];
        all.iter().for_each(|bits| crowd.count(*bits));
        let counting = go(&crowd, move |crowd| crowd.count(0x18));
        crowd.admit(6);
        assert_eq!(crowd.find(0x20), Some(1));
        counting.join().unwrap();
        let found = all.map(|bits| crowd.find(bits));
        assert_eq!(found, [Some(1), Some(1), Some(1), Some(1), Some(2)]);
        assert_eq!(crowd.0.len(), 6);
    });
}

#[test]
fn who_counts_while_room_is_made_is_not_forgotten() {
    every_order(3, || {
        let crowd = Crowd::new(3, 2);
        crowd.admit(HOME[0]);
        crowd.admit(HOME[2]);
        let counting = go(&crowd, |crowd| crowd.count(HOME[0]));
        crowd.admit(HOME[1]);
        counting.join().unwrap();
        // The other ones have consumed nothing.
        assert_eq!(crowd.find(HOME[0]), Some(1));
    });
}

#[test]
fn two_who_come_at_a_time_have_one_counter() {
    every_order(None, || {
        let crowd = Crowd::new(3, 3);
        let other = go(&crowd, |crowd| crowd.count(HOME[0]));
        crowd.count(HOME[0]);
        other.join().unwrap();
        assert_eq!((crowd.find(HOME[0]), crowd.0.len()), (Some(2), 1));
    });
}
