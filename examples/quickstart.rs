//! The smallest whole gate: one key, one scope, one limit, one route.
//!
//! `cargo run --example quickstart --features axum`

use std::env;
use std::error::Error;

use axum::{Router, routing::get};
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{AuthLayer, Environment, KeyFormat, KeyRecord, Limit, Policy, Principal};
use keygate::{Quota, Require, ScopeSet, Tenant};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

async fn orders(caller: Principal) -> String {
    format!("orders for {}\n", caller.subject())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A key is shown once, to whom it is issued; the store keeps its digest.
    let key = KeyFormat::sk().generate(Environment::Live)?;
    let record = KeyRecord::new("key_1", key.digest(), Tenant::new("acme"))
        .with_access(ScopeSet::new(["read:orders"])?);
    let store = MemoryStore::new();
    store.insert(record).await?;

    let gate = AuthLayer::new(store).limit(Limit::per_tenant(Quota::per_minute(60)?))?;
    let app = Router::new()
        .route("/orders", get(orders))
        .route_layer(Require::new(Policy::all_of(["read:orders"])?))
        .layer(gate);

    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(listen).await?;
    let mut end = signal(SignalKind::terminate())?;
    let address = listener.local_addr()?;
    println!("curl -i {address}/orders                                     # 401");
    println!("curl -i {address}/orders -H 'Authorization: Bearer {}'", key.reveal());
    println!("listening on http://{address}");
    let stop = async move { _ = end.recv().await };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}
