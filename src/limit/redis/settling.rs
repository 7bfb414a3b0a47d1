//! What a request has reserved where many machines count, to be settled with what it has cost.

use std::sync::Arc;

use super::grant::{self, Entry};
use super::link::Link;
use super::script::{Call, Rest};
use super::slice::Terms;
use super::slot::Slot;

/// What all limits of a request hold that many machines share.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    slices: Vec<HeldSlice>,
    on_servers: Vec<(Arc<Link>, Vec<Entry>)>,
}

/// What was reserved of a node's own slice.
#[derive(Debug)]
pub(super) struct HeldSlice {
    pub(super) slot: Arc<Slot>,
    pub(super) link: Arc<Link>,
    /// The server's window.
    pub(super) number: u64,
    pub(super) cost: u64,
}

impl Settling {
    pub(super) fn hold_slice(&mut self, slice: HeldSlice) {
        self.slices.push(slice);
    }

    pub(super) fn hold_on_server(&mut self, (link, entries): (Arc<Link>, Vec<Entry>)) {
        if !entries.is_empty() {
            self.on_servers.push((link, entries));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slices.is_empty() && self.on_servers.is_empty()
    }

    /// What was reserved, by each limit.
    pub(crate) fn costs(&self) -> impl Iterator<Item = u64> {
        let entries = self.on_servers.iter().flat_map(|(_, entries)| entries);
        let slices = self.slices.iter().map(|slice| slice.cost);
        slices.chain(entries.map(|entry| entry.cost))
    }

    /// The request has cost `cost`. Waits for nothing: servers are told by a task.
    pub(crate) fn settle(&self, cost: u64) {
        self.slices.iter().for_each(|slice| slice.settle(cost));
        for (link, entries) in &self.on_servers {
            grant::settle(link, entries, cost);
        }
    }
}

impl HeldSlice {
    /// A slot that can't be used lends to nobody any more: nothing is owed to it.
    fn settle(&self, cost: u64) {
        let Self { slot, link, number, cost: held } = self;
        let Ok(mut state) = slot.lock() else { return };
        if cost <= *held {
            return state.slice.refund(slot.terms, *number, held - cost);
        }
        let missing = state.slice.take_up_to(slot.terms, link.now(), cost - held);
        drop(state);
        if missing > 0 {
            let rest = Rest { more: missing, ..Rest::default() };
            link.tell(Call::settle([(&slot.key, slot.quota, rest)]));
        } else if matches!(slot.terms, Terms::Ahead { .. }) && !link.circuit.is_open() {
            // What was spent beyond all estimates is told at once.
            let _ = slot.renew(link, 0);
        }
    }
}
