//! API keys, JWTs, scopes and rate limits as one tower layer.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

mod clock;
mod error;
pub mod jwt;
pub mod key;
pub mod limit;
pub mod policy;
mod principal;
mod rejection;
pub mod render;
mod tenant;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::ConfigError;
pub use key::{
    Environment, EnvironmentPolicy, KeyDigest, KeyFormat, KeyId, KeyRecord, KeyStatus, KeyToken,
};
pub use limit::{Caller, FailureBudget, Limit, Quota, Standing, Standings};
pub use policy::{Access, Policy, Scope, ScopeSet};
pub use principal::{Method, Principal};
pub use rejection::{Rejection, RejectionKind};
pub use tenant::{Tenant, TenantId, TenantStatus};
