//! A key that moves from a former digest to the one of now while it is looked for.

use std::sync::Arc;

use loom::future::block_on;
use loom::sync::Mutex;

use crate::cache::{Asked, Digest, Fetched, News};
use crate::world::{Cache, GOOD, NOW, Record, every_order};

const PRESENT: Digest = [1; 32];
const FORMER: Digest = [2; 32];

struct Moving {
    cache: Cache,
    /// Under which digest the key is kept.
    kept: Mutex<Digest>,
}

impl Moving {
    fn new() -> Arc<Self> {
        Arc::new(Self { cache: Cache::new(4, 4), kept: Mutex::new(FORMER) })
    }

    fn find(&self, digest: Digest, asked: Asked) -> Option<Record> {
        let query = || async {
            let found = (*self.kept.lock().unwrap() == digest).then_some(GOOD);
            Ok(Fetched { found, fresh: 1_000 })
        };
        block_on(self.cache.resolve(&digest, asked, || NOW, query)).unwrap()
    }

    /// As the gate asks: what memory knows first, then the store.
    fn ask(&self, last: Asked) -> Option<Record> {
        [PRESENT, FORMER]
            .iter()
            .find_map(|digest| match self.cache.peek(digest, NOW) {
                Some(found) => found,
                None => self.find(*digest, Asked::Once),
            })
            .or_else(|| self.find(PRESENT, last))
    }
}

fn nobody_is_refused(last: Asked, announced: bool) {
    every_order(3, move || {
        let moving = Moving::new();
        let asking = [(); 2].map(|()| {
            let moving = Arc::clone(&moving);
            loom::thread::spawn(move || moving.ask(last))
        });
        *moving.kept.lock().unwrap() = PRESENT;
        if announced {
            moving.cache.announce(&FORMER, News::Gone, NOW).unwrap();
            moving.cache.announce(&PRESENT, News::Inserted(GOOD.revision), NOW).unwrap();
        }
        assert_eq!(moving.ask(last), Some(GOOD), "refused");
        asking
            .into_iter()
            .for_each(|asked| assert_eq!(asked.join().unwrap(), Some(GOOD), "refused"));
    });
}

#[test]
fn a_key_that_moves_elsewhere_is_found_by_all_who_look_for_it() {
    nobody_is_refused(Asked::Again, false);
}

#[test]
fn a_key_that_moves_here_is_found_by_all_who_look_for_it() {
    nobody_is_refused(Asked::Again, true);
}

/// Shows that the walk finds a last look that is answered with what memory knew before.
#[test]
#[should_panic = "refused"]
fn a_last_look_into_memory_is_caught() {
    nobody_is_refused(Asked::Once, false);
}

/// Whoever hangs up before the last look leaves what it has read behind.
#[test]
fn what_an_unfinished_search_leaves_in_memory_refuses_nobody() {
    every_order(None, || {
        let moving = Moving::new();
        let other = Arc::clone(&moving);
        let leaving = loom::thread::spawn(move || {
            other.find(PRESENT, Asked::Once);
            other.find(FORMER, Asked::Once);
        });
        *moving.kept.lock().unwrap() = PRESENT;
        assert_eq!(moving.ask(Asked::Again), Some(GOOD), "refused");
        leaving.join().unwrap();
        assert_eq!(moving.ask(Asked::Again), Some(GOOD), "refused");
    });
}
