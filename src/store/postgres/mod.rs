//! Keys on a server: PostgreSQL, through tokio-postgres and deadpool.

mod error;
mod feed;
mod line;
mod value;

use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, Manager, ManagerConfig, Object, Pool, RecyclingMethod,
};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Socket};

pub use self::feed::PostgresFeed;
use super::StoreError;
use super::sql::{Database, Dialect, Query, Row, Sql, Step, Value, insert_key, sql_store};
use crate::ConfigError;

/// Connections of a pool that is made here. A lookup holds one for about 40 µs.
const CONNECTIONS: usize = 16;
/// How often a script is begun again after two transactions got in each other's way.
const ATTEMPTS: usize = 5;
/// After this time without an answer to what was sent, the system gives a connection up.
const SILENCE: Duration = Duration::from_secs(15);

/// Keys on a PostgreSQL server, for services on many machines. Clones share the connections.
///
/// Its tables are named `keygate_…` and stand in the first schema of the connection's `search_path`.
/// Lookups are prepared statements by primary key. A connection whose server went away is replaced;
/// nothing has to be restarted. Calls need tokio's runtime.
///
/// A time beyond April 2262 is kept as [`Timestamp::MAX`](crate::Timestamp::MAX), a count of uses up
/// to 2^63 − 1. Texts must not hold a NUL character, which the server refuses.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keygate::AuthLayer;
/// use keygate::store::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://keygate@localhost/keys").await?;
/// let gate = AuthLayer::new(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Sql<Postgres>);

sql_store!(PostgresStore);

impl PostgresStore {
    /// The keys in the database at `url` (`postgres://user:password@host/database` or
    /// `host=… user=… …`), over up to 16 connections without TLS; its tables are made or brought up
    /// to date first. The schema is chosen by `?options=-csearch_path%3Dname`.
    ///
    /// # Errors
    ///
    /// [Unavailable](StoreError::is_unavailable) when the server can't be reached within 10 seconds,
    /// or the tables are not made within 60; otherwise when the URL can't be read, or the server
    /// refuses the user. No error holds the URL.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_tls(url, NoTls).await
    }

    /// The same over TLS, by the connector of a crate such as `tokio-postgres-rustls` or
    /// `postgres-native-tls`. Add `sslmode=require` to the URL: by default a server, or whoever
    /// stands between, may decline TLS.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_tls<T>(url: &str, tls: T) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + Sync,
        T::TlsConnect: Send + Sync,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(read_url(url)?, tls, config);
        let pool = Pool::builder(manager).max_size(CONNECTIONS).post_create(give_up_when_closed());
        let pool = pool.build();
        Self::with_pool(pool.map_err(StoreError::other)?).await
    }

    /// The keys in a database to which you have a pool; its tables are made or brought up to date
    /// first.
    ///
    /// A call that takes too long closes its connection. Let the server look after that, as it does
    /// for pools that are made here, by `client_connection_check_interval`, or a statement that waits
    /// for a lock waits on when nobody waits for it any more.
    ///
    /// # Errors
    ///
    /// When the server can't be reached or the tables can't be brought up to date.
    pub async fn with_pool(pool: Pool) -> Result<Self, StoreError> {
        Ok(Self(Sql::start(Postgres { pool }).await?))
    }
}

/// What the URL leaves open is set so that a server that is gone without a word is noticed. What the
/// parser says of a URL may quote it, and so is not kept.
fn read_url(url: &str) -> Result<Config, StoreError> {
    let mut config: Config = url.parse().map_err(|_| {
        StoreError::other(ConfigError::unusable("database URL", "not a PostgreSQL URL"))
    })?;
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("keygate");
    }
    config.keepalives_idle(SILENCE.min(config.get_keepalives_idle()));
    Ok(config)
}

/// Makes the server look every second whether a statement's connection is still there: one that waits
/// for a lock would go on for as long as it is held, and those that were tried again would pile up. No
/// `statement_timeout`, because timeouts differ by the call. Servers before version 14 don't know it,
/// nor do those on Windows.
fn give_up_when_closed() -> Hook {
    const LOOK: &str = "SET client_connection_check_interval = '1s'";
    // A connection that is broken is found so by whoever asked for it.
    Hook::async_fn(|client, _| {
        Box::pin(async move {
            let _ = client.batch_execute(LOOK).await;
            Ok(())
        })
    })
}

#[derive(Clone)]
struct Postgres {
    pool: Pool,
}

impl Postgres {
    async fn client(&self, end: Instant) -> Result<Object, StoreError> {
        let client = timeout_at(end, self.pool.get()).await.map_err(StoreError::unavailable)?;
        client.map_err(error::pool)
    }
}

/// What was done with `client`. One that gave no answer in time is closed: nobody knows whether it
/// ever will.
fn settle<T>(
    client: Object,
    done: Result<Result<T, StoreError>, Elapsed>,
) -> Result<T, StoreError> {
    done.unwrap_or_else(|late| {
        drop(Object::take(client));
        Err(StoreError::unavailable(late))
    })
}

impl Database for Postgres {
    const DIALECT: Dialect = Dialect {
        is_migrated: "SELECT CAST(1 AS BIGINT) WHERE to_regclass('keygate_migrations') IS NOT NULL",
        lock: Some("SELECT pg_advisory_xact_lock(7738716537652343397)"), // "keygate" in bytes.
        migrations: &[include_str!("001_keys.sql"), include_str!("002_feed.sql")],
        insert_key: insert_key!("DEFAULT"),
    };

    async fn read(&self, query: Query, within: Duration) -> Result<Vec<Row>, StoreError> {
        let end = Instant::now() + within;
        let client = self.client(end).await?;
        let done = timeout_at(end, rows(&client, &query)).await;
        settle(client, done)
    }

    async fn write(&self, script: Vec<Step>, within: Duration) -> Result<(), StoreError> {
        let end = Instant::now() + within;
        let mut client = self.client(end).await?;
        let done = timeout_at(end, insist(&mut client, &script)).await;
        settle(client, done)
    }
}

async fn rows(client: &ClientWrapper, query: &Query) -> Result<Vec<Row>, StoreError> {
    let statement = client.prepare_cached(query.sql).await.map_err(error::store)?;
    let rows = client.query(&statement, &parameters(&query.values)).await;
    rows.map_err(error::store)?.iter().map(value::row).collect()
}

async fn insist(client: &mut ClientWrapper, script: &[Step]) -> Result<(), StoreError> {
    for _ in 1..ATTEMPTS {
        match run_script(client, script).await {
            Err(error) if error::is_repeatable(&error) => {}
            done => return done,
        }
    }
    run_script(client, script).await
}

async fn run_script(client: &mut ClientWrapper, script: &[Step]) -> Result<(), StoreError> {
    let transaction = client.transaction().await.map_err(error::store)?;
    for step in script {
        let changed = match step {
            Step::Batch(sql) => transaction.batch_execute(sql).await.map(|()| 1),
            Step::Must(query, _) | Step::Run(query) => execute(&transaction, query).await,
        };
        if let (0, Step::Must(_, otherwise)) = (changed.map_err(error::store)?, step) {
            return Err(StoreError::conflict(*otherwise));
        }
    }
    transaction.commit().await.map_err(error::store)
}

async fn execute(
    transaction: &deadpool_postgres::Transaction<'_>,
    query: &Query,
) -> Result<u64, tokio_postgres::Error> {
    let statement = transaction.prepare_cached(query.sql).await?;
    transaction.execute(&statement, &parameters(&query.values)).await
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}
