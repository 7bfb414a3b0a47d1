//! A node: a service behind gates whose limits are counted on Redis.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use keygate::limit::redis::RedisCounters;
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{AuthLayer, KeyDigest, KeyRecord, Tenant};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::gate::{Way, all};
use crate::Failure;

/// The subcommand that is a node.
pub(crate) const NODE: &str = "limits-node";

type Counters = Arc<HashMap<String, RedisCounters>>;

/// Serves until SIGTERM.
pub(crate) async fn node() -> Result<(), Failure> {
    let mut end = signal(SignalKind::terminate())?;
    let (straight, proxy) = (std::env::var("REDIS_URL")?, std::env::var("PROXY_URL")?);
    let store = Arc::new(MemoryStore::new());
    let digest = KeyDigest::of(&std::env::var("DRILL_KEY")?);
    store.insert(KeyRecord::new("key_1", digest, Tenant::new("acme"))).await?;
    let (mut app, mut counters) = (Router::new(), HashMap::new());
    for gate in all() {
        let redis = gate.counters(if gate.way == Way::Proxy { &proxy } else { &straight })?;
        let layer = AuthLayer::new(Arc::clone(&store)).limit(gate.counted(&redis)?)?;
        app = app.route(&format!("/{}", gate.name()), get(async || "in").layer(layer));
        counters.insert(gate.name(), redis);
    }
    let app = app.route("/stats/{gate}", get(stats)).with_state(Counters::new(counters));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let stop = async move { _ = end.recv().await };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}

async fn stats(State(counters): State<Counters>, Path(gate): Path<String>) -> Json<Value> {
    let stats = counters.get(&gate).map(RedisCounters::stats).unwrap_or_default();
    Json(json!({ "round_trips": stats.round_trips, "is_away": stats.is_away }))
}
