//! What keys open.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Json, Router};
use keygate::store::{UsageStore, Use};
use keygate::{KeyId, Principal};
use serde_json::{Value, json};

use crate::{App, method_not_allowed, not_found, now};

/// All of `/v1`, so that the gate stands before unknown paths too and tells nobody which exist.
pub(crate) fn routes(app: &App) -> Router<App> {
    let counted = from_fn_with_state(app.clone(), count);
    Router::new()
        .route("/v1/info", get(info).route_layer(counted.clone()))
        .route("/v1/contacts", get(contacts).route_layer(counted))
        .route("/v1/{*rest}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
}

async fn info(caller: Principal) -> Json<Value> {
    Json(json!({
        "workspace": caller.tenant_id(),
        "key": caller.key_id(),
        "environment": caller.environment(),
    }))
}

async fn contacts() -> Json<Value> {
    Json(json!({ "contacts": [{ "id": "contact_1", "name": "Ada Lovelace" }] }))
}

/// Counts a use of the caller's key, for the page Settings > API Keys > Usage.
async fn count(
    State(app): State<App>,
    caller: Principal,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    if let Some(key) = caller.key_id() {
        let endpoint = format!("{} {}", request.method(), route.as_str());
        record(&app, key, endpoint).await;
    }
    next.run(request).await
}

/// A use that can't be counted is lost: better than an API that is away with its statistics.
async fn record(app: &App, key: &KeyId, endpoint: String) {
    let used = Use::new(key.clone(), endpoint, now());
    if let Err(error) = app.store.add_uses(&[used]).await {
        eprintln!("convotic: a use of {key} was not counted: {error}");
    }
}
