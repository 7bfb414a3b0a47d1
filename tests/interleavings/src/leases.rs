//! What was missed while the feed was silent is not believed when it is heard again.

use crate::world::{GOOD, NOW, REVOKED, World, every_order, go};

/// The feed comes back while requests fill: a revocation that it never told of is felt from then on.
#[test]
fn a_fill_of_the_silence_does_not_outlive_it() {
    every_order(3, || {
        let world = World::of(Some(GOOD));
        let feed = world.cache.adopt_feed(NOW).unwrap();
        let filling = go(&world, World::ask);
        world.write(Some(REVOKED)); // no word of it: the feed is cut
        world.cache.hear(feed, NOW, NOW + 10, NOW).unwrap();
        assert_eq!(world.ask(), Some(REVOKED));
        filling.join().unwrap();
        assert_eq!(world.ask(), Some(REVOKED));
    });
}

/// Memory holds a key that was revoked in the silence: it is not trusted before it is empty.
#[test]
fn nobody_meets_the_memory_of_before_the_silence() {
    every_order(None, || {
        let world = World::of(Some(GOOD));
        let feed = world.cache.adopt_feed(NOW).unwrap();
        world.cache.hear(feed, NOW, NOW + 10, NOW).unwrap();
        assert_eq!(world.ask(), Some(GOOD));
        world.cache.lose_feed(feed);
        world.write(Some(REVOKED));
        let asking = go(&world, World::ask);
        world.cache.hear(feed, NOW, NOW + 10, NOW).unwrap();
        assert_eq!(asking.join().unwrap(), Some(REVOKED));
    });
}

#[test]
fn during_the_silence_every_answer_is_at_least_as_new_as_its_question() {
    every_order(3, || {
        let world = World::of(Some(GOOD));
        world.cache.adopt_feed(NOW).unwrap();
        let others = [go(&world, World::ask), go(&world, World::ask)];
        world.write(Some(REVOKED));
        assert_eq!(world.ask(), Some(REVOKED), "no flight from before is believed");
        others.into_iter().for_each(|other| assert!(other.join().unwrap().is_some()));
    });
}

#[test]
fn a_feed_that_is_lost_takes_the_trust_along() {
    every_order(3, || {
        let world = World::of(Some(GOOD));
        let feed = world.cache.adopt_feed(NOW).unwrap();
        world.cache.hear(feed, NOW, NOW + 10, NOW).unwrap();
        let filling = go(&world, World::ask);
        assert!(world.cache.lose_feed(feed));
        world.write(Some(REVOKED));
        assert_eq!(world.ask(), Some(REVOKED));
        filling.join().unwrap();
        assert_eq!(world.ask(), Some(REVOKED));
    });
}

/// A lease is renewed by the feed that is followed, not by the one before it.
#[test]
fn the_word_of_a_former_feed_counts_no_more() {
    every_order(None, || {
        let world = World::of(Some(GOOD));
        let former = world.cache.adopt_feed(NOW).unwrap();
        let late = go(&world, move |world| world.cache.hear(former, NOW, NOW + 10, NOW).unwrap());
        world.cache.adopt_feed(NOW).unwrap();
        late.join().unwrap();
        assert!(world.cache.totals(NOW).silent_for.is_some());
    });
}
