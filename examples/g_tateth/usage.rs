//! What keys are used for, by month and endpoint.

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use keygate::Principal;
use keygate::store::{UsageStore, Use};

use crate::app::App;

/// Counts a request of a key under its route, such as `GET /api/v1/conversations`.
///
/// It stands behind the gate, so that only good credentials are counted. A path or method that no
/// route has is not counted: a caller could choose as many names as it likes.
pub async fn count(
    State(app): State<App>,
    caller: Option<Principal>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let key = caller.and_then(|caller| caller.key_id().cloned());
    let used = key.zip(route).map(|(key, route)| {
        let endpoint = format!("{} {}", request.method(), route.as_str());
        Use::new(key, endpoint, app.now())
    });
    let response = next.run(request).await;
    if let Some(used) = used.filter(|_| response.status() != StatusCode::METHOD_NOT_ALLOWED) {
        // The caller gets its answer even where its use can't be noted.
        if let Err(error) = app.store.add_uses(&[used]).await {
            eprintln!("g_tateth: a use is lost: {error}");
        }
    }
    response
}
