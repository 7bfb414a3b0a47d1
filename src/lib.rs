//! API keys, JWTs, scopes and rate limits as one tower layer.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

mod clock;
mod error;
pub mod jwt;
pub mod limit;
pub mod policy;
mod rejection;
pub mod render;
mod tenant;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::ConfigError;
pub use limit::{Standing, Standings};
pub use policy::{Access, Scope, ScopeSet};
pub use rejection::{Rejection, RejectionKind};
pub use render::{Envelope, Problem, Render, Rendered};
pub use tenant::{Tenant, TenantId, TenantStatus};
