//! PostgreSQL by itself: a server that stops, is killed, freezes and comes back; pools; secrets.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, Pool};
use keygate::store::{KeyAdmin, KeyStore, PostgresStore, StoreError};
use keygate::{KeyDigest, KeyRecord, Tenant, TenantId};
use libtest_mimic::Trial;
use support::{PASSWORD, PATIENCE, Postgres};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::alike::every_call_is_unavailable;
use crate::stores::{Place, Services, postgres, where_there_is_a_server, with_options};
use crate::{trial, wait};

type SharedTest = fn(&str);

const SHARED: &[(&str, SharedTest)] = &[
    ("a_pool_may_be_the_users_own", a_pool_may_be_the_users_own),
    ("nothing_is_written_when_the_tables_are_there", nothing_is_written_when_up_to_date),
    ("a_lookup_is_one_search_by_the_primary_key", a_lookup_is_one_search),
    ("a_server_that_cuts_connections_is_asked_again", a_server_that_cuts_connections),
    ("locked_tables_are_an_outage_within_the_timeout", locked_tables_are_an_outage),
    ("what_nobody_waits_for_ends_at_the_server", what_nobody_waits_for_ends_at_the_server),
    ("a_pool_that_is_exhausted_is_an_outage", a_pool_that_is_exhausted_is_an_outage),
    ("a_timeout_without_end_is_an_hour", a_timeout_without_end_is_an_hour),
    ("a_conflict_does_not_tell_the_digest", a_conflict_does_not_tell_the_digest),
];

type PrivateTest = fn(&mut Postgres);

const PRIVATE: &[(&str, PrivateTest)] = &[
    ("a_stopped_server_is_an_outage_and_comes_back", a_stopped_server_comes_back),
    ("a_killed_server_loses_nothing_and_comes_back", a_killed_server_comes_back),
    ("a_frozen_server_is_an_outage_within_the_timeout", a_frozen_server_is_an_outage),
    ("an_error_holds_no_secret", an_error_holds_no_secret),
];

pub(crate) fn trials(services: &Services) -> Vec<Trial> {
    let mut trials = shared_trials("postgres", services, SHARED);
    trials.extend(private_trials("postgres", PRIVATE));
    trials
}

/// Tests on schemas of the shared server.
pub(crate) fn shared_trials(
    group: &str,
    services: &Services,
    tests: &[(&str, SharedTest)],
) -> Vec<Trial> {
    let trials = tests.iter().map(|(name, test)| {
        let (services, test) = (services.clone(), *test);
        let test = move || match wait(services.postgres()) {
            Place::Postgres(url) => test(&url),
            Place::Sqlite(_) => unreachable!("it is a server"),
        };
        where_there_is_a_server(trial(format!("{group}::{name}"), test), false)
    });
    trials.collect()
}

/// Tests that stop their server, one after the other.
pub(crate) fn private_trials(group: &str, tests: &[(&str, PrivateTest)]) -> Vec<Trial> {
    let server = Arc::new(Mutex::new(None::<Postgres>));
    let trials = tests.iter().map(|(name, test)| {
        let (server, test) = (Arc::clone(&server), *test);
        let test = move || {
            let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
            test(server.insert(Postgres::start()));
            *server = None;
        };
        where_there_is_a_server(trial(format!("{group}::{name}"), test), true)
    });
    trials.collect()
}

fn key(id: &str) -> KeyRecord {
    KeyRecord::new(id, KeyDigest::of(id), Tenant::new("acme"))
}

async fn is_there(store: &PostgresStore, id: &str) -> Result<bool, StoreError> {
    store.find(&KeyDigest::of(id)).await.map(|found| found.is_some())
}

/// Connections to the server, as many as there can be.
async fn warm(store: &PostgresStore) {
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        // A busy machine may be long about so many handshakes.
        let store = store.clone().with_read_timeout(PATIENCE);
        tasks.spawn(async move { is_there(&store, "k1").await.unwrap() });
    }
    assert!(tasks.join_all().await.into_iter().all(|found| found));
}

/// The server answers again; a connection from before that is yet to be noticed may fail first.
async fn works_again(store: &PostgresStore) {
    let end = Instant::now() + PATIENCE;
    while let Err(error) = is_there(store, "k1").await {
        assert!(error.is_unavailable() && Instant::now() < end, "{error:?}");
        tokio::task::yield_now().await;
    }
    warm(store).await;
    store.insert(key("after")).await.unwrap();
    assert!(store.delete(&TenantId::from("acme"), &"after".into()).await.unwrap());
}

fn a_stopped_server_comes_back(server: &mut Postgres) {
    wait(async {
        let store = postgres(&server.url()).await.unwrap();
        store.insert(key("k1")).await.unwrap();
        for _ in 0..2 {
            warm(&store).await;
            server.stop();
            every_call_is_unavailable(&store, Duration::from_secs(2)).await;
            server.resume();
            works_again(&store).await;
        }
    });
}

/// SIGKILL while eight tasks write: what was acknowledged is there afterwards.
fn a_killed_server_comes_back(server: &mut Postgres) {
    wait(async {
        let store = postgres(&server.url()).await.unwrap();
        store.insert(key("k1")).await.unwrap();
        let mut tasks = JoinSet::new();
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        for task in 0..8 {
            let (store, send) = (store.clone(), send.clone());
            tasks.spawn(async move {
                for n in 0.. {
                    let id = format!("{task}-{n}");
                    match store.insert(key(&id)).await {
                        Ok(()) => send.send(id).unwrap(),
                        Err(error) => return assert!(error.is_unavailable(), "{error:?}"),
                    }
                }
            });
        }
        drop(send);
        let mut acknowledged = Vec::new();
        while acknowledged.len() < 100 {
            acknowledged.push(receive.recv().await.unwrap());
        }
        server.kill();
        tasks.join_all().await;
        while let Some(id) = receive.recv().await {
            acknowledged.push(id);
        }
        every_call_is_unavailable(&store, Duration::from_secs(2)).await;
        server.resume();
        works_again(&store).await;
        for id in acknowledged {
            assert!(is_there(&store, &id).await.unwrap(), "{id}");
        }
    });
}

fn a_frozen_server_is_an_outage(server: &mut Postgres) {
    wait(async {
        let limit = Duration::from_millis(150);
        let patient = postgres(&server.url()).await.unwrap();
        let store = patient.clone().with_read_timeout(limit).with_write_timeout(limit);
        patient.insert(key("k1")).await.unwrap();
        warm(&patient).await;
        server.freeze();
        every_call_is_unavailable(&store, Duration::from_secs(2)).await;
        server.thaw();
        works_again(&patient).await;
    });
}

fn locked_tables_are_an_outage(url: &str) {
    wait(async {
        let patient = postgres(url).await.unwrap();
        patient.insert(key("k0")).await.unwrap();
        let limit = Duration::from_millis(50);
        let store = patient.clone().with_read_timeout(limit).with_write_timeout(limit);
        let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let lock = client.transaction().await.unwrap();
        let tables = "LOCK TABLE keygate_keys, keygate_tenants, keygate_events, keygate_uses, \
            keygate_last_uses IN ACCESS EXCLUSIVE MODE";
        lock.batch_execute(tables).await.unwrap();
        every_call_is_unavailable(&store, Duration::from_secs(2)).await;
        lock.rollback().await.unwrap();
        patient.insert(key("k2")).await.unwrap();
    });
}

/// Calls that are tried again while a table is locked must not fill the server with those from before.
fn what_nobody_waits_for_ends_at_the_server(url: &str) {
    wait(async {
        let named = format!("{url}&application_name=piled_up");
        let patient = postgres(&named).await.unwrap();
        patient.insert(key("k0")).await.unwrap();
        let limit = Duration::from_millis(50);
        let store = patient.clone().with_read_timeout(limit).with_write_timeout(limit);
        let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let lock = client.transaction().await.unwrap();
        lock.batch_execute("LOCK TABLE keygate_keys IN ACCESS EXCLUSIVE MODE").await.unwrap();
        for n in 0..10 {
            assert!(is_there(&store, "k0").await.unwrap_err().is_unavailable());
            let written = store.insert(key(&format!("late-{n}"))).await;
            assert!(written.unwrap_err().is_unavailable());
        }
        let waiting = "SELECT count(*) FROM pg_stat_activity \
            WHERE application_name = 'piled_up' AND wait_event_type = 'Lock'";
        let start = Instant::now();
        while lock.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            assert!(start.elapsed() < PATIENCE, "they wait on");
            // The view shows one moment for a whole transaction.
            lock.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        lock.rollback().await.unwrap();
        for n in 0..10 {
            let late = is_there(&patient, &format!("late-{n}")).await.unwrap();
            assert!(!late, "what was reported as failed long ago is not made now");
        }
    });
}

fn a_server_that_cuts_connections(url: &str) {
    wait(async {
        // Connections of other tests must live: those of this one have a name of their own.
        let store = postgres(&format!("{url}&application_name=cut")).await.unwrap();
        store.insert(key("k1")).await.unwrap();
        warm(&store).await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE application_name = 'cut'";
        Place::Postgres(url.into()).sql(cut).await;
        works_again(&store).await;
    });
}

fn a_pool_may_be_the_users_own(url: &str) {
    wait(async {
        let pool = pool(url, 2);
        let store = PostgresStore::with_pool(pool.clone()).await.unwrap();
        store.insert(key("k1")).await.unwrap();
        warm(&store).await;
        assert!(pool.status().size <= 2);
        pool.close();
        assert!(is_there(&store, "k1").await.unwrap_err().is_unavailable());
    });
}

fn a_pool_that_is_exhausted_is_an_outage(url: &str) {
    wait(async {
        let pool = pool(url, 1);
        let store = PostgresStore::with_pool(pool.clone()).await.unwrap();
        let store = store.with_read_timeout(Duration::from_millis(50));
        let taken = pool.get().await.unwrap();
        assert!(is_there(&store, "k1").await.unwrap_err().is_unavailable());
        drop(taken);
        let store = store.with_read_timeout(PATIENCE);
        assert!(!is_there(&store, "k1").await.unwrap());
    });
}

fn a_timeout_without_end_is_an_hour(url: &str) {
    wait(async {
        let store = postgres(url).await.unwrap();
        let store = store.with_read_timeout(Duration::MAX).with_write_timeout(Duration::MAX);
        let digest = KeyDigest::of("endless");
        assert!(!is_there(&store, "endless").await.unwrap());
        store.insert(KeyRecord::new("endless", digest, Tenant::new("endless"))).await.unwrap();
    });
}

fn a_conflict_does_not_tell_the_digest(url: &str) {
    wait(async {
        let store = postgres(url).await.unwrap();
        let key = |id: &str| {
            KeyRecord::new(id, KeyDigest::from_bytes([0xab; 32]), Tenant::new("secretive"))
        };
        store.insert(key("told_1")).await.unwrap();
        let error = store.insert(key("told_2")).await.unwrap_err();
        assert!(error.is_conflict());
        let mut shown = format!("{error:?} {error}");
        let mut next = error.source();
        while let Some(cause) = next {
            shown.push_str(&format!(" {cause:?} {cause}"));
            next = cause.source();
        }
        assert!(shown.contains("violates"), "{shown}");
        assert!(!shown.contains("abab"), "{shown}");
    });
}

fn pool(url: &str, size: usize) -> Pool {
    let manager = Manager::new(url.parse().unwrap(), NoTls);
    Pool::builder(manager).max_size(size).build().unwrap()
}

/// A node may start with no more than the right to read.
fn nothing_is_written_when_up_to_date(url: &str) {
    wait(async {
        let store = postgres(url).await.unwrap();
        store.insert(key("k1")).await.unwrap();
        let schema = url.split("options=-csearch_path%3D").nth(1).unwrap();
        let server = url.split("?options=").next().unwrap();
        let options = format!("-csearch_path={schema} -cdefault_transaction_read_only=on");
        let reader = postgres(&with_options(server, &options)).await.unwrap();
        assert!(is_there(&reader, "k1").await.unwrap());
        let error = reader.insert(key("k2")).await.unwrap_err();
        assert!(error.is_unavailable(), "a standby takes no writes yet: {error:?}");
    });
}

fn a_lookup_is_one_search(url: &str) {
    wait(async {
        drop(postgres(url).await.unwrap());
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
            .batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
            .await
            .unwrap();
        let sql = "EXPLAIN SELECT k.id, t.status FROM keygate_keys k \
            JOIN keygate_tenants t ON t.id = k.tenant WHERE k.digest = '\\x00'";
        let rows = client.query(sql, &[]).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("Index Scan using keygate_keys_pkey"), "{plan}");
        assert!(plan.contains("Index Scan using keygate_tenants_pkey"), "{plan}");
    });
}

/// All that can be read of an error.
pub(crate) fn told(error: &StoreError) -> String {
    let mut told = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        told.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    told
}

fn an_error_holds_no_secret(server: &mut Postgres) {
    wait(async {
        let url = server.url();
        let store = postgres(&url).await.unwrap();
        assert_eq!(format!("{store:?}"), "PostgresStore { .. }");
        let secret = "another-secret";
        let table = [
            (url.replace(PASSWORD, secret), false),
            (url.replace("/postgres", "/nowhere").replace("nowhere://", "postgres://"), false),
            (format!("{url}?sslmode=require"), false),
            (format!("{url}?port={secret}"), false),
            (format!("postgres://keygate:{secret}@[::1"), false),
            (format!("{secret}={secret} {secret}"), false),
            (format!("postgres://keygate:{secret}@127.0.0.1:1/keys"), true),
            (format!("postgres://keygate:{secret}@nowhere.invalid/keys"), true),
        ];
        for (url, unavailable) in table {
            let error = postgres(&url).await.unwrap_err();
            assert_eq!(error.is_unavailable(), unavailable, "{url}: {error:?}");
            let told = told(&error);
            assert!(!told.contains(secret) && !told.contains(PASSWORD), "{told}");
        }
        server.stop();
        let told = told(&is_there(&store, "k1").await.unwrap_err());
        assert!(!told.contains(PASSWORD), "{told}");
    });
}
