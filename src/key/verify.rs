//! May this record's key be used? A pure function of the record and the moment.

use std::net::IpAddr;

use super::{EnvironmentPolicy, KeyDigest, KeyRecord, KeyStatus};
use crate::RejectionKind::{AddressDenied, KeyExpired, KeyInactive, KeyInvalid};
use crate::credential::Marks;
use crate::{RejectionKind, Timestamp};

/// What was presented, where and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented {
    pub(crate) digest: KeyDigest,
    pub(crate) marks: Marks,
}

/// Judges a record that a store has found.
///
/// A revoked key answers like an unknown one, and a record that contradicts the key's text is none.
pub(crate) fn verify(
    record: &KeyRecord,
    presented: &Presented,
    admitted: EnvironmentPolicy,
    now: Timestamp,
) -> Result<(), RejectionKind> {
    let said = presented.marks.environment.unwrap_or(record.environment());
    if *record.digest() != presented.digest
        || said != record.environment()
        || !admitted.admits(record.environment())
    {
        return Err(KeyInvalid);
    }
    match record.status() {
        KeyStatus::Revoked => Err(KeyInvalid),
        KeyStatus::Inactive => Err(KeyInactive),
        KeyStatus::Active if record.expires().is_some_and(|end| now >= end) => Err(KeyExpired),
        KeyStatus::Active => Ok(()),
    }
}

/// Judges the client's address. A key bound to networks is refused where the address is unknown.
pub(crate) fn verify_address(
    record: &KeyRecord,
    address: impl FnOnce() -> Option<IpAddr>,
) -> Result<(), RejectionKind> {
    let networks = record.networks();
    if networks.is_empty() {
        return Ok(());
    }
    let inside = |address: IpAddr| networks.iter().any(|network| network.contains(&address));
    if address().is_some_and(inside) { Ok(()) } else { Err(AddressDenied) }
}
