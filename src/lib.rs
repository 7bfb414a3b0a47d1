//! API keys, JWTs, scopes and rate limits as one tower layer.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings), allow(unused))))]
#![forbid(unsafe_code)]

mod authenticator;
#[cfg(feature = "axum")]
pub mod axum;
mod body;
mod clock;
mod credential;
mod error;
mod future;
mod gate;
pub mod jwt;
pub mod key;
mod layer;
pub mod limit;
pub mod policy;
mod principal;
mod rejection;
pub mod render;
mod require;
mod service;
pub mod store;
mod tenant;
#[cfg(feature = "tonic")]
pub mod tonic;
#[cfg_attr(not(feature = "tracing"), path = "trace_off.rs")]
mod trace;

pub use authenticator::{Authenticator, Outcome};
pub use body::GateBody;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use credential::Source;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use key::{
    Environment, EnvironmentPolicy, KeyDigest, KeyFormat, KeyId, KeyRecord, KeyStatus, KeyToken,
};
pub use layer::AuthLayer;
pub use limit::{Caller, FailureBudget, Limit, Quota, Standing, Standings};
pub use policy::{Access, Policy, Scope, ScopeSet};
pub use principal::{Method, Principal};
pub use rejection::{Rejection, RejectionKind};
pub use render::{Envelope, Problem, Render, Rendered};
pub use require::{Require, Required, RequiredFuture};
pub use service::Auth;
pub use tenant::{Tenant, TenantId, TenantStatus};
