//! Where a shard's counters are: in pieces of which each is as large as all before it, which never move
//! and are never given back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::cell::{Cell, LimitError};

/// The first piece has so many cells, in bits.
const FIRST: u32 = 5;

/// A number of cells that is a power of two, and can be doubled up to a largest.
pub(super) struct Slab {
    pieces: Box<[OnceLock<Box<[Cell]>>]>,
    size: AtomicU32,
}

impl Slab {
    /// Grows up to 2 to the `bits` cells.
    pub(super) fn new(bits: u32) -> Self {
        let pieces = (0..=bits.saturating_sub(FIRST)).map(|_| OnceLock::new()).collect();
        let slab = Self { pieces, size: AtomicU32::new(0) };
        slab.make(0);
        slab
    }

    /// How many cells there are. All of them are seen by who sees their number.
    #[inline]
    pub(super) fn size(&self) -> u32 {
        self.size.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn cell(&self, slot: u32) -> Result<&Cell, LimitError> {
        let piece = u32::BITS - (slot >> FIRST).leading_zeros();
        let before = if piece == 0 { 0 } else { 1 << (FIRST + piece - 1) };
        let cells = self.pieces.get(piece as usize).and_then(OnceLock::get);
        cells.and_then(|cells| cells.get((slot - before) as usize)).ok_or(LimitError)
    }

    /// The slot after this one; after the last the first.
    #[inline]
    pub(super) fn next(&self, slot: u32, size: u32) -> u32 {
        (slot + 1) & (size - 1)
    }

    /// False if it is as large as it may be.
    pub(super) fn can_double(&self) -> bool {
        self.size() >> FIRST < 1 << (self.pieces.len() - 1)
    }

    /// Adds as many cells as there are, which count for nobody.
    pub(super) fn double(&self) {
        self.make(u32::BITS - (self.size() >> FIRST).leading_zeros());
    }

    fn make(&self, piece: u32) {
        let size = 1 << (FIRST + piece);
        let made = (size - self.size()) as usize;
        let Some(place) = self.pieces.get(piece as usize) else { return };
        place.get_or_init(|| std::iter::repeat_with(Cell::default).take(made).collect());
        self.size.store(size, Ordering::Release);
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.size() as usize * size_of::<Cell>() + size_of_val(&*self.pieces)
    }
}
