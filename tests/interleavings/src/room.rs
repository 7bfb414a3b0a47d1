//! Entries go to make room while others are put in, read and announced.

use std::sync::Arc;

use loom::future::block_on;
use loom::sync::Mutex;

use crate::cache::{Asked, Core, Digest, Fetched, News};
use crate::world::{Cache, GOOD, NOW, REVOKED, Record, every_order};

const KEYS: [Digest; 3] = [[1; 32], [2; 32], [3; 32]];

/// A store of three keys, and a cache with room for fewer.
struct Crowd {
    cache: Cache,
    store: Mutex<[Record; 3]>,
}

impl Crowd {
    fn new(room: usize) -> Arc<Self> {
        Arc::new(Self { cache: Core::new(room, 1), store: Mutex::new([GOOD; 3]) })
    }

    fn ask(&self, key: usize) -> Record {
        let query =
            || async { Ok(Fetched { found: Some(self.store.lock().unwrap()[key]), fresh: 1_000 }) };
        let asked = || block_on(self.cache.resolve(&KEYS[key], Asked::Once, || NOW, query));
        let kept = self.cache.peek(&KEYS[key], NOW);
        kept.unwrap_or_else(|| asked().unwrap()).expect("it is there")
    }

    fn revoke(&self, key: usize, news: News) {
        self.store.lock().unwrap()[key] = REVOKED;
        self.cache.announce(&KEYS[key], news, NOW).unwrap();
    }
}

fn go(crowd: &Arc<Crowd>, work: impl FnOnce(&Crowd) + 'static) -> loom::thread::JoinHandle<()> {
    let crowd = Arc::clone(crowd);
    loom::thread::spawn(move || work(&crowd))
}

#[test]
fn never_more_is_kept_than_there_is_room_for() {
    for room in [1, 2] {
        every_order(3, move || {
            let crowd = Crowd::new(room);
            let others = [1, 2].map(|key| go(&crowd, move |crowd| _ = crowd.ask(key)));
            crowd.ask(0);
            others.into_iter().for_each(|other| other.join().unwrap());
            let kept = KEYS.iter().filter(|key| crowd.cache.peek(key, NOW).is_some()).count();
            assert_eq!((kept, crowd.cache.totals(NOW).known), (room, room));
        });
    }
}

/// An announcement finds its entry although others take and leave places meanwhile.
#[test]
fn a_revocation_lasts_while_others_take_and_leave_places() {
    for news in [News::Changed, News::Revision(REVOKED.revision)] {
        every_order(3, move || {
            let crowd = Crowd::new(2);
            crowd.ask(0);
            crowd.ask(1);
            let filling = go(&crowd, |crowd| _ = (crowd.ask(2), crowd.ask(0)));
            let leaving = go(&crowd, |crowd| crowd.revoke(1, News::Changed));
            crowd.revoke(0, news);
            assert_eq!(crowd.ask(0), REVOKED);
            filling.join().unwrap();
            leaving.join().unwrap();
            assert_eq!([crowd.ask(0), crowd.ask(1), crowd.ask(2)], [REVOKED, REVOKED, GOOD]);
            assert!(crowd.cache.totals(NOW).known <= 2);
        });
    }
}

/// What is in use is read without the lock while room is made: the reader is answered or asks.
#[test]
fn who_reads_while_room_is_made_is_answered_with_what_is() {
    every_order(None, || {
        let crowd = Crowd::new(1);
        crowd.ask(0);
        let reading = go(&crowd, |crowd| assert_eq!(crowd.ask(0), GOOD));
        crowd.ask(1);
        crowd.revoke(1, News::Changed);
        assert_eq!(crowd.ask(1), REVOKED);
        reading.join().unwrap();
        assert_eq!(crowd.cache.totals(NOW).known, 1);
    });
}

/// A tenant is changed while its entries are put in, moved and dropped.
#[test]
fn a_change_of_a_tenant_reaches_entries_on_the_move() {
    every_order(3, || {
        let crowd = Crowd::new(2);
        crowd.ask(0);
        let filling = go(&crowd, |crowd| _ = (crowd.ask(1), crowd.ask(2)));
        *crowd.store.lock().unwrap() = [REVOKED; 3];
        crowd.cache.drop_where(|_| true).unwrap();
        assert_eq!([0, 1, 2].map(|key| crowd.ask(key)), [REVOKED; 3]);
        filling.join().unwrap();
        assert_eq!([0, 1, 2].map(|key| crowd.ask(key)), [REVOKED; 3]);
    });
}
