//! A fill that raced with a change never brings back what was before it.

use crate::cache::News;
use crate::world::{GOOD, NOW, REVOKED, Record, World, every_order, go};

/// One thread fills while another revokes: whatever the order, memory has the old record no more
/// when the revocation has been announced, and neither does any request that comes later.
fn a_revocation_lasts(news: News, after: Option<Record>) {
    every_order(None, move || {
        let world = World::of(Some(GOOD));
        let filling = go(&world, World::ask);
        world.write(after);
        world.announce(news);
        assert_eq!(world.ask(), after, "asked after the announcement");
        filling.join().unwrap();
        assert_eq!(world.ask(), after, "asked when all is quiet");
        assert_eq!(world.cache.peek(&crate::world::KEY, NOW).unwrap_or(after), after);
    });
}

#[test]
fn a_fill_that_raced_with_a_revocation_does_not_bring_the_key_back() {
    a_revocation_lasts(News::Changed, Some(REVOKED));
}

#[test]
fn neither_if_the_revocation_has_a_revision() {
    a_revocation_lasts(News::Revision(REVOKED.revision), Some(REVOKED));
}

#[test]
fn neither_if_the_key_was_removed() {
    a_revocation_lasts(News::Gone, None);
}

#[test]
fn a_fill_that_raced_with_the_issue_of_a_key_does_not_hide_it() {
    every_order(None, || {
        let world = World::of(None);
        let filling = go(&world, World::ask);
        world.write(Some(GOOD));
        world.announce(News::Revision(GOOD.revision));
        assert_eq!(world.ask(), Some(GOOD));
        filling.join().unwrap();
        assert_eq!(world.ask(), Some(GOOD));
    });
}

#[test]
fn neither_does_a_fill_undo_a_change_of_a_tenant_or_of_everything() {
    for everything in [false, true] {
        every_order(None, move || {
            let world = World::of(Some(GOOD));
            let filling = go(&world, World::ask);
            world.write(Some(REVOKED));
            let told =
                if everything { world.cache.empty() } else { world.cache.drop_where(|_| true) };
            told.unwrap();
            assert_eq!(world.ask(), Some(REVOKED));
            filling.join().unwrap();
            assert_eq!(world.ask(), Some(REVOKED));
        });
    }
}

#[test]
fn two_who_fill_and_one_who_revokes() {
    every_order(3, || {
        let world = World::of(Some(GOOD));
        let filling = [go(&world, World::ask), go(&world, World::ask)];
        world.write(Some(REVOKED));
        world.announce(News::Changed);
        assert_eq!(world.ask(), Some(REVOKED));
        filling.into_iter().for_each(|thread| assert!(thread.join().unwrap().is_some()));
        assert_eq!(world.ask(), Some(REVOKED));
    });
}

/// Two announcements cross, as one's own and the feed's echo of it do.
#[test]
fn announcements_that_cross_leave_nothing_stale() {
    every_order(3, || {
        let world = World::of(Some(GOOD));
        let filling = go(&world, World::ask);
        let echo = go(&world, |world| world.announce(News::Revision(GOOD.revision)));
        world.write(Some(REVOKED));
        world.announce(News::Revision(REVOKED.revision));
        assert_eq!(world.ask(), Some(REVOKED));
        echo.join().unwrap();
        filling.join().unwrap();
        assert_eq!(world.ask(), Some(REVOKED));
    });
}

/// Shows that the walk finds such a race where there is one: a cache that is filled by whoever has
/// read something, as most are.
#[test]
#[should_panic = "brought back"]
fn an_unfenced_cache_is_caught() {
    use loom::sync::{Arc, Mutex};
    every_order(None, || {
        let store = Arc::new(Mutex::new(GOOD));
        let cache = Arc::new(Mutex::new(None));
        let filling = {
            let (store, cache) = (store.clone(), cache.clone());
            loom::thread::spawn(move || {
                let read = *store.lock().unwrap();
                *cache.lock().unwrap() = Some(read);
            })
        };
        *store.lock().unwrap() = REVOKED;
        *cache.lock().unwrap() = None;
        filling.join().unwrap();
        assert_ne!(*cache.lock().unwrap(), Some(GOOD), "brought back");
    });
}
