//! The built-in stores keep the contract of the store traits: SQLite and PostgreSQL for real, alone
//! and behind a cache.
//!
//! PostgreSQL is a private server, found in `PATH` or `/usr/lib/postgresql`, else that of
//! `DATABASE_URL`. Without either its tests are shown as ignored, and with
//! `KEYGATE_REQUIRE_SERVICES=1` they fail.
#![allow(clippy::unwrap_used)]

#[path = "common/stores.rs"]
mod stores;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use keygate::store::conformance::{Clause, all, outage_of};
use keygate::store::{Cached, MemoryStore, PostgresStore, SqliteStore};
use libtest_mimic::{Arguments, Trial};
use stores::{Place, Services, Store, postgres, sqlite, where_there_is_a_server};

fn main() {
    let services = Services::new();
    let mut trials = named("memory", all(async || MemoryStore::new()));
    trials.extend(named("sqlite", on_sqlite(&services, |store| store)));
    trials.extend(named("cached_sqlite", on_sqlite(&services, Cached::new)));
    let files = services.clone();
    trials.extend(named("sqlite", outage_of(move || gone_sqlite(files.file()))));
    let files = services.clone();
    let gone = move || {
        let store = gone_sqlite(files.file());
        async { Cached::new(store.await) }
    };
    trials.extend(named("cached_sqlite", outage_of(gone)));
    let mut postgres = named("postgres", on_postgres(&services, |store| store));
    postgres.extend(named("cached_postgres", on_postgres(&services, Cached::new)));
    let servers = services.clone();
    postgres.extend(named("postgres", outage_of(move || closed_postgres(servers.clone()))));
    let servers = services.clone();
    let closed = move || {
        let store = closed_postgres(servers.clone());
        async { Cached::new(store.await) }
    };
    postgres.extend(named("cached_postgres", outage_of(closed)));
    trials.extend(postgres.into_iter().map(|trial| where_there_is_a_server(trial, false)));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    services.end();
    conclusion.exit();
}

fn named(store: &str, clauses: Vec<Clause>) -> Vec<Trial> {
    let trial = |clause: Clause| {
        Trial::test(format!("{store}::{}", clause.name()), || {
            clause.run();
            Ok(())
        })
    };
    clauses.into_iter().map(trial).collect()
}

fn on_sqlite<S: Store>(services: &Services, over: fn(SqliteStore) -> S) -> Vec<Clause> {
    let services = services.clone();
    all(move || {
        let file = services.file();
        async move { over(sqlite(&file).await.unwrap()) }
    })
}

fn on_postgres<S: Store>(services: &Services, over: fn(PostgresStore) -> S) -> Vec<Clause> {
    let services = services.clone();
    all(move || {
        let services = services.clone();
        async move { over(postgres(&schema(&services).await).await.unwrap()) }
    })
}

async fn schema(services: &Services) -> String {
    match services.postgres().await {
        Place::Postgres(url) => url,
        Place::Sqlite(_) => unreachable!("it is a server"),
    }
}

/// The service that owns the pool is ending. Servers that go away are in `sql_stores`.
async fn closed_postgres(services: Services) -> PostgresStore {
    let url = schema(&services).await;
    let manager = deadpool_postgres::Manager::new(url.parse().unwrap(), tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).build().unwrap();
    let store = PostgresStore::with_pool(pool.clone()).await.unwrap();
    pool.close();
    store
}

/// The file was there when the store was opened, and is not any more.
async fn gone_sqlite(file: PathBuf) -> SqliteStore {
    let gone = Arc::new(AtomicBool::new(false));
    let is_gone = Arc::clone(&gone);
    let lend = move || {
        let path = if is_gone.load(SeqCst) { Path::new("/nowhere/keys.db") } else { &file };
        rusqlite::Connection::open(path).map(Box::new)
    };
    let store = SqliteStore::with_connections(lend).await.unwrap();
    gone.store(true, SeqCst);
    store
}
