//! May it do this here?

mod requirement;
mod scope;

pub use requirement::Policy;
pub use scope::{Access, Scope, ScopeSet};
