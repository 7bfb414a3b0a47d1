//! What changes on one node, told to the others over a channel.

use std::time::Duration;

use keygate::store::feed::{Feed, Heard, Invalidation, LocalFeed, RedisFeed};
use keygate::store::{Cached, KeyAdmin, KeyStore, MemoryStore};
use keygate::{KeyDigest, KeyRecord, KeyStatus, Tenant};
use support::{PATIENCE, Redis, eventually};
use tokio::time::{Instant, sleep, timeout};

use crate::node::connection;
use crate::{Private, wait, wait_on_one_thread};

pub(crate) const TESTS: &[(&str, Private)] = &[
    ("feed::changes_are_told_in_order_and_before_the_sign_of_life", || wait(in_order())),
    ("feed::a_revocation_on_one_node_is_felt_on_the_other", || wait(revocation())),
    ("feed::a_killed_server_is_an_error_and_is_heard_when_it_is_back", || wait(killed())),
    ("feed::a_frozen_server_is_silent_and_then_an_error", || wait_on_one_thread(frozen())),
    ("feed::what_can_not_be_read_may_be_anything", || wait(unreadable())),
    ("feed::a_dropped_call_loses_no_message", || wait(dropped())),
    ("feed::what_could_not_be_published_is_everything", || wait(not_published())),
    ("feed::channels_are_apart", || wait(channels())),
    ("feed::no_error_holds_the_password", || wait(no_password())),
];

const BEAT: Duration = Duration::from_millis(20);

fn feed(server: &Redis) -> RedisFeed {
    RedisFeed::new(&server.url()).unwrap().beat_every(BEAT)
}

async fn next(feed: &mut RedisFeed) -> Result<Heard, keygate::store::StoreError> {
    timeout(PATIENCE, feed.next()).await.expect("in time")
}

async fn alive(feed: &mut RedisFeed) -> Duration {
    loop {
        if let Ok(Heard::Alive { age }) = next(feed).await {
            return age;
        }
    }
}

async fn changed(feed: &mut RedisFeed) -> Invalidation {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match next(feed).await.unwrap() {
            Heard::Alive { .. } => {}
            Heard::Changed(what) => return what,
            other => panic!("{other:?}"),
        }
    }
    panic!("nothing has changed");
}

fn tenant(n: usize) -> Invalidation {
    Invalidation::Tenant(format!("tenant-{n}").as_str().into())
}

async fn in_order() {
    let server = Redis::start();
    let (mut hears, tells) = (feed(&server), feed(&server));
    let begun = Instant::now();
    assert!(alive(&mut hears).await <= begun.elapsed());
    for n in 0..100 {
        tells.publish(&tenant(n)).await.unwrap();
    }
    // What was published a while ago was told before the feed says that it is alive.
    let published = Instant::now();
    let mut told = Vec::new();
    loop {
        match next(&mut hears).await.unwrap() {
            Heard::Changed(what) => told.push(what),
            Heard::Alive { age } if published.elapsed() > age => break,
            _ => {}
        }
    }
    assert_eq!(told, (0..100).map(tenant).collect::<Vec<_>>());
}

async fn revocation() {
    let server = Redis::start();
    let database = MemoryStore::new();
    let digest = KeyDigest::of("k");
    database.insert(KeyRecord::new("k", digest, Tenant::new("acme"))).await.unwrap();
    let node = || {
        let changes = LocalFeed::new();
        let store = Cached::new(database.clone()).announce_to(changes.clone());
        // Nothing is asked for again because it is old.
        let store = store.fresh_for(Duration::from_secs(3_600));
        let feed = feed(&server);
        tokio::spawn(feed.announce(changes.subscribe()));
        tokio::spawn(store.follow(feed));
        store
    };
    let (one, two) = (node(), node());
    let is_heard = |store: &Cached<_>| store.stats().feed_silent_for.is_none();
    eventually("both are heard", async || is_heard(&one) && is_heard(&two)).await;
    let status = |record: Option<std::sync::Arc<KeyRecord>>| record.unwrap().status();
    eventually("it is kept", async || {
        assert_eq!(status(two.find(&digest).await.unwrap()), KeyStatus::Active);
        two.peek(&digest).is_some()
    })
    .await;
    let record = (*one.find(&digest).await.unwrap().unwrap()).clone();
    one.replace(record.with_status(KeyStatus::Revoked)).await.unwrap();
    eventually("it is felt", async || {
        status(two.find(&digest).await.unwrap()) == KeyStatus::Revoked
    })
    .await;
}

async fn killed() {
    let mut server = Redis::start();
    let mut hears = feed(&server);
    for _ in 0..2 {
        alive(&mut hears).await;
        server.kill();
        while next(&mut hears).await.is_ok() {}
        assert!(next(&mut hears).await.is_err(), "each attempt is an error");
        server.resume();
        alive(&mut hears).await;
        feed(&server).publish(&tenant(1)).await.unwrap();
        assert_eq!(changed(&mut hears).await, tenant(1));
    }
}

async fn frozen() {
    let server = Redis::start();
    let mut hears = feed(&server);
    alive(&mut hears).await;
    server.freeze();
    tokio::time::pause();
    let begun = Instant::now();
    loop {
        let waited = begun.elapsed();
        match next(&mut hears).await {
            Ok(Heard::Alive { age }) => assert!(age >= waited, "it was asked before the frost"),
            Ok(heard) => panic!("{heard:?}"),
            Err(_) => break,
        }
    }
    // Of a question that was asked a beat later at most.
    let silence = Duration::from_secs(5) + BEAT + Duration::from_millis(5);
    assert!(begun.elapsed() <= silence, "{:?}", begun.elapsed());
    tokio::time::resume();
    server.thaw();
    alive(&mut hears).await;
}

async fn unreadable() {
    let server = Redis::start();
    let mut hears = feed(&server);
    alive(&mut hears).await;
    let mut connection = connection(&server.url()).await;
    let mut publish = async |text: &[u8]| {
        let mut publish = redis::cmd("PUBLISH");
        let publish = publish.arg("keygate:changes").arg(text);
        publish.exec_async(&mut connection).await.unwrap();
    };
    for text in [&b"?"[..], b"", b"\xff\x00", b"{\"of_a_later_version\":1}", &[b'['; 100_000]] {
        publish(text).await;
        assert_eq!(changed(&mut hears).await, Invalidation::Everything, "{text:?}");
    }
    publish(br#"{"tenant":"acme"}"#).await;
    assert_eq!(changed(&mut hears).await, Invalidation::Tenant("acme".into()));
}

async fn dropped() {
    let server = Redis::start();
    let (mut hears, tells) = (feed(&server), feed(&server));
    alive(&mut hears).await;
    let mut told = Vec::new();
    for n in 0..200 {
        tells.publish(&tenant(n)).await.unwrap();
        // Given up after a moment, which is often in the midst of something.
        if let Ok(heard) = timeout(Duration::from_micros(50 * (n as u64 % 7)), hears.next()).await
            && let Heard::Changed(what) = heard.unwrap()
        {
            told.push(what);
        }
    }
    while told.len() < 200 {
        told.push(changed(&mut hears).await);
    }
    assert_eq!(told, (0..200).map(tenant).collect::<Vec<_>>());
}

async fn not_published() {
    let mut server = Redis::start();
    let changes = LocalFeed::new();
    let announcing = tokio::spawn(feed(&server).announce(changes.subscribe()));
    let mut hears = feed(&server);
    alive(&mut hears).await;
    changes.publish(tenant(1));
    assert_eq!(changed(&mut hears).await, tenant(1));
    server.kill();
    changes.publish(tenant(2));
    sleep(Duration::from_millis(50)).await;
    server.resume();
    // Whoever comes back starts empty; whether it hears of this depends on who is first.
    alive(&mut hears).await;
    changes.publish(tenant(3));
    loop {
        let what = changed(&mut hears).await;
        if what == tenant(3) {
            break;
        }
        assert_eq!(what, Invalidation::Everything);
    }
    changes.close();
    timeout(PATIENCE, announcing).await.unwrap().unwrap();
}

async fn channels() {
    let server = Redis::start();
    let mut hears = feed(&server).channel("mine").unwrap();
    alive(&mut hears).await;
    feed(&server).publish(&tenant(1)).await.unwrap();
    feed(&server).channel("mine").unwrap().publish(&tenant(2)).await.unwrap();
    assert_eq!(changed(&mut hears).await, tenant(2));
    for wrong in ["", "a\nb", "ä", &"x".repeat(257)] {
        assert!(feed(&server).channel(wrong).is_err());
    }
}

async fn no_password() {
    let password = "hunter2-of-the-tests";
    let mut hears = RedisFeed::new(&format!("redis://keygate:{password}@127.0.0.1:1/")).unwrap();
    let failed = next(&mut hears).await.unwrap_err();
    let wrong = RedisFeed::new(&format!("redis://x:{password}@ho st/")).unwrap_err();
    let said = format!("{hears:?} {failed:?} {failed} {wrong:?} {wrong}");
    assert!(!said.contains(password), "{said}");
}
