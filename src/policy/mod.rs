//! May it do this here?

mod scope;

pub use scope::{Access, Scope, ScopeSet};
