//! May it do this now?
#![allow(missing_docs, dead_code)]

mod standing;

use crate::*;
pub use standing::{Standing, Standings};
use std::net::IpAddr;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Quota;
impl Quota {
    pub fn per_minute(_: u64) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}
#[derive(Debug, Default)]
pub struct Seats;
impl Clone for Seats {
    fn clone(&self) -> Self {
        Self
    }
}
#[derive(Clone, Debug)]
pub struct Limit;
impl Limit {
    pub fn per_tenant(_: Quota) -> Self {
        Self
    }
}
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits;
impl Limits {
    pub(crate) fn push(&mut self, _: Limit) -> Result<(), ConfigError> {
        Ok(())
    }
    pub(crate) fn is_empty(&self) -> bool {
        true
    }
    pub(crate) fn take(&self, _: &Caller<'_>, _: Timestamp) -> Result<Verdict, String> {
        Ok(Verdict::Admitted(Standings::default()))
    }
}
pub(crate) enum Verdict {
    Admitted(Standings),
    Denied { standings: Standings, retry_after: Option<Duration> },
}
pub struct Caller<'a>(&'a Principal);
impl<'a> Caller<'a> {
    pub fn new(p: &'a Principal, _: &'a http::request::Parts, _: Option<IpAddr>) -> Self {
        Self(p)
    }
}
#[derive(Clone, Debug)]
pub struct FailureBudget;
impl FailureBudget {
    pub fn is_before_verification(&self) -> bool {
        false
    }
    pub fn exhausted(&self, _: Option<IpAddr>, _: Timestamp) -> Result<Option<Duration>, String> {
        Ok(None)
    }
    pub fn record(&self, _: Option<IpAddr>, _: Timestamp) -> Result<Option<Duration>, String> {
        Ok(None)
    }
}
