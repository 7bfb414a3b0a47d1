//! Keys in a table of your own: one method to write, and an outage is a 503.
//!
//! `Database` stands for yours. Switch it off and on again with the route `/outage`, or start with
//! `OUTAGE=1`: clients are then told to come back (503), never that their keys are gone (401).
//!
//! `cargo run --example custom_store --features axum`

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Router, routing::get, routing::put};
use keygate::store::{KeyStore, StoreError};
use keygate::{AuthLayer, Environment, KeyDigest, KeyFormat, KeyRecord, KeyStatus, Principal};
use keygate::{ScopeSet, Tenant, Timestamp};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A row of the table `api_keys`, whose primary key is the digest.
#[derive(Clone)]
struct Row {
    id: i64,
    customer: String,
    scopes: String,
    disabled: bool,
    expires_at: Option<u64>,
}

/// Why a query failed.
#[derive(Debug)]
enum QueryError {
    ConnectionRefused,
    Lock,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionRefused => "connection refused",
            Self::Lock => "the table is locked",
        })
    }
}

impl Error for QueryError {}

/// Stands for your database and its driver.
#[derive(Default)]
struct Database {
    api_keys: RwLock<HashMap<[u8; 32], Row>>,
    away: AtomicBool,
}

impl Database {
    async fn select(&self, digest: &[u8; 32]) -> Result<Option<Row>, QueryError> {
        // A driver waits for the network here.
        tokio::task::yield_now().await;
        if self.away.load(Ordering::Relaxed) {
            return Err(QueryError::ConnectionRefused);
        }
        Ok(self.api_keys.read().map_err(locked)?.get(digest).cloned())
    }

    fn insert(&self, digest: [u8; 32], row: Row) -> Result<(), QueryError> {
        self.api_keys.write().map_err(locked)?.insert(digest, row);
        Ok(())
    }
}

fn locked<T>(_: PoisonError<T>) -> QueryError {
    QueryError::Lock
}

/// What keygate asks of the database.
struct Keys(Arc<Database>);

#[async_trait]
impl KeyStore for Keys {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        let row = self.0.select(digest.as_bytes()).await.map_err(StoreError::unavailable)?;
        row.map(|row| record(&row, digest)).transpose()
    }
}

/// A row as keygate knows it. Whether it is expired or switched off is judged by the gate.
fn record(row: &Row, digest: &KeyDigest) -> Result<Arc<KeyRecord>, StoreError> {
    let status = if row.disabled { KeyStatus::Inactive } else { KeyStatus::Active };
    let record =
        KeyRecord::new(row.id.to_string().as_str(), *digest, Tenant::new(row.customer.as_str()))
            .with_access(ScopeSet::parse(&row.scopes).map_err(StoreError::other)?)
            .with_status(status)
            .with_expires(row.expires_at.map(Timestamp::from_secs));
    Ok(Arc::new(record))
}

async fn orders(caller: Principal) -> String {
    format!("orders for key {}\n", caller.subject())
}

async fn switch_off(State(database): State<Arc<Database>>) -> StatusCode {
    database.away.store(true, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn switch_on(State(database): State<Arc<Database>>) -> StatusCode {
    database.away.store(false, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

fn app(database: &Arc<Database>) -> Router {
    let gate = AuthLayer::new(Keys(Arc::clone(database)));
    let guarded = Router::new().route("/orders", get(orders)).layer(gate);
    let outage = put(switch_off).delete(switch_on);
    Router::new().route("/outage", outage).with_state(Arc::clone(database)).merge(guarded)
}

fn row(id: i64, disabled: bool, expires_at: Option<u64>) -> Row {
    Row { id, customer: "acme".into(), scopes: "read:orders".into(), disabled, expires_at }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Arc::new(Database::default());
    let rows = [
        ("good", row(1, false, None)),
        ("disabled", row(2, true, None)),
        ("expired", row(3, false, Some(1_700_000_000))),
    ];
    for (name, row) in rows {
        let key = KeyFormat::sk().generate(Environment::Live)?;
        database.insert(*key.digest().as_bytes(), row)?;
        println!("{name} key: {}", key.reveal());
    }
    database.away.store(env::var_os("OUTAGE").is_some(), Ordering::Relaxed);

    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3005".into());
    let listener = TcpListener::bind(listen).await?;
    let mut end = signal(SignalKind::terminate())?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async move { _ = end.recv().await };
    Ok(axum::serve(listener, app(&database)).with_graceful_shutdown(stop).await?)
}
