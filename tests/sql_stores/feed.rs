//! What a PostgreSQL server tells of changes, and what becomes of nodes that listen when it stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keygate::store::feed::{Feed, Heard, Invalidation};
use keygate::store::{
    Cached, Change, Commit, KeyAdmin, KeyStore, PostgresFeed, PostgresStore, StoreError,
};
use keygate::{KeyDigest, KeyRecord, KeyStatus, Tenant, TenantId, TenantStatus};
use libtest_mimic::Trial;
use support::{PATIENCE, Postgres};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::NoTls;

use crate::postgres::{private_trials, shared_trials};
use crate::stores::{Place, Services, postgres, with_options};
use crate::wait;

/// Far less than the minute for which memory is good while a feed is heard, and far more than a busy
/// machine needs.
const SOON: Duration = Duration::from_secs(30);

/// For how long a feed may be silent, and by how much the clock may lag that tells.
const LEASE: Duration = Duration::from_millis(5_020);

type SharedTest = fn(&str);

const SHARED: &[(&str, SharedTest)] = &[
    ("what_one_node_changes_another_feels", what_one_node_changes_another_feels),
    ("changes_are_told_in_order", changes_are_told_in_order),
    ("what_is_rolled_back_is_not_told", what_is_rolled_back_is_not_told),
    ("an_import_in_bulk_is_told", an_import_in_bulk_is_told),
    ("changes_by_hand_are_told", changes_by_hand_are_told),
    ("a_name_too_long_to_tell_is_everything", a_name_too_long_to_tell_is_everything),
    ("tables_of_the_version_before_learn_to_tell", tables_of_the_version_before_learn_to_tell),
    ("a_call_that_is_dropped_loses_no_message", a_call_that_is_dropped_loses_no_message),
    ("a_cut_connection_is_one_failure_and_made_again", a_cut_connection_is_one_failure),
    ("a_schema_is_told_of_itself_only", a_schema_is_told_of_itself_only),
    ("without_tables_nothing_is_alive", without_tables_nothing_is_alive),
    ("a_reader_may_follow", a_reader_may_follow),
    ("a_flood_of_messages_does_not_hide_the_signs_of_life", a_flood_hides_no_sign_of_life),
];

type PrivateTest = fn(&mut Postgres);

const PRIVATE: &[(&str, PrivateTest)] = &[
    ("a_restarted_server_is_followed_again", a_restarted_server_is_followed_again),
    ("a_frozen_server_loses_the_lease", a_frozen_server_loses_the_lease),
    ("a_feed_of_another_database_is_never_alive", a_feed_of_another_database_is_never_alive),
    ("a_feed_tells_no_secret", a_feed_tells_no_secret),
];

pub(crate) fn trials(services: &Services) -> Vec<Trial> {
    let mut trials = shared_trials("feed", services, SHARED);
    trials.extend(private_trials("feed", PRIVATE));
    trials
}

fn acme() -> TenantId {
    TenantId::from("acme")
}

fn digest(id: &str) -> KeyDigest {
    KeyDigest::of(id)
}

fn key(id: &str) -> KeyRecord {
    KeyRecord::new(id, digest(id), Tenant::new("acme"))
}

/// A node, on connections that bear its name.
struct Node {
    store: Cached<PostgresStore>,
    following: JoinHandle<()>,
}

impl Node {
    async fn start(url: &str) -> Self {
        let database = postgres(url).await.unwrap();
        let feed = PostgresFeed::new(&database, url).unwrap();
        let store = Cached::new(database);
        let following = tokio::spawn(store.follow(feed));
        let node = Self { store, following };
        node.hears().await;
        node
    }

    fn is_heard(&self) -> bool {
        self.store.stats().feed_silent_for.is_none()
    }

    async fn hears(&self) {
        eventually(|| self.is_heard()).await;
    }

    /// What a request would be told, from memory if it may be.
    async fn status(&self, id: &str) -> Result<Option<KeyStatus>, StoreError> {
        let digest = digest(id);
        let found = match self.store.peek(&digest) {
            Some(found) => found?,
            None => self.store.find(&digest).await?,
        };
        Ok(found.map(|found| match found.tenant().is_suspended() {
            true => KeyStatus::Inactive,
            false => found.status(),
        }))
    }

    async fn feels(&self, id: &str, expected: Option<KeyStatus>) {
        let start = Instant::now();
        while self.status(id).await.unwrap() != expected {
            assert!(start.elapsed() < SOON, "{id} is {:?}", self.status(id).await);
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Has it in memory, where what was told last may have ended it.
    async fn keeps(&self, id: &str) {
        let start = Instant::now();
        while self.store.peek(&digest(id)).is_none() {
            assert!(start.elapsed() < SOON);
            self.status(id).await.unwrap();
        }
    }

    /// Changes a key as it is in the database.
    async fn change(&self, id: &str, change: impl Fn(KeyRecord) -> KeyRecord) {
        let found = self.store.get(&acme(), &id.into()).await.unwrap().unwrap();
        self.store.replace(change(KeyRecord::clone(&found))).await.unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.following.abort();
    }
}

async fn eventually(is_so: impl Fn() -> bool) {
    support::eventually("it is heard or not", async || is_so()).await;
}

fn revoked(record: KeyRecord) -> KeyRecord {
    record.with_status(KeyStatus::Revoked)
}

fn what_one_node_changes_another_feels(url: &str) {
    wait(async {
        let (one, other) = (Node::start(url).await, Node::start(url).await);
        other.feels("k1", None).await;
        one.store.insert(key("k1")).await.unwrap();
        other.feels("k1", Some(KeyStatus::Active)).await;
        let suspended = Tenant::new("acme").with_status(TenantStatus::Suspended);
        one.store.put_tenant(suspended).await.unwrap();
        other.feels("k1", Some(KeyStatus::Inactive)).await;
        one.store.put_tenant(Tenant::new("acme")).await.unwrap();
        other.feels("k1", Some(KeyStatus::Active)).await;
        one.change("k1", revoked).await;
        other.feels("k1", Some(KeyStatus::Revoked)).await;
        one.change("k1", |record| record.with_digest(digest("k2"))).await;
        other.feels("k1", None).await;
        other.feels("k2", Some(KeyStatus::Revoked)).await;
        assert!(one.store.delete(&acme(), &"k1".into()).await.unwrap());
        other.feels("k2", None).await;
        assert!(other.is_heard() && other.store.stats().read_throughs <= 2, "from memory");
    });
}

/// A feed that is alive, and the store that it tells of.
async fn alive(url: &str) -> (PostgresStore, PostgresFeed) {
    let store = postgres(url).await.unwrap();
    let mut feed = PostgresFeed::new(&store, url).unwrap();
    let first = soon(&mut feed).await.unwrap();
    assert!(matches!(first, Heard::Alive { age } if age < SOON), "{first:?}");
    (store, feed)
}

async fn soon(feed: &mut PostgresFeed) -> Result<Heard, StoreError> {
    timeout(PATIENCE, feed.next()).await.expect("it says something")
}

/// All that is told before the second next sign of life: the first may be under way already.
async fn told(feed: &mut PostgresFeed) -> Vec<Invalidation> {
    let (mut told, mut beats) = (Vec::new(), 0);
    while beats < 2 {
        match soon(feed).await.unwrap() {
            Heard::Changed(what) => told.push(what),
            Heard::Alive { .. } => beats += 1,
            other => panic!("{other:?}"),
        }
    }
    told
}

fn changes_are_told_in_order(url: &str) {
    wait(async {
        let (store, mut feed) = alive(url).await;
        store.insert(key("k1")).await.unwrap();
        let get =
            async || KeyRecord::clone(&store.get(&acme(), &"k1".into()).await.unwrap().unwrap());
        store.replace(get().await.with_name("a")).await.unwrap();
        let moved = get().await.with_digest(digest("k2"));
        let both = vec![Change::Replace(moved), Change::Insert(key("k3").with_revision(7))];
        store.commit(Commit::new(both, Vec::new())).await.unwrap();
        store.put_tenant(Tenant::new("acme")).await.unwrap(); // as it was
        store.put_tenant(Tenant::new("acme").with_plan("pro")).await.unwrap();
        store.put_tenant(Tenant::new("newcomer")).await.unwrap();
        assert!(store.delete(&acme(), &"k1".into()).await.unwrap());
        let end = || Change::Delete { tenant: acme(), id: "k4".into() };
        let twice = [(); 3].map(|()| [Change::Insert(key("k4")), end()]).into_iter().flatten();
        store.commit(Commit::new(twice.take(5).collect(), Vec::new())).await.unwrap();
        let expected = [
            Invalidation::inserted(digest("k1"), 0),
            Invalidation::changed(digest("k1"), 1),
            Invalidation::gone(digest("k1")),
            Invalidation::changed(digest("k2"), 2),
            Invalidation::inserted(digest("k3"), 7),
            Invalidation::Tenant(acme()),
            Invalidation::gone(digest("k2")),
            Invalidation::inserted(digest("k4"), 0),
            Invalidation::gone(digest("k4")),
            Invalidation::inserted(digest("k4"), 0),
            Invalidation::gone(digest("k4")),
            Invalidation::inserted(digest("k4"), 0),
        ];
        assert_eq!(told(&mut feed).await, expected);
    });
}

fn what_is_rolled_back_is_not_told(url: &str) {
    wait(async {
        let (store, mut feed) = alive(url).await;
        let stale = vec![Change::Insert(key("k1")), Change::Replace(key("k9"))];
        assert!(store.commit(Commit::new(stale, Vec::new())).await.unwrap_err().is_conflict());
        store.insert(key("k2")).await.unwrap();
        let place = Place::Postgres(url.into());
        place.sql("BEGIN; UPDATE keygate_keys SET status = 'revoked'; ROLLBACK").await;
        assert_eq!(told(&mut feed).await, [Invalidation::inserted(digest("k2"), 0)]);
    });
}

fn an_import_in_bulk_is_told(url: &str) {
    wait(async {
        let node = Node::start(url).await;
        node.store.insert(key("k1")).await.unwrap();
        let unknown = KeyDigest::from_bytes({
            let mut bytes = [0; 32];
            bytes[28..].copy_from_slice(&4_999_u32.to_be_bytes());
            bytes
        });
        assert!(node.store.find(&unknown).await.unwrap().is_none());
        assert!(node.store.peek(&unknown).is_some(), "known to be unknown");
        let import = "INSERT INTO keygate_keys (digest, id, tenant, display, name, environment, access, \
            created, status, networks, revision) \
            SELECT decode(lpad(to_hex(n), 64, '0'), 'hex'), 'import-' || n, tenant, display, name, \
            environment, access, created, status, networks, 0 \
            FROM keygate_keys, generate_series(1, 5000) n";
        Place::Postgres(url.into()).sql(import).await;
        let start = Instant::now();
        while node.store.find(&unknown).await.unwrap().is_none() {
            assert!(start.elapsed() < SOON);
            sleep(Duration::from_millis(1)).await;
        }
        eventually(|| node.store.stats().invalidations >= 5_000).await;
        assert!(node.is_heard());
    });
}

/// An operator does not count revisions.
fn changes_by_hand_are_told(url: &str) {
    wait(async {
        let node = Node::start(url).await;
        let place = Place::Postgres(url.into());
        node.store.insert(key("k1")).await.unwrap();
        node.change("k1", |record| record.with_name("second revision")).await;
        for status in ["revoked", "active"] {
            let before = node.status("k1").await.unwrap();
            place.sql(&format!("UPDATE keygate_keys SET status = '{status}'")).await;
            let after = [KeyStatus::Revoked, KeyStatus::Active][usize::from(status == "active")];
            assert_ne!(before, Some(after));
            node.feels("k1", Some(after)).await;
        }
        // From elsewhere in the database.
        let (server, schema) = url.split_once("?options=-csearch_path%3D").unwrap();
        let suspend = format!("UPDATE {schema}.keygate_tenants SET status = 'suspended'");
        Place::Postgres(server.into()).sql(&suspend).await;
        node.feels("k1", Some(KeyStatus::Inactive)).await;
        place.sql("UPDATE keygate_keys SET revision = 0").await;
        // A revision that is put back is no outage, once it is told.
        let start = Instant::now();
        while node.status("k1").await.is_err() {
            assert!(start.elapsed() < SOON);
        }
        place.sql("TRUNCATE keygate_keys").await;
        node.feels("k1", None).await;
        node.store.insert(key("k1").with_revision(u64::MAX)).await.unwrap();
        node.feels("k1", Some(KeyStatus::Inactive)).await;
    });
}

fn a_name_too_long_to_tell_is_everything(url: &str) {
    wait(async {
        let (store, mut feed) = alive(url).await;
        for (name, is_told) in [("\u{1}".repeat(1_200), true), ("\u{1}".repeat(1_400), false)] {
            let tenant = Tenant::new(name.as_str());
            store.put_tenant(tenant.clone()).await.unwrap();
            store.put_tenant(tenant.with_plan("pro")).await.unwrap();
            let expected = match is_told {
                true => Invalidation::Tenant(name.as_str().into()),
                false => Invalidation::Everything,
            };
            assert_eq!(told(&mut feed).await, [expected]);
        }
    });
}

fn tables_of_the_version_before_learn_to_tell(url: &str) {
    wait(async {
        let former = postgres(url).await.unwrap();
        let place = Place::Postgres(url.into());
        let back =
            "DROP FUNCTION keygate_tell CASCADE; DELETE FROM keygate_migrations WHERE version > 1";
        place.sql(back).await;
        let node = Node::start(url).await;
        node.feels("k1", None).await;
        former.insert(key("k1")).await.expect("it works on the newer tables");
        node.feels("k1", Some(KeyStatus::Active)).await;
    });
}

fn a_call_that_is_dropped_loses_no_message(url: &str) {
    wait(async {
        let store = postgres(url).await.unwrap();
        let mut feed = PostgresFeed::new(&store, url).unwrap().beat_every(Duration::ZERO);
        let mut heard = async || loop {
            if let Ok(heard) = timeout(Duration::from_micros(300), feed.next()).await {
                return heard.unwrap();
            }
        };
        let first = timeout(SOON, heard()).await.expect("also while it connects");
        assert!(matches!(first, Heard::Alive { .. }));
        let writing = tokio::spawn(async move {
            for n in 0..300 {
                store.insert(key(&n.to_string())).await.unwrap();
            }
        });
        let (mut told, mut beats) = (0, 0);
        while told < 300 {
            match timeout(SOON, heard()).await.expect("nothing is lost") {
                Heard::Changed(what) => {
                    assert_eq!(what, Invalidation::inserted(digest(&told.to_string()), 0));
                    told += 1;
                }
                _ => beats += 1,
            }
        }
        writing.await.unwrap();
        assert!(beats > 0);
    });
}

fn a_cut_connection_is_one_failure(url: &str) {
    wait(async {
        let (store, mut feed) = alive(&format!("{url}&application_name=feed_cut")).await;
        let place = Place::Postgres(url.into());
        for _ in 0..3 {
            // Those of the store, too: the feed asks it for the first sign of life.
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name = 'feed_cut'";
            place.sql(cut).await;
            let mut failures = 0;
            loop {
                match soon(&mut feed).await {
                    Err(error) => {
                        assert!(error.is_unavailable(), "{error:?}");
                        failures += 1;
                    }
                    Ok(Heard::Alive { .. }) if failures > 0 => break,
                    Ok(_) => {}
                }
            }
            // A connection of the pool that is yet to be noticed may cost an attempt.
            assert!(failures <= 3, "{failures}");
        }
        drop(store);
    });
}

fn a_schema_is_told_of_itself_only(url: &str) {
    wait(async {
        let (store, mut feed) = alive(url).await;
        let server = url.split("?options=").next().unwrap();
        let process = std::process::id();
        for name in [format!("o\"dd Näme_{process}"), format!("{}_{process}", "long".repeat(14))] {
            let quoted = name.replace('"', "\"\"");
            Place::Postgres(url.into()).sql(&format!("CREATE SCHEMA \"{quoted}\"")).await;
            let path = format!("\"{quoted}\"").replace(' ', "\\ ");
            let odd = with_options(server, &format!("-csearch_path={path}").replace('"', "%22"));
            let (other_store, mut other) = alive(&odd).await;
            other_store.insert(key("k1")).await.unwrap();
            assert_eq!(told(&mut other).await, [Invalidation::inserted(digest("k1"), 0)]);
            Place::Postgres(url.into()).sql(&format!("DROP SCHEMA \"{quoted}\" CASCADE")).await;
        }
        store.insert(key("k2")).await.unwrap();
        assert_eq!(told(&mut feed).await, [Invalidation::inserted(digest("k2"), 0)]);
    });
}

fn without_tables_nothing_is_alive(url: &str) {
    wait(async {
        let store = PostgresStore::connect(url).await.unwrap();
        Place::Postgres(url.into()).sql("DROP TABLE keygate_keys").await;
        let mut feed = PostgresFeed::new(&store, url).unwrap();
        for _ in 0..2 {
            assert!(!soon(&mut feed).await.unwrap_err().is_unavailable());
        }
    });
}

fn a_reader_may_follow(url: &str) {
    wait(async {
        let (writer, _) = alive(url).await;
        let read_only = url.replace("options=", "options=-cdefault_transaction_read_only%3Don%20");
        let (_, mut feed) = alive(&read_only).await;
        writer.insert(key("k1")).await.unwrap();
        assert_eq!(told(&mut feed).await, [Invalidation::inserted(digest("k1"), 0)]);
    });
}

/// Somebody tells without end on the channel; the signs of life come in between.
fn a_flood_hides_no_sign_of_life(url: &str) {
    wait(async {
        let (_, mut feed) = alive(url).await;
        let schema = url.split("options=-csearch_path%3D").nth(1).unwrap();
        let batch = format!(
            "SELECT pg_notify('keygate_{schema}', n || 'x') FROM generate_series(1, 100) n"
        );
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        // There is always something to be heard, and never more than can be.
        let room = Arc::new(Semaphore::new(20));
        let flooding = tokio::spawn({
            let room = Arc::clone(&room);
            async move {
                loop {
                    room.acquire().await.unwrap().forget();
                    client.batch_execute(&batch).await.unwrap();
                }
            }
        });
        let (mut beats, mut messages, start) = (0, 0_u32, Instant::now());
        while beats < 3 {
            assert!(start.elapsed() < PATIENCE, "{beats} signs of life");
            // Slower than the server: there is no moment without a message.
            std::thread::sleep(Duration::from_micros(20));
            match soon(&mut feed).await.unwrap() {
                Heard::Alive { .. } => beats += 1,
                heard => {
                    assert_eq!(heard, Heard::Changed(Invalidation::Everything));
                    messages += 1;
                    room.add_permits(usize::from(messages.is_multiple_of(100)));
                }
            }
        }
        flooding.abort();
        assert!(messages > 1_000, "{messages}");
    });
}

fn a_restarted_server_is_followed_again(server: &mut Postgres) {
    wait(async {
        let url = server.url();
        let (one, other) = (Node::start(&url).await, Node::start(&url).await);
        one.store.insert(key("k1")).await.unwrap();
        for end in [Postgres::stop, Postgres::kill] {
            other.feels("k1", Some(KeyStatus::Active)).await;
            other.keeps("k1").await;
            end(server);
            eventually(|| !one.is_heard() && !other.is_heard()).await;
            assert!(other.store.peek(&digest("k1")).is_none(), "memory is not trusted");
            assert!(other.status("k1").await.unwrap_err().is_unavailable());
            server.resume();
            // Changed before anybody listens again.
            Place::Postgres(url.clone()).sql("UPDATE keygate_keys SET status = 'revoked'").await;
            one.hears().await;
            other.hears().await;
            for node in [&one, &other] {
                node.feels("k1", Some(KeyStatus::Revoked)).await;
            }
            Place::Postgres(url.clone()).sql("UPDATE keygate_keys SET status = 'active'").await;
        }
    });
}

/// Nobody closes a connection, and nobody answers.
fn a_frozen_server_loses_the_lease(server: &mut Postgres) {
    wait(async {
        let url = server.url();
        let node = Node::start(&url).await;
        node.store.insert(key("k1")).await.unwrap();
        node.feels("k1", Some(KeyStatus::Active)).await;
        server.freeze();
        let frozen = Instant::now();
        loop {
            // From before it is asked: then a machine that stops is no matter.
            let silent = frozen.elapsed();
            if !node.is_heard() {
                break;
            }
            assert!(silent < LEASE, "memory is trusted {silent:?} after the last sign of life");
            sleep(Duration::from_millis(1)).await;
        }
        assert!(node.store.peek(&digest("k1")).is_none());
        server.thaw();
        node.hears().await;
        node.change("k1", revoked).await;
        node.feels("k1", Some(KeyStatus::Revoked)).await;
        // So is one that never comes to be.
        server.freeze();
        let mut feed = PostgresFeed::new(node.store.store(), &url).unwrap();
        assert!(soon(&mut feed).await.unwrap_err().is_unavailable());
        server.thaw();
    });
}

/// It would be connected and silent about everything.
fn a_feed_of_another_database_is_never_alive(server: &mut Postgres) {
    wait(async {
        let (url, elsewhere) = (server.url(), server.url().replace("/postgres", "/elsewhere"));
        let elsewhere = elsewhere.replace("elsewhere://", "postgres://");
        Place::Postgres(url.clone()).sql("CREATE DATABASE elsewhere").await;
        let store = PostgresStore::connect(&url).await.unwrap();
        drop(PostgresStore::connect(&elsewhere).await.unwrap());
        let mut feed = PostgresFeed::new(&store, &elsewhere).unwrap();
        assert!(soon(&mut feed).await.unwrap_err().is_unavailable());
    });
}

fn a_feed_tells_no_secret(server: &mut Postgres) {
    wait(async {
        let url = server.url();
        let store = Arc::new(PostgresStore::connect(&url).await.unwrap());
        let secret = "another-secret";
        for (url, is_read) in [
            (url.replace(support::PASSWORD, secret), true),
            (format!("postgres://keygate:{secret}@[::1"), false),
            (format!("postgres://keygate:{secret}@127.0.0.1:1/keys"), true),
        ] {
            let error = match PostgresFeed::new(&store, &url) {
                Ok(mut feed) => {
                    assert_eq!(format!("{feed:?}"), "PostgresFeed { is_listening: false, .. }");
                    soon(&mut feed).await.unwrap_err()
                }
                Err(error) => {
                    assert!(!is_read);
                    error
                }
            };
            let told = crate::postgres::told(&error);
            assert!(!told.contains(secret) && !told.contains(support::PASSWORD), "{told}");
        }
    });
}
