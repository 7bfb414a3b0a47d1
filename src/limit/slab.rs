//! Where a shard's counters are: in pieces of which each is as large as all before it, which never move
//! and are never given back.

use std::sync::OnceLock;

use super::cell::{Cell, LimitError};
use super::sync::{AtomicU32, FIRST, Ordering};

/// A number of cells that is a power of two, and can be doubled up to a largest.
pub(super) struct Slab {
    size: AtomicU32,
    first: Box<[Cell]>,
    others: Box<[OnceLock<Box<[Cell]>>]>,
}

impl Slab {
    /// Grows up to 2 to the `bits` cells.
    pub(super) fn new(bits: u32) -> Self {
        let others = (FIRST..bits).map(|_| OnceLock::new()).collect();
        Self { size: AtomicU32::new(1 << FIRST), first: vacant(1 << FIRST), others }
    }

    /// How many cells there are. All of them are seen by who sees their number.
    #[inline]
    pub(super) fn size(&self) -> u32 {
        self.size.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn cell(&self, slot: u32) -> Result<&Cell, LimitError> {
        match self.first.get(slot as usize) {
            Some(cell) => Ok(cell),
            None => self.other_cell(slot),
        }
    }

    #[inline]
    fn other_cell(&self, slot: u32) -> Result<&Cell, LimitError> {
        let bits = slot.checked_ilog2().ok_or(LimitError)?;
        let cells = self.others.get((bits - FIRST) as usize).and_then(OnceLock::get);
        cells.and_then(|cells| cells.get((slot - (1 << bits)) as usize)).ok_or(LimitError)
    }

    /// The slot after this one; after the last the first.
    #[inline]
    pub(super) fn next(&self, slot: u32, size: u32) -> u32 {
        (slot + 1) & (size - 1)
    }

    /// False if it is as large as it may be.
    pub(super) fn can_double(&self) -> bool {
        self.next_piece().is_some()
    }

    /// Adds as many cells as there are, which count for nobody.
    pub(super) fn double(&self) {
        let size = self.size();
        if let Some(piece) = self.next_piece() {
            piece.get_or_init(|| vacant(size));
            self.size.store(size * 2, Ordering::Release);
        }
    }

    fn next_piece(&self) -> Option<&OnceLock<Box<[Cell]>>> {
        self.others.get((self.size().ilog2() - FIRST) as usize)
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.size() as usize * size_of::<Cell>() + size_of_val(&*self.others)
    }
}

fn vacant(cells: u32) -> Box<[Cell]> {
    (0..cells).map(|_| Cell::default()).collect()
}
