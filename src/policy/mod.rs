//! May it do this here? Scopes, what routes ask, where requests come from.

pub mod address;
mod forwarded;
mod met;
mod origin;
mod paths;
mod requirement;
pub mod routes;
mod scope;

pub(crate) use address::canonical;
pub use address::{ClientAddress, ForwardingHeader, PeerAddr};
pub(crate) use met::Met;
pub use origin::SameOrigin;
pub(crate) use paths::Paths;
pub use requirement::Policy;
pub(crate) use routes::Asks;
pub use routes::Routes;
pub use scope::{Access, Scope, ScopeSet};
pub(crate) use scope::{grants_any, is_scope_byte, is_scope_token};
