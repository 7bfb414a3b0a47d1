//! Where a shard's counters are: in pieces of which each but the first is as large as all before it, which
//! never move and are never given back.

use std::sync::OnceLock;

use super::cell::{Cell, LimitError};
use super::sync::{AtomicU32, FIRST, Ordering};

/// A number of cells that is a power of two, and can be doubled up to a largest.
pub(super) struct Slab {
    size: AtomicU32,
    first: Piece,
    others: Box<[OnceLock<Piece>]>,
}

type Piece = Box<[Line]>;

/// Two cells that are read at once.
#[derive(Default)]
#[repr(align(64))]
struct Line([Cell; 2]);

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
        match cell_of(&self.first, slot) {
            Some(cell) => Ok(cell),
            None => self.other_cell(slot),
        }
    }

    #[inline]
    fn other_cell(&self, slot: u32) -> Result<&Cell, LimitError> {
        let bits = slot.checked_ilog2().ok_or(LimitError)?;
        let piece = self.others.get((bits - FIRST) as usize).and_then(OnceLock::get);
        piece.and_then(|piece| cell_of(piece, slot - (1 << bits))).ok_or(LimitError)
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

    fn next_piece(&self) -> Option<&OnceLock<Piece>> {
        self.others.get((self.size().ilog2() - FIRST) as usize)
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.size() as usize * size_of::<Cell>() + size_of_val(&*self.others)
    }
}

#[inline]
fn cell_of(piece: &Piece, place: u32) -> Option<&Cell> {
    let Line(cells) = piece.get(place as usize / 2)?;
    cells.get(place as usize % 2)
}

fn vacant(cells: u32) -> Piece {
    (0..cells / 2).map(|_| Line::default()).collect()
}
