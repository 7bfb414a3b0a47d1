//! What is on its way to a store.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Writes under way, by number.
#[derive(Debug, Default)]
pub(super) struct Writes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    begun: u64,
    under_way: BTreeSet<u64>,
    given_up: u64,
    waiting: Vec<Waker>,
}

impl Writes {
    /// A write begins: before what it writes is taken from where others look for it.
    pub(super) fn begin(&self) -> u64 {
        let mut state = self.lock();
        state.begun += 1;
        let number = state.begun;
        state.under_way.insert(number);
        number
    }

    /// A write has ended: after what it did not write is back.
    pub(super) fn end(&self, number: u64, is_given_up: bool) {
        let mut state = self.lock();
        state.under_way.remove(&number);
        state.given_up += u64::from(is_given_up);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many writes were given up, in whole or in part.
    pub(super) fn given_up(&self) -> u64 {
        self.lock().given_up
    }

    /// Waits for the end of all that has begun until now.
    pub(super) async fn ended(&self) {
        let last = self.lock().begun;
        poll_fn(|cx| self.poll(cx, last)).await;
    }

    fn poll(&self, cx: &Context<'_>, last: u64) -> Poll<()> {
        let mut state = self.lock();
        if state.under_way.first().is_none_or(|first| *first > last) {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// A panic elsewhere leaves numbers and a list, all of them whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
