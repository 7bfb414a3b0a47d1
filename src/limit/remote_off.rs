//! Limits that are counted elsewhere, in a build without such a place.

use super::caller::Caller;
use super::cell::LimitError;
use super::definition::Limit;
use super::limits::Verdict;
use super::standing::Standings;
use crate::Timestamp;

pub(crate) type CountError = LimitError;

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum Remote {}

/// Nobody is asked.
pub(crate) type Pending = std::future::Pending<Counted>;

/// Nothing is settled elsewhere.
#[derive(Debug)]
pub(crate) enum Settling {}

impl Settling {
    pub(super) fn costs(&self) -> std::iter::Empty<u64> {
        match *self {}
    }

    pub(super) fn settle(&self, _: u64) {
        match *self {}
    }
}

pub(crate) struct Counted {
    pub(crate) verdict: Result<Verdict, CountError>,
    pub(crate) standings: Standings,
}

impl Remote {
    pub(super) fn count(
        &self,
        _: &[Limit],
        _: &Caller<'_>,
        _: Timestamp,
        _: &mut Standings,
    ) -> Result<Result<Verdict, Pending>, CountError> {
        match *self {}
    }
}
