//! Counters kept at hand beside a key's record.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::cell::{Cell, LimitError};
use super::identity::Identity;
use super::table::Table;
use crate::Timestamp;

/// The counters of the first two limits that a key's record met, so that a check with the record at
/// hand needs no table. Later limits ask their tables.
///
/// A seat is good for one identity: a record that changes its tenant is not counted for the old one.
/// A clone has empty seats, since it may become another record.
#[derive(Debug, Default)]
pub(crate) struct Seats([OnceLock<Seat>; 2]);

#[derive(Debug)]
struct Seat {
    table: u64,
    cell: Arc<Cell>,
}

impl Clone for Seats {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Seats {
    /// The counter of `identity` in `table`: the one at hand, or the table's, which takes a seat if
    /// one is free.
    #[inline]
    pub(super) fn cell(
        &self,
        table: &Table,
        identity: &Identity<'_>,
        now: Timestamp,
    ) -> Result<Held<'_>, LimitError> {
        let mine = self.0.iter().filter_map(OnceLock::get).find(|seat| seat.table == table.id());
        match mine {
            Some(seat) if seat.cell.identity().is(identity.parts()) => Ok(Held::Seat(&seat.cell)),
            Some(_) => table.cell(identity, now).map(Held::Own),
            None => self.settle(table, table.cell(identity, now)?),
        }
    }

    fn settle(&self, table: &Table, cell: Arc<Cell>) -> Result<Held<'_>, LimitError> {
        for free in self.0.iter().filter(|seat| seat.get().is_none()) {
            if free.set(Seat { table: table.id(), cell: cell.clone() }).is_ok() {
                break;
            }
        }
        Ok(Held::Own(cell))
    }
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
