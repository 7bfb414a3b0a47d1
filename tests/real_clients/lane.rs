//! A gate with one limit and one key, on a socket of its own, that writes down how it answers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use keygate::render::{RateLimitHeaders, Reset};
use keygate::store::MemoryStore;
use keygate::{AuthLayer, Limit};
use tower::{Layer, ServiceExt, service_fn};

use crate::WINDOW;
use crate::wire::{self, BoxError};

pub(crate) struct Lane {
    name: String,
    limit: Limit,
    headers: RateLimitHeaders,
    tells_wait: bool,
}

/// A lane that can be gone down.
pub(crate) struct Served {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) key: String,
    seen: Arc<Mutex<Vec<u16>>>,
}

impl Lane {
    pub(crate) fn new(name: &str, limit: Limit) -> Self {
        let headers = RateLimitHeaders::x();
        Self { name: name.to_owned(), limit, headers, tells_wait: true }
    }

    pub(crate) fn without_retry_after(self, reset: Reset) -> Self {
        let name = format!("{}, {reset:?}", self.name);
        Self { name, headers: self.headers.reset(reset), tells_wait: false, ..self }
    }

    pub(crate) async fn serve(self) -> Served {
        let store = MemoryStore::new();
        let key = wire::issue(&store, "key_1").await;
        let gate = AuthLayer::new(store).limit(self.limit).unwrap();
        let gate = gate.rate_limit_headers(self.headers).layer(service_fn(async |_| {
            Ok::<_, BoxError>(Response::new(Full::<Bytes>::from("reached")))
        }));
        let seen = Arc::<Mutex<Vec<u16>>>::default();
        let (written, tells_wait) = (Arc::clone(&seen), self.tells_wait);
        let url = wire::serve(service_fn(move |request: Request<Incoming>| {
            let (gate, written) = (gate.clone(), Arc::clone(&written));
            async move {
                if written.lock().unwrap().is_empty() {
                    a_window_begins().await;
                }
                let mut answer = gate.oneshot(request).await?;
                written.lock().unwrap().push(answer.status().as_u16());
                if !tells_wait {
                    answer.headers_mut().remove(RETRY_AFTER);
                }
                Ok::<_, BoxError>(answer)
            }
        }));
        Served { name: self.name, url: url.await, key, seen }
    }
}

/// Whoever uses a window up at once is told to wait for nearly the whole of it.
async fn a_window_begins() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let left = WINDOW.as_nanos() - now % WINDOW.as_nanos();
    tokio::time::sleep(Duration::from_nanos(left as u64)).await;
}

impl Served {
    /// All statuses in the order in which the gate has answered.
    pub(crate) fn seen(&self) -> Vec<u16> {
        self.seen.lock().unwrap().clone()
    }
}
