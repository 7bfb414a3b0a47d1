//! May this record's key be used? A pure function of the record and the moment.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{EnvironmentPolicy, KeyDigest, KeyRecord, KeyStatus};
use crate::RejectionKind::{AddressDenied, KeyExpired, KeyInactive, KeyInvalid};
use crate::credential::Marks;
use crate::outcome::{Answer, Nobody};
use crate::store::StoreError;
use crate::{Principal, RejectionKind, Timestamp};

/// What was presented, and what this gate takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented {
    pub(crate) digest: KeyDigest,
    pub(crate) marks: Marks,
    pub(crate) admitted: EnvironmentPolicy,
}

impl Presented {
    /// Whose key it is, by what a store has found for its digest.
    #[inline]
    pub(crate) fn answer(&self, found: Result<Option<Arc<KeyRecord>>, StoreError>) -> Answer {
        match found {
            Ok(Some(record)) if self.agrees(&record) => {
                Answer::Caller(Principal::of_key(record), self.marks.in_authorization)
            }
            Ok(_) => Nobody::Refused(KeyInvalid).into(),
            Err(error) => Answer::unavailable(error),
        }
    }

    /// A record that contradicts the key's text is none.
    #[inline]
    fn agrees(&self, record: &KeyRecord) -> bool {
        let is = record.environment();
        *record.digest() == self.digest
            && self.marks.environment.is_none_or(|said| said == is)
            && self.admitted.admits(is)
    }
}

/// Judges the record of a key. A revoked one answers like an unknown one.
pub(crate) fn verify(record: &KeyRecord, now: Timestamp) -> Result<(), RejectionKind> {
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
    match record.networks() {
        [] => Ok(()),
        networks => verify_networks(networks, address()),
    }
}

#[cold]
fn verify_networks(networks: &[IpNet], address: Option<IpAddr>) -> Result<(), RejectionKind> {
    let inside = |address: IpAddr| networks.iter().any(|network| network.contains(&address));
    if address.is_some_and(inside) { Ok(()) } else { Err(AddressDenied) }
}
