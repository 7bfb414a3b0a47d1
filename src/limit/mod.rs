//! May it do this now?

mod standing;

pub use standing::{Standing, Standings};

/// STUB
#[derive(Clone, Debug)]
pub struct Quota;
/// STUB
#[derive(Debug, Default)]
pub struct Seats;
impl Clone for Seats {
    fn clone(&self) -> Self {
        Self
    }
}
