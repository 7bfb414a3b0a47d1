//! A part of a table: its counters, and who may add to them.

use super::cell::{Cell, Counter, LimitError, Number, Tag};
use super::rough::Rough;
use super::slab::Slab;
use super::sync::{Mutex, MutexGuard};
use crate::Timestamp;

/// Twice as many at most, unless there are more counters than shards of the largest size hold.
const MANY_SHARDS: u32 = 16;
/// Sizes in bits. A small shard makes the choice of whom to drop a poor one, a large one takes long to
/// grow.
const MIN_BITS: u32 = 7;
const MAX_BITS: u32 = 16;
/// Shards of so many cells or fewer are near in any case: all of a usual table are 64 KiB at most.
const NEAR: u32 = 64;
/// How many counters are weighed to make room for one.
const SAMPLE: u32 = 8;
/// How many at most, when all of the sample are at their limit.
const MAX_SAMPLE: u32 = 512;
/// What [`Cell::end_unless_consumed`] tells of a caller at its limit.
const EXHAUSTED: u64 = 1 << 20;

/// All shards of a table for so many counters. Full ones are as near as can be to what they may hold.
pub(super) fn shards(capacity: u32) -> Box<[Shard]> {
    let is_few = |bits: &u32| capacity / most_in(1 << bits) < 2 * MANY_SHARDS;
    let bits = (MIN_BITS..MAX_BITS).find(is_few).unwrap_or(MAX_BITS);
    let count = capacity.div_ceil(most_in(1 << bits));
    let share = |index| capacity / count + u32::from(index < capacity % count);
    (0..count).map(|index| Shard::new(bits, share(index))).collect()
}

/// So many counters are in so many cells at most: three of four, or it takes long to find one.
fn most_in(cells: u32) -> u32 {
    cells / 4 * 3
}

/// With so many counters a shard that may grow does: a little earlier than it must.
fn enough_for(cells: u32) -> u32 {
    cells / 8 * 5
}

/// Counters by their tags, each in the cell where its tag belongs or in one behind it with no free cell
/// between (linear probing): when one is left, who stands behind it moves up.
///
/// Whoever looks for a counter needs no lock but the counter's own. Who adds or drops one, or moves one
/// for that, has the shard's; so who finds none has to look once more under that lock before it is sure
/// that there is none. Whoever holds the shard may lock a cell; whoever holds a cell never locks a
/// shard.
#[repr(align(64))]
pub(super) struct Shard {
    slab: Slab,
    room: Mutex<Room>,
}

struct Room {
    len: u32,
    capacity: u32,
    /// The slot at which the next search for room begins.
    hand: u32,
    /// Of the youngest tenancy.
    number: Number,
}

impl Shard {
    pub(super) fn new(bits: u32, capacity: u32) -> Self {
        let room = Room { len: 0, capacity, hand: 0, number: Number::default() };
        Self { slab: Slab::new(bits), room: Mutex::new(room) }
    }

    /// False if a panic has left the lock: nobody is sure to be found then.
    #[inline]
    pub(super) fn is_sound(&self) -> bool {
        !self.room.is_poisoned()
    }

    /// The counter of `tag`. If there is none, it may be on the move.
    #[inline(always)]
    pub(super) fn seek(&self, tag: Tag) -> Option<Counter<'_>> {
        let size = self.slab.size();
        let home = home(tag, size);
        self.seek_in(home, tag).or_else(|| self.seek_from(home, tag, size))
    }

    #[inline(always)]
    fn seek_in(&self, slot: u32, tag: Tag) -> Option<Counter<'_>> {
        let cell = self.slab.cell(slot).ok()?;
        if cell.tag() == Some(tag) { cell.lock_for(tag) } else { None }
    }

    #[inline(never)]
    fn seek_from(&self, mut slot: u32, tag: Tag, size: u32) -> Option<Counter<'_>> {
        for _ in 0..size {
            if let Some(counter) = self.seek_in(slot, tag) {
                return Some(counter);
            }
            // Nothing of this tag is behind a gap.
            self.slab.cell(slot).ok()?.tag()?;
            slot = next(slot, size);
        }
        None
    }

    /// The counter of `tag`. If there is none, `tag` is not counted.
    pub(super) fn find(&self, tag: Tag) -> Result<Option<Counter<'_>>, LimitError> {
        if let Some(found) = self.seek(tag) {
            return Ok(Some(found));
        }
        let _nobody_moves = self.room.lock().map_err(|_| LimitError)?;
        Ok(self.seek(tag))
    }

    /// The number of the tenancy of `tag`, which begins now if it has none.
    #[cold]
    pub(super) fn admit(
        &self,
        tag: Tag,
        quota: Rough,
        now: Timestamp,
    ) -> Result<Number, LimitError> {
        let room = self.room.lock().map_err(|_| LimitError)?;
        // Another may have been faster.
        match self.seek(tag) {
            Some(counter) => Ok(counter.number()),
            None => Changing { slab: &self.slab, room }.insert(tag, quota, now),
        }
    }

    /// Reads where the counter of `tag` is most likely to be. Nobody waits for what is read, so that it
    /// is on its way while something else is done.
    #[inline]
    pub(super) fn await_tag(&self, tag: Tag) {
        let cell = self.slab.cell(home(tag, self.slab.size()));
        // LLVM keeps an atomic load of which nobody needs the value; if it did not, only the head start
        // would be lost. `black_box` stores it, and a wider load beside it would wait for that store.
        let _ = cell.map(Cell::tag);
    }

    #[inline]
    pub(super) fn is_near(&self) -> bool {
        self.slab.size() <= NEAR
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.room.lock().map_or(0, |room| room.len as usize)
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        size_of::<Self>() + self.slab.allocated()
    }

    #[cfg(test)]
    pub(super) fn poison(&self) {
        let spoil = || {
            let _guard = self.room.lock();
            panic!("poisons the shard on purpose");
        };
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(spoil));
    }
}

/// The slot where `tag` belongs, of so many: the first of a line of memory, of which the other one is
/// as near.
#[inline]
fn home(tag: Tag, size: u32) -> u32 {
    tag.bits() as u32 & (size - 2)
}

/// The slot after this one; after the last the first.
#[inline]
fn next(slot: u32, size: u32) -> u32 {
    (slot + 1) & (size - 1)
}

/// A shard of which the lock is held.
struct Changing<'s> {
    slab: &'s Slab,
    room: MutexGuard<'s, Room>,
}

impl Changing<'_> {
    fn insert(&mut self, tag: Tag, quota: Rough, now: Timestamp) -> Result<Number, LimitError> {
        if self.room.len >= self.room.capacity {
            self.make_room(now)?;
        }
        if self.room.len >= enough_for(self.slab.size()) && self.slab.can_double() {
            self.grow()?;
        }
        let slot = self.free_slot(tag)?;
        let number = self.room.number.next();
        self.slab.cell(slot)?.begin(tag, quota, number);
        self.room.number = number;
        self.room.len += 1;
        Ok(number)
    }

    /// The first free slot from where `tag` belongs. There always is one.
    fn free_slot(&self, tag: Tag) -> Result<u32, LimitError> {
        let size = self.slab.size();
        let mut slot = home(tag, size);
        while self.slab.cell(slot)?.tag().is_some() {
            slot = next(slot, size);
        }
        Ok(slot)
    }

    /// Doubles the cells. In each other slot another counter belongs then, so all are taken out first.
    fn grow(&mut self) -> Result<(), LimitError> {
        let mut taken_out = Vec::with_capacity(self.room.len as usize);
        for slot in 0..self.slab.size() {
            let cell = self.slab.cell(slot)?;
            if let Some(tag) = cell.tag() {
                let kept = Cell::default();
                cell.move_to(&kept);
                taken_out.push((tag, kept));
            }
        }
        self.slab.double();
        for (tag, kept) in taken_out {
            kept.move_to(self.slab.cell(self.free_slot(tag)?)?);
        }
        Ok(())
    }

    /// Drops from the next few counters all that are as good as new, or else the one that has
    /// consumed least of its quota. A caller at its limit goes only when hundreds in a row are at
    /// theirs: a flood of fresh identities pushes itself out.
    fn make_room(&mut self, now: Timestamp) -> Result<(), LimitError> {
        let mut least = (u64::MAX, 0);
        let (mut seen, mut dropped) = (0, false);
        for _ in 0..self.slab.size() {
            let Some((slot, consumed)) = self.weigh_next(now)? else { continue };
            match consumed {
                0 => dropped = true,
                _ => least = least.min((consumed, slot)),
            }
            seen += 1;
            if seen >= MAX_SAMPLE || seen >= SAMPLE && (dropped || least.0 < EXHAUSTED) {
                break;
            }
        }
        if dropped {
            return Ok(());
        }
        self.slab.cell(least.1)?.end();
        self.close_gap(least.1)
    }

    /// Weighs the counter at the hand, and moves that on; unless the counter is dropped, which it is if
    /// it is as good as new: another may have come there then.
    fn weigh_next(&mut self, now: Timestamp) -> Result<Option<(u32, u64)>, LimitError> {
        let size = self.slab.size();
        let slot = self.room.hand & (size - 1);
        let cell = self.slab.cell(slot)?;
        let consumed = cell.tag().map(|_| cell.end_unless_consumed(now));
        match consumed {
            Some(0) => self.close_gap(slot)?,
            _ => self.room.hand = next(slot, size),
        }
        Ok(consumed.map(|consumed| (slot, consumed)))
    }

    /// Moves nearer what stands behind a slot that was left, so that whoever looks for it is not
    /// stopped by the gap (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
    fn close_gap(&mut self, gap: u32) -> Result<(), LimitError> {
        let size = self.slab.size();
        let distance = |from: u32, to: u32| to.wrapping_sub(from) & (size - 1);
        let (mut gap, mut slot) = (gap, next(gap, size));
        while let Some(tag) = self.slab.cell(slot)?.tag() {
            if distance(home(tag, size), slot) >= distance(gap, slot) {
                self.slab.cell(slot)?.move_to(self.slab.cell(gap)?);
                gap = slot;
            }
            slot = next(slot, size);
        }
        self.room.len -= 1;
        Ok(())
    }
}
