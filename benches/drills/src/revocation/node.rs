//! A node: a service behind a gate, with memory over a database that it follows.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use keygate::store::{Cached, PostgresFeed, PostgresStore};
use keygate::{AuthLayer, KeyFormat, Keys, Principal, TenantId};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;

/// The subcommand that is a node.
pub(crate) const NODE: &str = "revocation-node";

type Store = Arc<Cached<PostgresStore>>;

/// Serves until SIGTERM.
pub(crate) async fn node() -> Result<(), Failure> {
    let mut end = signal(SignalKind::terminate())?;
    let database = PostgresStore::connect(&std::env::var("DATABASE_URL")?).await?;
    let feed = PostgresFeed::new(&database, &std::env::var("FEED_URL")?)?;
    let store = Arc::new(Cached::new(database));
    tokio::spawn(store.follow(feed));
    let app = Router::new()
        .route("/", get(async |caller: Principal| caller.subject().to_string()))
        .layer(AuthLayer::new(Arc::clone(&store)))
        .route("/revoke/{id}", post(revoke))
        .route("/stats", get(stats))
        .with_state(store);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let stop = async move { _ = end.recv().await };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}

async fn revoke(State(store): State<Store>, Path(id): Path<String>) -> StatusCode {
    let keys = Keys::new(store, KeyFormat::sk());
    let revoked = keys.by("drill").revoke(&TenantId::from("acme"), &id.as_str().into()).await;
    revoked.map_or_else(|error| error.status(), |_| StatusCode::NO_CONTENT)
}

async fn stats(State(store): State<Store>) -> Json<Value> {
    let stats = store.stats();
    Json(json!({
        "silent": stats.feed_silent_for.is_some(),
        "hits": stats.hits,
        "read_throughs": stats.read_throughs,
    }))
}
