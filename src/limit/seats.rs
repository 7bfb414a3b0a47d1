//! Counters kept at hand beside a key's record.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::{Counter, LimitError, Tag};
use super::identity::Identity;
use super::quota::Quota;
use super::table::{Place, Table};
use crate::{KeyRecord, Timestamp};

/// The counters of the first two limits that a key's record met, so that a check with the record at
/// hand needs no table. Later limits ask their tables.
///
/// A seat is good for the record's key or for its tenant, under one quota: a record that is judged
/// under another quota is counted in the table. A record that becomes another one, of another tenant
/// or as a clone, has empty seats.
#[derive(Debug, Default)]
pub(crate) struct Seats([OnceLock<Seat>; 2]);

/// Where one owner's counter was when it was last looked for.
#[derive(Debug)]
pub(crate) struct Seat {
    table: u64,
    quota: Quota,
    owner: Owner,
    tag: Tag,
    /// A [`Spot`](super::table::Spot), which another account may have had since.
    spot: AtomicU64,
}

impl Seat {
    /// The counter; `None` if it is not there any more.
    #[inline(always)]
    pub(super) fn lock<'t>(&self, table: &'t Table) -> Result<Option<Counter<'t>>, LimitError> {
        table.lock_at(self.spot.load(Ordering::Relaxed).into(), self.tag)
    }

    fn place(&self) -> Place {
        Place::new(self.tag, &self.quota, self.spot.load(Ordering::Relaxed).into())
    }

    /// Puts it where its account is counted now.
    pub(super) fn move_to(&self, place: &Place) {
        self.spot.store(place.spot.into(), Ordering::Relaxed);
    }
}

/// Whom of its record a seat is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Tenant,
    Key,
}

impl Owner {
    #[inline]
    fn of(identity: &Identity<'_>) -> Self {
        match identity {
            Identity::Tenant(_) => Self::Tenant,
            _ => Self::Key,
        }
    }
}

impl Clone for Seats {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The seat of `identity`, the record's key or tenant, for `table` under `quota`.
#[inline(always)]
pub(super) fn find<'a>(
    record: &'a KeyRecord,
    table: &Table,
    identity: &Identity<'_>,
    quota: &Quota,
) -> Option<&'a Seat> {
    let Seats(seats) = record.seats();
    let owner = Owner::of(identity);
    let is_it =
        |seat: &&Seat| seat.table == table.id() && seat.owner == owner && seat.quota == *quota;
    seats.iter().filter_map(OnceLock::get).find(is_it)
}

/// Where `identity`, the record's key or tenant, is counted in `table`: what is at hand beside the
/// record, and its seat; or what the table says, which takes a seat if one is free.
pub(super) fn place<'a>(
    record: &'a KeyRecord,
    table: &Table,
    identity: &Identity<'_>,
    quota: &Quota,
    now: Timestamp,
) -> Result<(Place, Option<&'a Seat>), LimitError> {
    match find(record, table, identity, quota) {
        Some(seat) => Ok((seat.place(), Some(seat))),
        None => sit_down(record, table, identity, quota, now).map(|place| (place, None)),
    }
}

fn sit_down(
    record: &KeyRecord,
    table: &Table,
    identity: &Identity<'_>,
    quota: &Quota,
    now: Timestamp,
) -> Result<Place, LimitError> {
    let place = table.place(identity, quota, now)?;
    let Seats(seats) = record.seats();
    let taken = seats.iter().filter_map(OnceLock::get).any(|seat| seat.table == table.id());
    for free in seats.iter().filter(|seat| !taken && seat.get().is_none()) {
        let (owner, spot) = (Owner::of(identity), AtomicU64::new(place.spot.into()));
        let seat = Seat { table: table.id(), quota: *quota, owner, tag: place.tag, spot };
        if free.set(seat).is_ok() {
            break;
        }
    }
    Ok(place)
}
