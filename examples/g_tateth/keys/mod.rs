//! `/api-keys`: for people with a JWT; an API key manages no keys, whatever it may do.

mod form;
mod view;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use keygate::store::{KeyAdmin, Month, UsageStore};
use keygate::{
    KeyFormat, KeyId, KeyRecord, KeyStatus, Policy, Principal, Rejection, RejectionKind, Require,
    ScopeSet, Tenant,
};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::answer::{Refusal, UNSTORED, success};
use crate::app::App;
use crate::fields::{Fields, Parameters};
use crate::tenants;
use form::{Changes, Listing, NewKey, RotationPolicy};

/// What a key may be allowed.
pub const PERMISSIONS: [&str; 7] = [
    "read:conversations",
    "write:conversations",
    "read:customers",
    "write:customers",
    "read:webhooks",
    "write:webhooks",
    "read:analytics",
];

/// How often a change is tried again that somebody else's change has overtaken.
const ATTEMPTS: usize = 8;

/// What a key's record has no place for.
pub type Rotations = Arc<RwLock<HashMap<KeyId, RotationPolicy>>>;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(list).post(create))
        .route("/{id}", get(show).patch(update).delete(remove))
        .route("/{id}/revoke", post(revoke))
        .route("/{id}/usage", get(usage))
        .route_layer(Require::new(Policy::authenticated().tokens_only()))
}

async fn list(
    State(app): State<App>,
    caller: Principal,
    parameters: Parameters,
) -> Result<Json<Value>, Refusal> {
    let asked = Listing::read(&parameters)?;
    let page = app.store.list(tenants::of(&caller)?.id(), &asked.filter()).await?;
    let mut keys = Vec::new();
    for record in &page.keys {
        keys.push(app.view(record).await);
    }
    Ok(success(json!({
        "keys": keys,
        "total": page.total,
        "page": asked.page,
        "limit": asked.limit,
        "totalPages": page.total.div_ceil(asked.limit),
    })))
}

/// The one answer that holds the key's text: the store keeps its digest only.
async fn create(
    State(app): State<App>,
    caller: Principal,
    fields: Fields,
) -> Result<impl IntoResponse, Refusal> {
    let mut asked = NewKey::read(fields, app.now())?;
    may_grant(&caller, &asked.permissions)?;
    let rotation = asked.rotation.take();
    let format = KeyFormat::sk();
    let key = format.generate(asked.environment).map_err(Refusal::unavailable)?;
    let record = KeyRecord::new(new_id()?, key.digest(), tenants::of(&caller)?.clone())
        .with_display(format.display_prefix(&key))
        .with_created(app.now());
    let record = asked.write(record);
    app.store.insert(record.clone()).await?;
    if let Some(rotation) = rotation {
        app.rotations.write().await.insert(record.id().clone(), rotation);
    }
    let mut data = app.view(&record).await;
    data["key"] = key.reveal().into();
    Ok((StatusCode::CREATED, UNSTORED, success(data)))
}

async fn show(State(app): State<App>, caller: Principal, id: Id) -> Result<Json<Value>, Refusal> {
    let record = app.key(tenants::of(&caller)?, &id).await?;
    Ok(success(app.view(&record).await))
}

async fn update(
    State(app): State<App>,
    caller: Principal,
    id: Id,
    fields: Fields,
) -> Result<Json<Value>, Refusal> {
    let changes = Changes::read(fields)?;
    if let Some(permissions) = &changes.permissions {
        may_grant(&caller, permissions)?;
    }
    let change = |record: KeyRecord| match record.status() {
        KeyStatus::Revoked => Err(Refusal::conflict("A revoked key stays as it is")),
        _ => Ok(changes.write(record)),
    };
    app.change(tenants::of(&caller)?, &id, change).await
}

/// Ends a key for good, and keeps its record.
async fn revoke(State(app): State<App>, caller: Principal, id: Id) -> Result<Json<Value>, Refusal> {
    let change = |record: KeyRecord| Ok(record.with_status(KeyStatus::Revoked));
    app.change(tenants::of(&caller)?, &id, change).await
}

async fn remove(
    State(app): State<App>,
    caller: Principal,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    if !app.store.delete(tenants::of(&caller)?.id(), &id).await? {
        return Err(no_such_key());
    }
    app.rotations.write().await.remove(&id);
    Ok(success(json!({ "id": id })))
}

async fn usage(
    State(app): State<App>,
    caller: Principal,
    id: Id,
    parameters: Parameters,
) -> Result<Json<Value>, Refusal> {
    let month = parameters.read("month", "of the form YYYY-MM")?;
    let month = month.unwrap_or_else(|| Month::of(app.now()));
    let record = app.key(tenants::of(&caller)?, &id).await?;
    let usage = app.store.usage(record.id(), month).await?;
    Ok(success(json!({
        "month": month.to_string(),
        "totalRequests": usage.total,
        "requestsByEndpoint": usage.by_endpoint,
        "lastUsedAt": usage.last_used.map(view::time),
    })))
}

impl App {
    /// A key of `tenant`; another tenant's is not there.
    async fn key(&self, tenant: &Tenant, Id(id): &Id) -> Result<Arc<KeyRecord>, Refusal> {
        self.store.get(tenant.id(), id).await?.ok_or_else(no_such_key)
    }

    /// Changes a key as it is now: where somebody else was faster, theirs is read and changed again,
    /// so that no change is lost.
    async fn change(
        &self,
        tenant: &Tenant,
        id: &Id,
        change: impl Fn(KeyRecord) -> Result<KeyRecord, Refusal>,
    ) -> Result<Json<Value>, Refusal> {
        for _ in 0..ATTEMPTS {
            let changed = change(KeyRecord::clone(&*self.key(tenant, id).await?))?;
            match self.store.replace(changed.clone()).await {
                Ok(()) => return Ok(success(self.view(&changed).await)),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::conflict("The key is being changed by others"))
    }

    async fn view(&self, record: &KeyRecord) -> Value {
        let rotation = self.rotations.read().await.get(record.id()).copied();
        view::key(record, rotation, self.now())
    }
}

/// Nobody gives away more than they hold.
fn may_grant(caller: &Principal, permissions: &ScopeSet) -> Result<(), Refusal> {
    match permissions.iter().find(|permission| !caller.may(permission)) {
        None => Ok(()),
        Some(beyond) => {
            let kind = RejectionKind::InsufficientScope;
            Err(Rejection::new(kind).with_scopes(beyond.as_str()).into())
        }
    }
}

fn new_id() -> Result<KeyId, Refusal> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(Refusal::unavailable)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(KeyId::new(format!("key_{digits}")))
}

fn no_such_key() -> Refusal {
    Refusal::not_found("No such API key")
}

/// The key that the path names.
struct Id(KeyId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(id) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|_| no_such_key())?;
        Ok(Self(KeyId::new(id)))
    }
}
