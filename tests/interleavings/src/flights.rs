//! Who waits is woken; who leads may go; nobody asks twice without need.

use loom::future::block_on;

use crate::cache::{Asked, Failure};
use crate::world::{GOOD, World, every_order, go, poll_and_drop};

#[test]
fn two_who_ask_at_once_both_get_the_answer_by_one_query() {
    every_order(None, || {
        let world = World::of(Some(GOOD));
        let other = go(&world, World::ask);
        assert_eq!(world.ask(), Some(GOOD));
        assert_eq!(other.join().unwrap(), Some(GOOD));
        assert_eq!(world.queries(), 1);
    });
}

#[test]
fn so_do_three() {
    every_order(2, || {
        let world = World::of(Some(GOOD));
        let others = [go(&world, World::ask), go(&world, World::ask)];
        assert_eq!(world.ask(), Some(GOOD));
        others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), Some(GOOD)));
        assert_eq!(world.queries(), 1);
    });
}

#[test]
fn a_leader_that_is_dropped_strands_nobody() {
    every_order(3, || {
        let world = World::of(Some(GOOD));
        let leaving = go(&world, |world| {
            let never = std::future::pending;
            let asked =
                world.cache.resolve(&crate::world::KEY, Asked::Once, || crate::world::NOW, never);
            poll_and_drop(asked, 1);
        });
        let waiting = go(&world, World::ask);
        assert_eq!(world.ask(), Some(GOOD));
        assert_eq!(waiting.join().unwrap(), Some(GOOD));
        leaving.join().unwrap();
    });
}

#[test]
fn one_who_waits_and_is_dropped_takes_nobody_along() {
    every_order(3, || {
        let world = World::of(Some(GOOD));
        let leaving = go(&world, |world| poll_and_drop(world.resolve(), 1));
        let waiting = go(&world, World::ask);
        assert_eq!(world.ask(), Some(GOOD));
        assert_eq!(waiting.join().unwrap(), Some(GOOD));
        leaving.join().unwrap();
    });
}

#[test]
fn a_failure_reaches_all_who_wait_and_is_forgotten() {
    every_order(None, || {
        let world = World::of(Some(GOOD));
        *world.store.lock().unwrap() = Err("away");
        let other = go(&world, |world| block_on(world.resolve()).is_err());
        assert!(matches!(block_on(world.resolve()), Err(Failure::Store(_))));
        assert!(other.join().unwrap());
        world.write(Some(GOOD));
        assert_eq!(world.ask(), Some(GOOD), "asked anew");
    });
}
