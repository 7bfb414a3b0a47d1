//! What keys are used for, by month and endpoint: counted in memory, written to the store beside the
//! requests.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use keygate::store::{Month, StoreError, Usage};
use keygate::usage::UsageRecorder;
use keygate::{KeyId, Principal};
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::store::{Store, whole};

/// How much a process that is killed loses.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the last uses may take to be written, and the time between attempts.
const LAST: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(200);

/// What is counted, and the store that it goes to. Clones share it.
#[derive(Clone)]
pub struct Uses {
    recorder: UsageRecorder,
    store: Arc<dyn Store>,
}

impl Uses {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { recorder: UsageRecorder::new(), store }
    }

    /// Writes every few seconds, for ever.
    pub async fn keep(self) {
        loop {
            sleep(PAUSE).await;
            if let Err(error) = self.write().await {
                eprintln!("g_tateth: uses wait for the store: {}", whole(&error));
            }
        }
    }

    /// Writes what was counted until now.
    async fn write(&self) -> Result<(), StoreError> {
        self.recorder.flush(&*self.store).await
    }

    /// Writes the last uses, when nobody is served any more.
    pub async fn end(&self) -> Result<(), String> {
        let written = async {
            while self.write().await.is_err() {
                sleep(RETRY).await;
            }
        };
        let late =
            |_| format!("the store failed; {} rows of usage are lost", self.recorder.waiting());
        timeout(LAST, written).await.map_err(late)
    }

    /// What a key was used for, the last request included.
    pub async fn of(&self, key: &KeyId, month: Month) -> Result<Usage, StoreError> {
        let uses = self.clone();
        // A client that hangs up must not interrupt a write, which would be made twice then.
        let written = tokio::spawn(async move { uses.write().await });
        written.await.map_err(StoreError::other)??;
        self.store.usage(key, month).await
    }
}

/// Counts a request of a key under its route, such as `GET /api/v1/conversations`.
///
/// It stands behind the gate, so that only good credentials are counted. A path or method that no
/// route has is not counted, which only the answer tells: a layer of the recorder's own would count
/// it as `other`.
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
        (key, endpoint, app.now())
    });
    let response = next.run(request).await;
    if let Some((key, endpoint, at)) = used
        && response.status() != StatusCode::METHOD_NOT_ALLOWED
    {
        app.uses.recorder.record(&key, &endpoint, at);
    }
    response
}
