#![allow(clippy::unwrap_used)]

mod algorithm;
mod calendar;
mod cell;
mod claims;
mod concurrency;
mod failures;
mod identity;
mod model;
mod plans;
mod reach;
mod reservation;
mod standing;
mod table;
mod threads;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;

use super::remote::CountError;
use super::{Algorithm, Caller, Limit, Limits, Quota, Standings, Verdict};
use crate::jwt::{Text, VerifiedToken};
use crate::policy::ClientAddress;
use crate::{KeyDigest, KeyRecord, Principal, Tenant, Timestamp};

const SECOND: u64 = 1_000_000_000;

/// A moment that is the start of a second, a minute, an hour and a day.
const NOON: u64 = 1_700_006_400 / 86_400 * 86_400 * SECOND;

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn noon() -> Timestamp {
    at(NOON)
}

fn after(secs: u64) -> Timestamp {
    at(NOON + secs * SECOND)
}

fn quota(limit: u64, millis: u64, algorithm: Algorithm) -> Quota {
    let quota = Quota::new(limit, Duration::from_millis(millis)).unwrap();
    match algorithm {
        Algorithm::FixedWindow => quota,
        Algorithm::SlidingWindow => quota.sliding(),
        Algorithm::Gcra => quota.gcra(),
        Algorithm::CalendarMonth => Quota::per_calendar_month(limit).unwrap(),
    }
}

const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::Gcra];

fn record(id: &str, tenant: Tenant) -> KeyRecord {
    KeyRecord::new(id, KeyDigest::of(id), tenant)
}

fn key(id: &str, tenant: &str) -> Principal {
    Principal::of_key(Arc::new(record(id, Tenant::new(tenant))))
}

/// A caller with a JWT of an empty subject and no issuer.
fn token(tenant: Option<&str>) -> Principal {
    Principal::of_token(verified(), tenant.map(|tenant| Arc::new(Tenant::new(tenant))))
}

fn verified() -> VerifiedToken {
    VerifiedToken::nobody(Text::Own("".into()))
}

fn head() -> Parts {
    http::Request::new(()).into_parts().0
}

fn limits(all: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(all).unwrap()
}

/// An address that is not known.
fn nowhere() -> ClientAddress {
    ClientAddress::peer_from(|_| None)
}

/// A verdict, and where its caller stands.
struct Taken {
    verdict: Verdict,
    standings: Standings,
}

fn take(limits: &Limits, principal: &Principal, now: Timestamp) -> Taken {
    take_from(limits, principal, None, now)
}

fn take_from(
    limits: &Limits,
    principal: &Principal,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Taken {
    let (head, address) = (head(), ClientAddress::peer_from(move |_| address));
    try_take(limits, &Caller::new(principal, &(&head).into(), &address), now).unwrap()
}

fn try_take(limits: &Limits, caller: &Caller<'_>, now: Timestamp) -> Result<Taken, CountError> {
    let mut standings = Standings::default();
    let Ok(verdict) = limits.count(caller, now, &mut standings)? else {
        panic!("limits of this process ask nobody");
    };
    Ok(Taken { verdict, standings })
}

impl Taken {
    fn is_admitted(&self) -> bool {
        matches!(self.verdict, Verdict::Admitted | Verdict::Reserved(_))
    }

    fn remaining(&self) -> Vec<u64> {
        self.standings.as_slice().iter().map(|standing| standing.remaining).collect()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self.verdict {
            Verdict::Admitted | Verdict::Reserved(_) | Verdict::Never => None,
            Verdict::After(nanos) => Some(Duration::from_nanos(nanos)),
        }
    }
}

/// How many of `tries` are admitted at one moment.
fn admitted(limits: &Limits, principal: &Principal, now: Timestamp, tries: u64) -> u64 {
    (0..tries).filter(|_| take(limits, principal, now).is_admitted()).count() as u64
}
