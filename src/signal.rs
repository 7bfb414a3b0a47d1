//! Wakes a task that works behind the requests, whatever runtime it is on.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Says that there is work, or that there will be none any more.
#[derive(Debug, Default)]
pub(crate) struct Signal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    raised: bool,
    closed: bool,
    waiting: Vec<Waker>,
}

impl Signal {
    /// There is work.
    pub(crate) fn raise(&self) {
        self.change(|state| state.raised = true);
    }

    /// There will be no more work.
    pub(crate) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for work, or for the end of it.
    pub(crate) async fn raised(&self) {
        poll_fn(|cx| self.poll(cx, |state| std::mem::take(&mut state.raised))).await;
    }

    /// Waits for `pause` or for the end of the work, whichever comes first.
    pub(crate) async fn closed_or(&self, pause: impl Future<Output = ()>) {
        self.ready_or(|_| false, pause).await;
    }

    /// Waits for `pause`, for work or for the end of it, whichever comes first.
    pub(crate) async fn raised_or(&self, pause: impl Future<Output = ()>) {
        self.ready_or(|state| std::mem::take(&mut state.raised), pause).await;
    }

    async fn ready_or(&self, ready: fn(&mut State) -> bool, pause: impl Future<Output = ()>) {
        let mut pause = pin!(pause);
        poll_fn(|cx| match self.poll(cx, ready) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => pause.as_mut().poll(cx),
        })
        .await;
    }

    fn poll(&self, cx: &mut Context<'_>, ready: impl Fn(&mut State) -> bool) -> Poll<()> {
        let mut state = self.lock();
        if ready(&mut state) || state.closed {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Wakers are called when the lock is free: they may run anything.
    fn change(&self, change: impl Fn(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// A panic elsewhere leaves two flags and a list, all of them whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
