//! The routes, and where the gate stands before them.

use std::error::Error;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use keygate::jwt::JwtIssuer;
use keygate::limit::redis::RedisCounters;
use keygate::{Clock, FailureBudget, KeyFormat, Keys, Quota, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::resources::Shelves;
use crate::settings::Settings;
use crate::store::Store;
use crate::usage::Uses;
use crate::{gate, keys, login, resources, tenants, usage};

const LONGEST_BODY: usize = 64 * 1024;

/// What the handlers share. Keys, tenants and usage are in the store; what is on the shelves ends with
/// the process.
#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn Store>,
    pub keys: Keys<Arc<dyn Store>>,
    pub uses: Uses,
    pub issuer: JwtIssuer,
    pub shelves: Shelves,
    pub sign_ins: FailureBudget,
    /// Where all copies of the service count, if there is such a place.
    pub redis: Option<RedisCounters>,
}

impl App {
    pub async fn new(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let store = settings.place.open().await?;
        tenants::sign_up(&*store).await?;
        let redis = settings.redis.as_deref().map(RedisCounters::open).transpose()?;
        Ok(Self {
            keys: Keys::new(store.clone(), KeyFormat::sk()),
            uses: Uses::new(store.clone()),
            store,
            issuer: login::issuer(&settings.secret)?,
            shelves: Shelves::default(),
            sign_ins: gate::failures(Quota::per_minute(20)?, redis.as_ref())?,
            redis,
        })
    }

    pub fn now(&self) -> Timestamp {
        SystemClock::new().now()
    }
}

/// Two gates side by side. What no route is for stands behind the main one: who is not authenticated
/// learns nothing of it.
pub fn router(app: App, settings: &Settings) -> Result<Router, Box<dyn Error>> {
    let gate = gate::common(&app, settings)?;
    let admin = Router::new()
        .route("/api/v1/admin/tenant", post(tenants::suspend))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(gate::for_suspended(&gate));
    let main = Router::new()
        .nest("/api/v1", api()?)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(app.clone(), usage::count))
        .layer(gate::main(gate)?);
    Ok(main.merge(admin).layer(DefaultBodyLimit::max(LONGEST_BODY)).with_state(app))
}

fn api() -> Result<Router<App>, Box<dyn Error>> {
    let api = Router::new()
        .route("/health", get(health))
        .route("/auth/login", post(login::sign_in))
        .nest("/api-keys", keys::routes())
        .merge(resources::routes()?);
    Ok(api)
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn not_found() -> Refusal {
    Refusal::not_found("No such route")
}

async fn method_not_allowed() -> Refusal {
    Refusal::method_not_allowed()
}
