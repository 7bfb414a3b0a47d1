//! Limits that are counted elsewhere, in a build without such a place.

use super::caller::Caller;
use super::cell::LimitError;
use super::concurrency::Permits;
use super::definition::Limit;
use super::identity::Identity;
use super::limits::Verdict;
use super::quota::Quota;
use super::running;
use super::standing::{Standing, Standings};
use crate::Timestamp;
use std::sync::Arc;
use std::time::Duration;

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

/// Nobody else counts failures.
#[derive(Debug)]
pub(crate) enum Tally {}

impl Tally {
    pub(super) fn fail(&self, _: &Identity<'_>, _: &Quota) -> Option<Duration> {
        match *self {}
    }

    pub(super) fn used_up(&self, _: &Identity<'_>, _: &Quota) -> Option<Duration> {
        match *self {}
    }
}

/// Nothing runs by another's leave.
#[derive(Debug)]
pub(crate) enum Desk {}

pub(crate) enum Permit {}

pub(crate) enum Turn {}

impl Turn {
    pub(super) fn new(
        desk: &Arc<Desk>,
        _: (Identity<'_>, Identity<'_>),
        _: Standing,
        _: Duration,
    ) -> Self {
        match **desk {}
    }
}

pub(super) fn enter(_: Vec<Turn>, _: Vec<running::Permit>) -> Pending {
    std::future::pending()
}

pub(crate) struct Counted {
    pub(crate) verdict: Result<Verdict, CountError>,
    pub(crate) standings: Standings,
    /// What it runs by, if it was that which was asked: its limits were not asked yet.
    pub(crate) permits: Option<Permits>,
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
