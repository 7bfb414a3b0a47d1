//! Where a table's counters are: in a few large pieces, which never move and are never given back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::cell::{Cell, LimitError};

/// A table grows by about a 256th of its capacity at a time.
const BITS_OF_PIECES: u32 = 8;
/// But not by less.
const MIN_BITS: u32 = 6;

/// Room for counters, which is made when it is needed.
pub(super) struct Slab {
    pieces: Box<[OnceLock<Box<[Cell]>>]>,
    /// How many bits of a slot's number are those of the place in its piece.
    bits: u32,
    capacity: u32,
    used: AtomicU32,
}

impl Slab {
    /// Room for `capacity` counters.
    pub(super) fn new(capacity: u32) -> Self {
        let bits = capacity.checked_ilog2().unwrap_or(0).saturating_sub(BITS_OF_PIECES);
        let bits = bits.max(MIN_BITS);
        let pieces = (0..capacity.div_ceil(1 << bits)).map(|_| OnceLock::new()).collect();
        Self { pieces, bits, capacity, used: AtomicU32::new(0) }
    }

    /// The cell in a slot that was [taken](Self::take).
    #[inline]
    pub(super) fn cell(&self, slot: u32) -> Result<&Cell, LimitError> {
        let piece = self.pieces.get((slot >> self.bits) as usize).and_then(OnceLock::get);
        let place = slot & ((1 << self.bits) - 1);
        piece.and_then(|piece| piece.get(place as usize)).ok_or(LimitError)
    }

    /// A slot that nobody has had.
    pub(super) fn take(&self) -> Result<u32, LimitError> {
        let slot = self.used.fetch_add(1, Ordering::Relaxed);
        let piece = slot >> self.bits;
        let rest = self.capacity.saturating_sub(piece << self.bits).min(1 << self.bits);
        let cells = || (0..rest).map(|_| Cell::default()).collect();
        self.pieces.get(piece as usize).ok_or(LimitError)?.get_or_init(cells);
        Ok(slot)
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let cells = self.pieces.iter().filter_map(OnceLock::get).map(|piece| piece.len());
        cells.sum::<usize>() * size_of::<Cell>() + size_of_val(&*self.pieces)
    }
}
