//! A request that waits for a fetch.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::machine::{Joined, Place};
use crate::jwt::JwtError;

pub(super) const A_MOMENT: Duration = Duration::from_secs(1);

/// Ends when the fetch has, whatever came of it.
pub(crate) struct Waiting {
    flight: Joined,
    /// Why the token was not accepted without.
    error: JwtError,
    _place: Place,
}

impl Waiting {
    pub(super) fn new(flight: Joined, place: Place, error: JwtError) -> Self {
        Self { flight, error, _place: place }
    }

    /// Waits no longer.
    pub(crate) fn give_up(self) -> JwtError {
        self.error
    }
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.flight).poll(cx).map(drop)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("error", &self.error).finish_non_exhaustive()
    }
}
