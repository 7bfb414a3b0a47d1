//! What is done beside the requests: idle slices are given back, and what was spent is told.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::link::Link;
use super::script::{Call, replies};
use super::slot::Due;
use super::slots::Slots;

const PAUSE: Duration = Duration::from_millis(100);
/// Looking through the slots takes at most one part in so many of a processor's time.
const EFFORT: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A slice that is on its way arrives about so soon.
const ARRIVAL: Duration = Duration::from_millis(2);
/// How many counts one script settles; the server does nothing else meanwhile.
const AT_ONCE: usize = 64;

/// The slots of all limits that are counted on a server.
#[derive(Debug, Default)]
pub(super) struct Keeper(Mutex<Vec<Weak<Slots>>>);

impl Keeper {
    pub(super) fn add(&self, slots: &Arc<Slots>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|slots| slots.strong_count() > 0);
        all.push(Arc::downgrade(slots));
    }

    fn all(&self) -> Vec<Arc<Slots>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Tells the server all that there is to tell; what is on its way is waited for.
    pub(super) async fn release(&self, link: &Arc<Link>) {
        let end = Instant::now() + link.leisure();
        loop {
            let in_flight = self.all().iter().any(|slots| slots.are_in_flight());
            let more_to_come = in_flight || link.is_telling();
            self.settle(link, true).await;
            if !more_to_come || Instant::now() >= end {
                return;
            }
            sleep(ARRIVAL).await;
        }
    }

    /// Tells the server whatever is due, or all that there is to tell.
    pub(super) async fn settle(&self, link: &Arc<Link>, at_once: bool) {
        if link.circuit.is_open() {
            return;
        }
        let now = link.now();
        let mut due: Vec<_> =
            self.all().iter().flat_map(|slots| slots.settle(now, at_once)).collect();
        due.sort_by_key(|due| due.slot.key.tag);
        let is_one_call =
            |one: &Due, other: &Due| !link.is_cluster || one.slot.key.tag == other.slot.key.tag;
        for group in due.chunk_by_mut(is_one_call) {
            for some in group.chunks_mut(AT_ONCE) {
                tell(link, some).await;
            }
        }
    }
}

/// Does what is due for as long as anybody uses the server.
pub(super) async fn keep(link: Weak<Link>, keeper: Weak<Keeper>) {
    let mut pause = PAUSE;
    loop {
        sleep(pause).await;
        let (Some(link), Some(keeper)) = (link.upgrade(), keeper.upgrade()) else { return };
        let begun = Instant::now();
        keeper.settle(&link, false).await;
        pause = PAUSE.max(begun.elapsed() * EFFORT).min(LONGEST_PAUSE);
    }
}

async fn tell(link: &Arc<Link>, some: &mut [Due]) {
    let asked = link.now();
    let call = Call::slice(some.iter().map(|due| (&due.slot.key, due.slot.quota, due.question)));
    let answer = link.call(&call, Instant::now() + link.leisure()).await.ok();
    let replies = answer.and_then(|answer| replies(&answer, some.len())).unwrap_or_default();
    for (due, reply) in some.iter_mut().zip(replies) {
        link.counts.given_back.add(due.question.back);
        due.land(Some((due.question, reply, asked)), link.now());
    }
}
