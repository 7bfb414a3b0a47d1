//! Databases of the tests' own, and the stores on them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keygate::ManualClock;
use keygate::store::{
    KeyAdmin, PostgresStore, SqliteStore, StoreError, TenantDirectory, UsageStore,
};
use libtest_mimic::Trial;
use support::{PATIENCE, Postgres};

/// A store that is all four.
pub trait Store: KeyAdmin + TenantDirectory + UsageStore {}

impl<S: KeyAdmin + TenantDirectory + UsageStore> Store for S {}

static NEXT: AtomicUsize = AtomicUsize::new(0);

fn unique(name: &str) -> String {
    format!("{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Where the services are while the tests run, and what is removed afterwards.
#[derive(Clone)]
pub struct Services(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    shared: Mutex<Option<Postgres>>,
}

impl Services {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(unique("keygate-stores"));
        std::fs::create_dir_all(&folder).unwrap();
        Self(Arc::new(Inner { folder, shared: Mutex::default() }))
    }

    /// Stops and removes everything. Statics and arguments of tests are never dropped by themselves.
    pub fn end(&self) {
        drop(self.shared().take());
        let _ = std::fs::remove_dir_all(&self.0.folder);
    }

    /// Whoever fails to start it says why; the next one tries again.
    fn shared(&self) -> MutexGuard<'_, Option<Postgres>> {
        self.0.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that is not there yet.
    pub fn file(&self) -> PathBuf {
        self.0.folder.join(unique("keys")).with_extension("db")
    }

    pub fn sqlite(&self) -> Place {
        Place::Sqlite(self.file())
    }

    /// A new schema on the server that the tests share: a private one, else that of `DATABASE_URL`.
    pub async fn postgres(&self) -> Place {
        let url = self.url();
        let schema = unique("keygate");
        let place = Place::Postgres(with_options(&url, &format!("-csearch_path={schema}")));
        place.sql(&format!("CREATE SCHEMA {schema}")).await;
        place
    }

    fn url(&self) -> String {
        match std::env::var("DATABASE_URL") {
            Ok(url) if Postgres::programs().is_err() => url,
            _ => self.shared().get_or_insert_with(Postgres::start).url(),
        }
    }
}

/// Stores that wait: a database that is busy with other tests is not away.
pub async fn sqlite(path: &Path) -> Result<SqliteStore, StoreError> {
    let store = SqliteStore::open(path).await?;
    Ok(store.with_read_timeout(PATIENCE).with_write_timeout(PATIENCE))
}

pub async fn postgres(url: &str) -> Result<PostgresStore, StoreError> {
    let store = PostgresStore::connect(url).await?;
    Ok(store.with_read_timeout(PATIENCE).with_write_timeout(PATIENCE))
}

pub fn with_options(url: &str, options: &str) -> String {
    let options = options.replace(' ', "%20").replace('=', "%3D");
    format!("{url}{}options={options}", if url.contains('?') { '&' } else { '?' })
}

/// A database.
#[derive(Clone, Debug)]
pub enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Place {
    /// From the text that [`to_text`](Self::to_text) gave to another process.
    pub fn from_text(text: &str) -> Self {
        match text.strip_prefix("sqlite:") {
            Some(path) => Self::Sqlite(path.into()),
            None => Self::Postgres(text.into()),
        }
    }

    pub fn to_text(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    pub async fn try_open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => Arc::new(sqlite(path).await?),
            Self::Postgres(url) => Arc::new(postgres(url).await?),
        })
    }

    pub async fn open_with_clock(&self, clock: ManualClock) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(path) => Arc::new(sqlite(path).await.unwrap().with_clock(clock)),
            Self::Postgres(url) => Arc::new(postgres(url).await.unwrap().with_clock(clock)),
        }
    }

    pub async fn open(&self) -> Arc<dyn Store> {
        self.try_open().await.unwrap()
    }

    /// Runs statements behind the store's back.
    pub async fn sql(&self, sql: &str) {
        match self {
            Self::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.execute_batch(sql).unwrap();
            }
            Self::Postgres(url) => {
                let (client, connection) =
                    tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
                let connection = tokio::spawn(connection);
                client.batch_execute(sql).await.unwrap();
                drop(client);
                connection.await.unwrap().unwrap();
            }
        }
    }

    /// The one number that a query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.query_row(sql, [], |row| row.get(0)).unwrap()
            }
            Self::Postgres(url) => {
                let (client, connection) =
                    tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                client.query_one(sql, &[]).await.unwrap().get(0)
            }
        }
    }
}

/// Why tests of a server are left out; `None` where there is one, or where it has to be.
pub fn missing(private: bool) -> Option<String> {
    let given = !private && std::env::var_os("DATABASE_URL").is_some();
    let why = Postgres::programs().err().filter(|_| !given)?;
    (!support::services_required()).then_some(why)
}

/// `trial`, shown as ignored with the reason where its server is missing.
pub fn where_there_is_a_server(trial: Trial, private: bool) -> Trial {
    match missing(private) {
        Some(why) => trial.with_kind(why).with_ignored_flag(true),
        None => trial,
    }
}
