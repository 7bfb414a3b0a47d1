//! What keys are used for, by month and endpoint.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use keygate::Principal;
use keygate::store::{UsageStore, Use};

use crate::app::App;

/// Counts a request of a key under its route, such as `GET /api/v1/conversations`.
///
/// It stands behind the gate, so that only good credentials are counted. What no route is for is not
/// counted: a caller could choose as many names as it likes.
pub async fn count(
    State(app): State<App>,
    caller: Option<Principal>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let key = caller.as_ref().and_then(Principal::key_id);
    if let (Some(key), Some(route)) = (key, route) {
        let endpoint = format!("{} {}", request.method(), route.as_str());
        let used = Use::new(key.clone(), endpoint, app.now());
        // The caller gets its answer even where its use can't be noted.
        if let Err(error) = app.store.add_uses(&[used]).await {
            eprintln!("g_tateth: a use is lost: {error}");
        }
    }
    next.run(request).await
}
