//! May it do this now?

mod standing;

pub use standing::{Standing, Standings};
