//! Counters kept at hand beside a key's record.

use std::ops::Deref;
use std::ptr;
use std::sync::{Arc, OnceLock};

use super::cell::{Cell, LimitError};
use super::identity::Identity;
use super::quota::Quota;
use super::table::Table;
use crate::{KeyId, KeyRecord, TenantId, Timestamp};

/// The counters of the first two limits that a key's record met, so that a check with the record at
/// hand needs no table. Later limits ask their tables.
///
/// A seat is good for one owner under one quota: a record that changes its tenant is not counted
/// for the old one, and one that is judged under another quota is counted in the table. A clone has
/// empty seats, since it may become another record.
#[derive(Debug, Default)]
pub(crate) struct Seats([OnceLock<Seat>; 2]);

#[derive(Debug)]
struct Seat {
    table: u64,
    owner: Owner,
    quota: Quota,
    cell: Arc<Cell>,
}

/// Whom a seat is for. The name is kept alive, so that one at the same address is the same name and
/// need not be read.
#[derive(Debug)]
enum Owner {
    Tenant(TenantId),
    Key(KeyId),
}

impl Owner {
    #[inline]
    fn is(&self, identity: &Identity<'_>) -> bool {
        match (self, identity) {
            (Self::Tenant(mine), Identity::Tenant(name)) => ptr::eq(mine.as_str(), *name),
            (Self::Key(mine), Identity::Key(name)) => ptr::eq(mine.as_str(), *name),
            _ => false,
        }
    }

    fn of(identity: &Identity<'_>, record: &KeyRecord) -> Self {
        match identity {
            Identity::Tenant(_) => Self::Tenant(record.tenant().id().clone()),
            _ => Self::Key(record.id().clone()),
        }
    }
}

impl Clone for Seats {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The counter of `identity`, the record's key or tenant, in `table`: the one at hand beside the
/// record, or the table's, which takes a seat if one is free.
#[inline(always)]
pub(super) fn cell<'a>(
    record: &'a KeyRecord,
    table: &Table,
    identity: &Identity<'_>,
    quota: &Quota,
    now: Timestamp,
) -> Result<Held<'a>, LimitError> {
    let Seats(seats) = record.seats();
    for seat in seats.iter().filter_map(OnceLock::get) {
        if seat.table == table.id() && seat.owner.is(identity) && seat.quota == *quota {
            return Ok(Held::Seat(&seat.cell));
        }
    }
    sit_down(record, table, identity, quota, now).map(Held::Own)
}

#[cold]
fn sit_down(
    record: &KeyRecord,
    table: &Table,
    identity: &Identity<'_>,
    quota: &Quota,
    now: Timestamp,
) -> Result<Arc<Cell>, LimitError> {
    let cell = table.cell(identity, quota, now)?;
    let Seats(seats) = record.seats();
    let taken = seats.iter().filter_map(OnceLock::get).any(|seat| seat.table == table.id());
    for free in seats.iter().filter(|seat| !taken && seat.get().is_none()) {
        let owner = Owner::of(identity, record);
        if free.set(Seat { table: table.id(), owner, quota: *quota, cell: cell.clone() }).is_ok() {
            break;
        }
    }
    Ok(cell)
}

/// A counter at hand, or one's own handle of it.
#[derive(Debug)]
pub(crate) enum Held<'a> {
    Seat(&'a Arc<Cell>),
    Own(Arc<Cell>),
}

impl Deref for Held<'_> {
    type Target = Arc<Cell>;

    #[inline]
    fn deref(&self) -> &Arc<Cell> {
        match self {
            Self::Seat(cell) => cell,
            Self::Own(cell) => cell,
        }
    }
}
