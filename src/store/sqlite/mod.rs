//! Keys in a file: SQLite, through rusqlite.

mod connection;
mod error;
mod job;

use std::error::Error;
use std::ops::DerefMut;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use rusqlite::{Connection, ToSql, Transaction, params_from_iter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::connection::{File, Lend};
use self::job::Job;
use super::StoreError;
use super::sql::{Database, Dialect, Query, Row, Sql, Step, Value, insert_key, sql_store};

/// Connections that read at once, each on a thread of its own while it does.
const CONNECTIONS: usize = 8;

/// Keys in an SQLite file: durable, for one machine, without a server. Clones share the connections.
///
/// The file is in WAL mode, so readers and the writer don't wait for each other, and several
/// processes may share it. A write is on the disk when its call returns. Calls run on tokio's threads
/// for blocking work and need its runtime.
///
/// A time beyond April 2262 is kept as [`Timestamp::MAX`](crate::Timestamp::MAX), a count of uses up
/// to 2^63 − 1.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// use keygate::store::{KeyAdmin, KeyStore, SqliteStore};
/// use keygate::{Environment, KeyFormat, KeyRecord, Tenant};
///
/// # let folder = std::env::temp_dir().join(format!("keygate-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("keys.db");
/// let key = KeyFormat::sk().generate(Environment::Live)?;
/// let store = SqliteStore::open(&path).await?;
/// store.insert(KeyRecord::new("key_1", key.digest(), Tenant::new("acme"))).await?;
///
/// let reopened = SqliteStore::open(&path).await?;
/// assert!(reopened.find(&key.digest()).await?.is_some());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore(Sql<Sqlite>);

sql_store!(SqliteStore);

impl SqliteStore {
    /// The keys in the file at `path`, which is made if there is none; its tables are made or brought
    /// up to date first.
    ///
    /// # Errors
    ///
    /// [Unavailable](StoreError::is_unavailable) when the file can't be opened or stays locked;
    /// otherwise when it is no SQLite database, or `path` names one in memory, of which each
    /// connection would have its own: that is [`MemoryStore`](super::MemoryStore)'s part.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let file = File::new(path.as_ref())?;
        Self::on(Arc::new(move || file.lend())).await
    }

    /// The keys in a database whose connections `lend` lends: a pool's, such as r2d2's, or new ones
    /// with settings of your own. It is called for each operation, on a thread that may block, and at
    /// most nine times at once. Journal mode, busy timeout and foreign keys are then yours to set.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use keygate::store::SqliteStore;
    /// use rusqlite::Connection;
    ///
    /// let store = SqliteStore::with_connections(|| {
    ///     let connection = Connection::open("keys.db")?;
    ///     connection.pragma_update(None, "synchronous", "FULL")?;
    ///     Ok::<_, rusqlite::Error>(Box::new(connection))
    /// })
    /// .await?;
    /// // With r2d2 and r2d2_sqlite: SqliteStore::with_connections(move || pool.get()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the tables can't be brought up to date. What `lend` fails with is an outage, unless it is
    /// a [`rusqlite::Error`] that is none.
    pub async fn with_connections<C, E>(
        lend: impl Fn() -> Result<C, E> + Send + Sync + 'static,
    ) -> Result<Self, StoreError>
    where
        C: DerefMut<Target = Connection> + 'static,
        E: Error + Send + Sync + 'static,
    {
        let lend = move || match lend() {
            Ok(connection) => Ok(Box::new(connection) as connection::Lent),
            Err(error) => Err(error::lender(error)),
        };
        Self::on(Arc::new(lend)).await
    }

    async fn on(lend: Arc<Lend>) -> Result<Self, StoreError> {
        let [readers, writer] = [CONNECTIONS, 1].map(|n| Arc::new(Semaphore::new(n)));
        Ok(Self(Sql::start(Sqlite { lend, readers, writer }).await?))
    }
}

/// A database, and who may use it at once. SQLite has one writer: those of one process queue up here,
/// in order, instead of asking the file again and again.
#[derive(Clone)]
struct Sqlite {
    lend: Arc<Lend>,
    readers: Arc<Semaphore>,
    writer: Arc<Semaphore>,
}

impl Sqlite {
    /// Runs `work` on a connection; it is interrupted when it takes longer than `within`, or when
    /// nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        among: &Arc<Semaphore>,
        within: Duration,
        work: impl FnOnce(&mut Connection, &Job) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let run = async {
            let permit = Arc::clone(among).acquire_owned().await.map_err(StoreError::other)?;
            self.run_with(permit, work).await
        };
        tokio::time::timeout(within, run).await.map_err(StoreError::unavailable)?
    }

    /// The permit goes where the work goes: work that nobody waits for still holds its connection.
    async fn run_with<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce(&mut Connection, &Job) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (lend, job) = (Arc::clone(&self.lend), Job::default());
        let waiting = job.waiting();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut connection = lend()?;
            let _running = job.runs_on(&connection);
            work(&mut connection, &job)
        });
        let done = done.await.map_err(StoreError::unavailable);
        waiting.end();
        done?
    }
}

impl Database for Sqlite {
    const DIALECT: Dialect = Dialect {
        is_migrated: "SELECT 1 FROM sqlite_master WHERE name = 'keygate_migrations'",
        lock: None, // A transaction that will write is the only one from its first moment.
        migrations: &[include_str!("001_keys.sql")],
        insert_key: insert_key!("(SELECT coalesce(max(issued), 0) + 1 FROM keygate_keys)"),
    };

    async fn read(&self, query: Query, within: Duration) -> Result<Vec<Row>, StoreError> {
        let read = move |connection: &mut Connection, _: &Job| rows(connection, &query);
        self.run(&self.readers, within, move |c, job| read(c, job).map_err(error::store)).await
    }

    async fn write(&self, script: Vec<Step>, within: Duration) -> Result<(), StoreError> {
        let write = move |connection: &mut Connection, job: &Job| {
            let transaction = connection.transaction_with_behavior(IMMEDIATE);
            let transaction = transaction.map_err(error::store)?;
            script.iter().try_for_each(|step| take(&transaction, step))?;
            job.is_wanted()?;
            transaction.commit().map_err(error::store)
        };
        self.run(&self.writer, within, write).await
    }
}

const IMMEDIATE: rusqlite::TransactionBehavior = rusqlite::TransactionBehavior::Immediate;

fn rows(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(query.sql)?;
    let columns = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| {
        let values = (0..columns).map(|n| row.get_ref(n).map(value));
        values.collect::<rusqlite::Result<_>>().map(Row::new)
    };
    statement.query_map(params_from_iter(&query.values), read)?.collect()
}

fn take(transaction: &Transaction<'_>, step: &Step) -> Result<(), StoreError> {
    let changed = match step {
        Step::Batch(sql) => transaction.execute_batch(sql).map(|()| 1),
        Step::Must(query, _) | Step::Run(query) => execute(transaction, query),
    };
    match (changed.map_err(error::store)?, step) {
        (0, Step::Must(_, otherwise)) => Err(StoreError::conflict(*otherwise)),
        _ => Ok(()),
    }
}

fn execute(transaction: &Transaction<'_>, query: &Query) -> rusqlite::Result<usize> {
    transaction.prepare_cached(query.sql)?.execute(params_from_iter(&query.values))
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Self::Int(int) => ToSqlOutput::Owned(SqliteValue::Integer(*int)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// What no column of ours holds is read as bytes, which no column of another type takes.
fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(text.to_owned()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
        ValueRef::Real(_) => Value::Bytes(Vec::new()),
    }
}
