//! `/api-keys`: for people with a JWT; an API key manages no keys, whatever it may do.

mod form;
mod view;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use keygate::lifecycle::KeysError;
use keygate::store::{Action, AuditEvent, Change, Commit, Month};
use keygate::{
    KeyId, KeyRecord, KeyStatus, Policy, Principal, Rejection, RejectionKind, Require, ScopeSet,
};
use serde_json::{Value, json};

use crate::answer::{Refusal, UNSTORED, success};
use crate::app::App;
use crate::fields::{Fields, Parameters};
use crate::tenants;
use form::{Asked, Changes, Listing};

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

/// How often a change is tried again that somebody else's change has overtaken. Of those who try at
/// once one always succeeds.
const ATTEMPTS: usize = 64;

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
    let page = app.keys.list(tenants::of(&caller)?.id(), &asked.filter()).await?;
    let keys: Vec<_> = page.keys.iter().map(|record| app.view(record)).collect();
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
    let asked = Asked::read(fields, app.now())?;
    may_grant(&caller, &asked.permissions)?;
    let key = asked.key(tenants::of(&caller)?.clone());
    let issued = app.keys.by(caller.subject()).issue(key).await?;
    let mut data = app.view(&issued.record);
    data["key"] = issued.token.reveal().into();
    Ok((StatusCode::CREATED, UNSTORED, success(data)))
}

async fn show(
    State(app): State<App>,
    caller: Principal,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    let record = app.keys.get(tenants::of(&caller)?.id(), &id).await?;
    Ok(success(app.view(&record)))
}

async fn update(
    State(app): State<App>,
    caller: Principal,
    Id(id): Id,
    fields: Fields,
) -> Result<Json<Value>, Refusal> {
    let changes = Changes::read(fields)?;
    if let Some(permissions) = &changes.permissions {
        may_grant(&caller, permissions)?;
    }
    app.change(&caller, &id, &changes).await
}

/// Ends a key for good, and keeps its record.
async fn revoke(
    State(app): State<App>,
    caller: Principal,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    let tenant = tenants::of(&caller)?.id();
    let record = app.keys.by(caller.subject()).revoke(tenant, &id).await?;
    Ok(success(app.view(&record)))
}

async fn remove(
    State(app): State<App>,
    caller: Principal,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    app.keys.by(caller.subject()).delete(tenants::of(&caller)?.id(), &id).await?;
    Ok(success(json!({ "id": id })))
}

async fn usage(
    State(app): State<App>,
    caller: Principal,
    Id(id): Id,
    parameters: Parameters,
) -> Result<Json<Value>, Refusal> {
    let month = parameters.read("month", "of the form YYYY-MM")?;
    let month = month.unwrap_or_else(|| Month::of(app.now()));
    let record = app.keys.get(tenants::of(&caller)?.id(), &id).await?;
    let usage = app.uses.of(record.id(), month).await?;
    Ok(success(json!({
        "month": month.to_string(),
        "totalRequests": usage.total,
        "requestsByEndpoint": usage.by_endpoint,
        "lastUsedAt": usage.last_used.map(view::time),
    })))
}

impl App {
    /// Changes a key as it is now: where somebody else was faster, theirs is read and changed again,
    /// so that no change is lost.
    ///
    /// A request may change a key's name and switch it off. That is one commit, made whole or not at
    /// all (RFC 5789 section 2); [`keygate::Keys`] would make it two.
    async fn change(
        &self,
        caller: &Principal,
        id: &KeyId,
        changes: &Changes,
    ) -> Result<Json<Value>, Refusal> {
        let tenant = tenants::of(caller)?.id();
        for _ in 0..ATTEMPTS {
            let old = self.keys.get(tenant, id).await?;
            if old.status() == KeyStatus::Revoked {
                return Err(KeysError::Revoked.into());
            }
            let new = changes.write(KeyRecord::clone(&old));
            let (actor, key) = (caller.subject(), Some(id.clone()));
            let event = AuditEvent::new(self.now(), actor, Action::Updated, tenant.clone(), key);
            let commit = Commit::new(vec![Change::Replace(new.clone())], vec![event]);
            match self.store.commit(commit).await {
                Ok(()) => return Ok(success(self.view(&new))),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::conflict("The key is being changed by others"))
    }

    fn view(&self, record: &KeyRecord) -> Value {
        view::key(record, self.now())
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

/// The key that the path names.
struct Id(KeyId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<String>::from_request_parts(parts, state).await.ok();
        // PostgreSQL knows no text with a NUL.
        let id = path.map(|Path(id)| id).filter(|id| !id.contains('\0'));
        id.map(|id| Self(KeyId::new(id))).ok_or_else(|| KeysError::NotFound.into())
    }
}
