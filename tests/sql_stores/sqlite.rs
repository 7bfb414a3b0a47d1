//! SQLite by itself: locks, files, connections of the user's own.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keygate::store::{KeyAdmin, KeyFilter, KeyStore, SqliteStore};
use keygate::{KeyDigest, KeyRecord, Tenant, TenantId};
use libtest_mimic::Trial;
use rusqlite::Connection;
use support::PATIENCE;

use crate::alike::{every_call_is_unavailable, is_unavailable_within};
use crate::stores::Services;
use crate::{trial, wait};

type Test = fn(&Path);

const TESTS: &[(&str, Test)] = &[
    ("a_locked_file_refuses_writers_and_serves_readers", a_locked_file_refuses_writers),
    ("a_write_that_was_given_up_is_not_made_later", a_write_that_was_given_up_is_not_made_later),
    ("a_connection_that_never_comes_is_an_outage", a_connection_that_never_comes_is_an_outage),
    ("a_slow_query_is_interrupted", a_slow_query_is_interrupted),
    ("a_file_that_is_no_database_is_an_error", a_file_that_is_no_database_is_an_error),
    ("a_folder_that_is_not_there_is_an_outage", a_folder_that_is_not_there_is_an_outage),
    ("memory_is_no_file", memory_is_no_file),
    ("connections_may_be_the_users_own", connections_may_be_the_users_own),
    ("the_file_is_in_wal_mode_and_keys_need_tenants", the_file_is_in_wal_mode),
    ("a_lookup_is_one_search_by_the_primary_key", a_lookup_is_one_search),
    ("debug_shows_no_path", debug_shows_no_path),
];

pub(crate) fn trials(services: &Services) -> Vec<Trial> {
    let named = |(name, test): &(&str, Test)| {
        let (services, test) = (services.clone(), *test);
        trial(format!("sqlite::{name}"), move || test(&services.file()))
    };
    TESTS.iter().map(named).collect()
}

fn key(id: &str) -> KeyRecord {
    KeyRecord::new(id, KeyDigest::of(id), Tenant::new("acme"))
}

fn lock(file: &Path) -> Connection {
    let other = Connection::open(file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

fn a_locked_file_refuses_writers(file: &Path) {
    wait(async {
        let store = SqliteStore::open(file).await.unwrap();
        store.insert(key("k1")).await.unwrap();
        let store = store.with_write_timeout(Duration::from_millis(200));
        let other = lock(file);
        let write = async || store.insert(key("k2")).await;
        is_unavailable_within(Duration::from_secs(2), write).await;
        assert!(store.find(&KeyDigest::of("k1")).await.unwrap().is_some(), "readers don't wait");
        drop(other);
        // The connection that waits for the lock gives the writers' place back first.
        let store = store.with_write_timeout(PATIENCE);
        store.insert(key("k3")).await.unwrap();
    });
}

fn a_write_that_was_given_up_is_not_made_later(file: &Path) {
    wait(async {
        let store = SqliteStore::open(file).await.unwrap();
        let hasty = store.clone().with_write_timeout(Duration::from_millis(50));
        let other = lock(file);
        assert!(hasty.insert(key("late")).await.unwrap_err().is_unavailable());
        drop(other);
        // Writers of one process take turns: after this one, the late one has had its turn.
        store.with_write_timeout(PATIENCE).insert(key("next")).await.unwrap();
        assert!(hasty.find(&KeyDigest::of("late")).await.unwrap().is_none());
    });
}

/// Whoever lends connections keeps its callers waiting until the test lets go.
fn a_connection_that_never_comes_is_an_outage(file: &Path) {
    let file = file.to_owned();
    let (let_go, wait_here) = std::sync::mpsc::channel::<()>();
    let (is_closed, wait_here) = (Arc::new(AtomicBool::new(false)), Mutex::new(wait_here));
    let closed = Arc::clone(&is_closed);
    let lend = move || {
        if closed.load(Ordering::SeqCst) {
            let _ = wait_here.lock().unwrap().recv();
        }
        Connection::open(&file).map(Box::new)
    };
    wait(async {
        let store = SqliteStore::with_connections(lend).await.unwrap();
        let limit = Duration::from_millis(50);
        let store = store.with_read_timeout(limit).with_write_timeout(limit);
        is_closed.store(true, Ordering::SeqCst);
        every_call_is_unavailable(&store, Duration::from_secs(2)).await;
        drop(let_go);
        let store = store.with_write_timeout(PATIENCE);
        store.insert(key("k1")).await.unwrap();
    });
}

fn a_slow_query_is_interrupted(file: &Path) {
    wait(async {
        let store = SqliteStore::open(file).await.unwrap();
        store.insert(key("k1")).await.unwrap();
        slow_down(file);
        let store = store.with_read_timeout(Duration::from_millis(100));
        // On four connections: what is not interrupted leaves none.
        for _ in 0..10 {
            let found = store.list(&TenantId::from("acme"), &KeyFilter::new()).await;
            assert!(found.unwrap_err().is_unavailable());
        }
        let back = "DROP VIEW keygate_tenants; ALTER TABLE old RENAME TO keygate_tenants";
        Connection::open(file).unwrap().execute_batch(back).unwrap();
        let store = store.with_read_timeout(PATIENCE);
        let found = store.list(&TenantId::from("acme"), &KeyFilter::new()).await;
        assert_eq!(found.unwrap().total, 1);
    });
}

/// Puts a view that never ends in the place of the tenants.
fn slow_down(file: &Path) {
    let view = "PRAGMA foreign_keys = OFF; ALTER TABLE keygate_tenants RENAME TO old; \
        CREATE VIEW keygate_tenants AS \
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
        SELECT 'acme' AS id, 'active' AS status, NULL AS plan FROM n WHERE i < 0";
    Connection::open(file).unwrap().execute_batch(view).unwrap();
}

fn a_file_that_is_no_database_is_an_error(file: &Path) {
    std::fs::write(file, "a letter to a friend, long enough to be read as a header: ".repeat(99))
        .unwrap();
    let error = wait(SqliteStore::open(file)).unwrap_err();
    assert!(!error.is_unavailable() && !error.is_conflict(), "{error:?}");
}

fn a_folder_that_is_not_there_is_an_outage(file: &Path) {
    let error = wait(SqliteStore::open(file.join("nowhere/keys.db"))).unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
}

fn memory_is_no_file(_: &Path) {
    for path in ["", ":memory:"] {
        let error = wait(SqliteStore::open(path)).unwrap_err();
        assert!(!error.is_unavailable(), "{error:?}");
    }
}

/// A pool with one connection, which may be away.
#[derive(Clone, Default)]
struct Pool {
    connection: Arc<Mutex<Option<Connection>>>,
    is_away: Arc<AtomicBool>,
}

struct Lent(Pool, Option<Connection>);

impl std::ops::Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.1.as_ref().unwrap()
    }
}

impl std::ops::DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        self.1.as_mut().unwrap()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.0.connection.lock().unwrap() = self.1.take();
    }
}

impl Pool {
    fn lend(&self) -> Result<Lent, io::Error> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(io::Error::other("the pool is empty"));
        }
        let connection = self.connection.lock().unwrap().take();
        Ok(Lent(self.clone(), connection))
    }
}

fn connections_may_be_the_users_own(_: &Path) {
    wait(async {
        let pool = Pool::default();
        *pool.connection.lock().unwrap() = Some(Connection::open_in_memory().unwrap());
        let lender = pool.clone();
        let store = SqliteStore::with_connections(move || lender.lend()).await.unwrap();
        store.insert(key("k1")).await.unwrap();
        assert!(store.find(&KeyDigest::of("k1")).await.unwrap().is_some());
        pool.is_away.store(true, Ordering::SeqCst);
        assert!(store.find(&KeyDigest::of("k1")).await.unwrap_err().is_unavailable());
        assert!(store.insert(key("k2")).await.unwrap_err().is_unavailable());
        pool.is_away.store(false, Ordering::SeqCst);
        store.insert(key("k2")).await.unwrap();
    });
}

fn the_file_is_in_wal_mode(file: &Path) {
    wait(async { SqliteStore::open(file).await.unwrap().insert(key("k1")).await.unwrap() });
    let connection = Connection::open(file).unwrap();
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    assert!(connection.execute_batch("DELETE FROM keygate_tenants").is_err());
}

fn a_lookup_is_one_search(file: &Path) {
    drop(wait(SqliteStore::open(file)).unwrap());
    let connection = Connection::open(file).unwrap();
    let sql = "EXPLAIN QUERY PLAN SELECT k.id, t.status FROM keygate_keys k \
        JOIN keygate_tenants t ON t.id = k.tenant WHERE k.digest = x'00'";
    let mut statement = connection.prepare(sql).unwrap();
    let plan = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
    let plan: Vec<_> = plan.map(Result::unwrap).collect();
    assert_eq!(plan.len(), 2, "{plan:?}");
    assert!(plan.iter().all(|step| step.contains("USING PRIMARY KEY")), "{plan:?}");
}

fn debug_shows_no_path(file: &Path) {
    let store = wait(SqliteStore::open(file)).unwrap();
    assert_eq!(format!("{store:?}"), "SqliteStore { .. }");
}
