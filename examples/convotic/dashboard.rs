//! What people open: the keys of their workspace.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use keygate::store::{KeyAdmin, KeyFilter, Month, Usage, UsageStore};
use keygate::{
    Access, KeyFormat, KeyId, KeyRecord, KeyStatus, KeyToken, Principal, Rejection, RejectionKind,
    Tenant, Timestamp,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::refusal::{Refusal, unavailable};
use crate::{App, method_not_allowed, now, session};

const LONGEST_NAME: usize = 100;
const LONGEST_BODY: usize = 16 * 1024;

pub(crate) fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/auth/demo", post(session::demo))
        .route("/auth/sign-out", post(session::end))
        .route("/dashboard/api-keys", get(list).post(create))
        .route("/dashboard/api-keys/{id}", delete(revoke))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(app.sessions.renewal())
}

#[derive(Deserialize)]
struct NewKey {
    name: String,
}

impl NewKey {
    fn into_name(self) -> Result<String, Refusal> {
        let name = self.name.trim();
        let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
        if fits && !name.contains(char::is_control) {
            Ok(name.to_owned())
        } else {
            Err(Refusal::InvalidRequest)
        }
    }
}

/// Only this answer ever holds the key.
async fn create(
    State(app): State<App>,
    caller: Principal,
    body: Result<Json<NewKey>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(wanted) = body.map_err(|_| Refusal::InvalidRequest)?;
    let name = wanted.into_name()?;
    let key = KeyFormat::cvtk().generate(app.environment).map_err(unavailable)?;
    let record = record(&app, &key, workspace(&caller)?)?.with_name(name);
    let answer = json!({ "id": record.id(), "key": key.reveal() });
    app.store.insert(record).await?;
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

fn record(app: &App, key: &KeyToken, workspace: &Tenant) -> Result<KeyRecord, Rejection> {
    let id = format!("key_{:016x}", getrandom::u64().map_err(unavailable)?);
    Ok(KeyRecord::new(id.as_str(), key.digest(), workspace.clone())
        .with_display(KeyFormat::cvtk().display_prefix(key))
        .with_environment(app.environment)
        .with_access(Access::Full)
        .with_created(now()))
}

/// Revoked keys stay in the list, with what they were used for.
async fn list(State(app): State<App>, caller: Principal) -> Result<Json<Value>, Refusal> {
    let workspace = workspace(&caller)?.id();
    let page = app.store.list(workspace, &KeyFilter::new().page(1, 1000)).await?;
    let month = Month::of(now());
    let mut keys = Vec::with_capacity(page.keys.len());
    for record in &page.keys {
        keys.push(shown(record, &app.store.usage(record.id(), month).await?));
    }
    Ok(Json(json!({ "keys": keys })))
}

fn shown(record: &KeyRecord, usage: &Usage) -> Value {
    json!({
        "id": record.id(),
        "name": record.name(),
        "prefix": record.display(),
        "createdAt": written(record.created()),
        "status": record.status(),
        "usage": {
            "total": usage.total,
            "byEndpoint": usage.by_endpoint,
            "lastUsed": usage.last_used.map(written),
        },
    })
}

/// RFC 3339, in UTC.
fn written(time: Timestamp) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// A revoked key is refused from the next request on. To revoke it again changes nothing.
async fn revoke(
    State(app): State<App>,
    caller: Principal,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    let id = path.map(|Path(id)| KeyId::new(id)).map_err(|_| Refusal::NotFound)?;
    let workspace = workspace(&caller)?.id();
    loop {
        let record = app.store.get(workspace, &id).await?.ok_or(Refusal::NotFound)?;
        let revoked = KeyRecord::clone(&record).with_status(KeyStatus::Revoked);
        match app.store.replace(revoked).await {
            // Somebody changed it since it was read.
            Err(error) if error.is_conflict() => {}
            done => return Ok(done.map(|()| StatusCode::NO_CONTENT)?),
        }
    }
}

/// The gate requires the claim; without it there is nothing to show.
fn workspace(caller: &Principal) -> Result<&Tenant, Rejection> {
    caller.tenant().ok_or(Rejection::new(RejectionKind::TokenInvalid))
}
