//! What the API is for: conversations, customers, webhooks, and analytics over them. Each route asks
//! for a scope, and everybody sees the data of their own tenant only.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use keygate::{ConfigError, Policy, Principal, Require, TenantId};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::answer::{Refusal, success};
use crate::app::App;
use crate::fields::Fields;
use crate::tenants;

/// A kind of thing, and the one text that each of them has.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    field: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind { name: "conversations", field: "subject" },
    Kind { name: "customers", field: "name" },
    Kind { name: "webhooks", field: "url" },
];

type Place = (TenantId, &'static str);

/// Everybody's things: by tenant and kind, in the order of their making.
#[derive(Clone, Default)]
pub struct Shelves(Arc<RwLock<HashMap<Place, Vec<Value>>>>);

impl Shelves {
    async fn list(&self, tenant: &TenantId, kind: &'static str) -> Vec<Value> {
        self.0.read().await.get(&(tenant.clone(), kind)).cloned().unwrap_or_default()
    }

    async fn add(&self, tenant: &TenantId, kind: Kind, text: &str) -> Value {
        let mut shelves = self.0.write().await;
        let shelf = shelves.entry((tenant.clone(), kind.name)).or_default();
        let thing = json!({ "id": shelf.len() + 1, kind.field: text });
        shelf.push(thing.clone());
        thing
    }
}

pub fn routes() -> Result<Router<App>, ConfigError> {
    let analytics = Require::new(Policy::all_of(["read:analytics"])?);
    let mut routes = Router::new().route("/analytics", get(analyse).route_layer(analytics));
    for kind in KINDS {
        routes = routes.route(&format!("/{}", kind.name), methods(kind)?);
    }
    Ok(routes)
}

fn methods(kind: Kind) -> Result<MethodRouter<App>, ConfigError> {
    let may = |verb| Policy::all_of([format!("{verb}:{}", kind.name)]).map(Require::new);
    let list = get(move |app, caller| list(app, caller, kind)).route_layer(may("read")?);
    let add = post(move |app, caller, fields| add(app, caller, fields, kind));
    Ok(list.merge(add.route_layer(may("write")?)))
}

async fn list(
    State(app): State<App>,
    caller: Principal,
    kind: Kind,
) -> Result<Json<Value>, Refusal> {
    let tenant = tenants::of(&caller)?.id();
    Ok(success(app.shelves.list(tenant, kind.name).await.into()))
}

async fn add(
    State(app): State<App>,
    caller: Principal,
    mut fields: Fields,
    kind: Kind,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let text: String = fields.need(kind.field, "a text")?;
    fields.end()?;
    let thing = app.shelves.add(tenants::of(&caller)?.id(), kind, &text).await;
    Ok((StatusCode::CREATED, success(thing)))
}

/// How many of each kind there are.
async fn analyse(State(app): State<App>, caller: Principal) -> Result<Json<Value>, Refusal> {
    let tenant = tenants::of(&caller)?.id();
    let mut counts = Vec::new();
    for kind in KINDS {
        let count = app.shelves.list(tenant, kind.name).await.len();
        counts.push(json!({ "metric": kind.name, "count": count }));
    }
    Ok(success(counts.into()))
}
