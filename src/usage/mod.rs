//! What keys are used for, seen without a write for each request.
//!
//! A [`UsageLayer`] behind the gate counts; nothing waits for a store. A task of yours writes what
//! was counted in batches, every few seconds and when the server has stopped. Uses of one key at one
//! endpoint in one month are one row of a batch, however many there are.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! use std::time::Duration;
//!
//! use axum::{Router, routing::get};
//! use keygate::AuthLayer;
//! use keygate::store::MemoryStore;
//! use keygate::usage::{Endpoints, UsageRecorder};
//!
//! let store = MemoryStore::new();
//! let recorder = UsageRecorder::new();
//! let writer = tokio::spawn({
//!     let (recorder, store) = (recorder.clone(), store.clone());
//!     async move { recorder.run(&store, || tokio::time::sleep(Duration::from_secs(5))).await }
//! });
//!
//! let endpoints = Endpoints::new(["GET /contacts", "GET /contacts/{id}"])?;
//! let app: Router = Router::new()
//!     .route("/contacts", get(|| async { "all" }))
//!     .route("/contacts/{id}", get(|| async { "one" }))
//!     .layer(recorder.layer(endpoints)) // inside,
//!     .layer(AuthLayer::new(store)); // for here callers become known
//! // … serve `app`, and when the server has stopped:
//! recorder.close();
//! writer.await??;
//! # let _ = app;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is lost on such a stop while the store works. What is lost otherwise is counted:
//! [`UsageRecorder::dropped`]. Memory is bounded, whatever clients do: by rows, and by endpoints.
//!
//! These are numbers to look at, not to bill by. A process that is killed loses what it counted since
//! the last write. Otherwise each use is written **at least once**: a batch of up to 100 rows is
//! written again when the store reported a failure although it had written, which
//! [`UsageRecorder::failed`] bounds, and when the future that wrote it was dropped.

mod endpoints;
mod layer;
mod recorder;
mod table;
mod writes;

pub use endpoints::Endpoints;
pub use layer::{UsageLayer, UsageService};
pub use recorder::UsageRecorder;
