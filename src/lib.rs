//! API keys, JWTs, scopes and rate limits as one tower layer, for axum, tonic and hyper.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use axum::{Router, routing::get};
//! use keygate::store::{KeyAdmin, MemoryStore};
//! use keygate::{AuthLayer, Environment, KeyFormat, KeyRecord, Limit, Policy, Principal, Quota};
//! use keygate::{Require, ScopeSet, Tenant};
//!
//! let store = MemoryStore::new();
//! let key = KeyFormat::sk().generate(Environment::Live)?; // sk_live_…, shown to its owner once
//! let record = KeyRecord::new("key_1", key.digest(), Tenant::new("acme"))
//!     .with_access(ScopeSet::new(["read:contacts"])?);
//! store.insert(record).await?;
//!
//! let contacts = |caller: Principal| async move { format!("contacts for {}", caller.subject()) };
//! let app: Router = Router::new()
//!     .route("/contacts", get(contacts))
//!     .route_layer(Require::new(Policy::all_of(["read:contacts"])?))
//!     .layer(AuthLayer::new(store).limit(Limit::per_tenant(Quota::per_minute(1000)?))?);
//! # let _ = app;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The road of a request
//!
//! | | stage | decides | module |
//! | --- | --- | --- | --- |
//! | 1 | credential | where it stands, and whether it is a key or a JWT | [`Source`] |
//! | 2 | key or JWT | whether it is real | [`key`], [`jwt`], [`store`] |
//! | 3 | principal | who is calling | [`Principal`] |
//! | 4 | limit | whether it may now | [`limit`] |
//! | 5 | policy | whether it may here | [`policy`] |
//! | | | the inner service | |
//! | 6 | answer | how refusals and rate-limit headers look | [`render`] |
//!
//! Any stage may end the road with one [`Rejection`]; nothing else does, and whatever can't be
//! decided (a store that is away, a poisoned lock, an unknown algorithm) ends in one. The body of
//! the request is never touched.
//!
//! The gate is [`AuthLayer`]; it lists what can be configured and what is the default. Behind it, a
//! route asks for more through [`Require`], a handler through [`Principal::require`], a service
//! without a router through [`policy::Routes`]. Your own database is a [`store::KeyStore`].
//! [`Keys`] issues, rotates and ends keys; [`usage`] tells what they are used for. A login of one's own
//! issues tokens with [`jwt::JwtIssuer`], and people are kept signed in by [`session`]. What clients can
//! find out by themselves is in [`metadata`].
//!
//! # Features
//!
//! | feature | default | brings |
//! | --- | --- | --- |
//! | `aws_lc_rs` | yes | JWT signatures by AWS-LC; needs a C compiler |
//! | `rust_crypto` | | JWT signatures in pure Rust, for builds without a C compiler; RSA about ten times slower |
//! | `axum` | | [`Principal`] and [`limit::Reservation`] as extractors, [`Rejection`] as response |
//! | `tonic` | | [`Rejection`] as `tonic::Status` |
//! | `sqlite` | | [`store`] in a file: `SqliteStore`; needs a C compiler |
//! | `postgres` | | [`store`] on a server: `PostgresStore`, and `PostgresFeed` of what other nodes change |
//! | `redis` | | `limit::redis`: limits, concurrency and failure budgets that many machines share; `store::feed::RedisFeed` |
//! | `conformance` | | `store::conformance`, the tests of a store of your own |
//! | `remote` | | [`jwt::remote`] with an HTTP client of its own: `HttpClient`; needs tokio and a C compiler |
//! | `tracing` | | events for refusals, [sampled](RefusalSampling), and for what fails behind them |
//!
//! Features only add. With both of the first two, AWS-LC signs and verifies; with neither, every JWT key is
//! refused when it is configured, and API keys work.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings), allow(unused))))]
#![forbid(unsafe_code)]

mod authenticator;
#[cfg(feature = "axum")]
mod axum;
mod body;
mod clock;
mod credential;
mod document;
mod error;
mod future;
mod gate;
mod head;
mod identify;
pub mod jwt;
pub mod key;
mod layer;
pub mod lifecycle;
pub mod limit;
pub mod metadata;
mod outcome;
mod peppered;
pub mod policy;
mod principal;
mod rejection;
pub mod render;
mod require;
mod sampling;
mod service;
pub mod session;
mod shared;
mod signal;
pub mod store;
mod tenant;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg_attr(not(feature = "tracing"), path = "trace_off.rs")]
mod trace;
pub mod usage;

pub use authenticator::Authenticator;
pub use body::GateBody;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use credential::Source;
pub use document::DocumentBody;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use head::Head;
pub use key::{
    Environment, EnvironmentPolicy, KeyDigest, KeyFormat, KeyId, KeyRecord, KeyStatus, KeyToken,
    Pepper, Peppers, RotationPolicy,
};
pub use layer::AuthLayer;
pub use lifecycle::{Issued, Keys, KeysError, NewKey};
pub use limit::{Caller, Concurrency, FailureBudget, Limit, Quota, Standing, Standings};
pub use outcome::Outcome;
pub use policy::{Access, Policy, Scope, ScopeSet};
pub use principal::{Method, Principal};
pub use rejection::{Rejection, RejectionKind};
pub use render::{Envelope, Problem, Render, Rendered};
pub use require::{Require, Required, RequiredFuture};
pub use sampling::RefusalSampling;
pub use service::Auth;
pub use tenant::{Tenant, TenantId, TenantStatus};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
