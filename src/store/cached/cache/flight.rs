//! One question to the store, and all who wait for its answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use super::super::sync::Mutex;
use super::Answer;

/// A question that is under way, or has ended.
pub(super) struct Flight<V, E>(Mutex<State<V, E>>);

struct State<V, E> {
    end: Option<End<V, E>>,
    /// By ticket, so that whoever gives up takes its waker along.
    waiting: BTreeMap<u64, Waker>,
    tickets: u64,
}

/// How a flight ended.
pub(super) enum End<V, E> {
    /// With an answer, which is good until a moment for those who came after it was asked.
    Landed { answer: Answer<V, E>, until: u64 },
    /// Whoever led it is gone.
    Abandoned,
}

impl<V: Clone, E> Clone for End<V, E> {
    fn clone(&self) -> Self {
        match self {
            Self::Landed { answer, until } => {
                Self::Landed { answer: answer.clone(), until: *until }
            }
            Self::Abandoned => Self::Abandoned,
        }
    }
}

impl<V: Clone, E> Flight<V, E> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { end: None, waiting: BTreeMap::new(), tickets: 0 }))
    }

    /// Ends the flight and wakes all who wait. Only the first end counts.
    pub(super) fn end(&self, end: End<V, E>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.end.get_or_insert(end);
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    /// Waits for the end.
    pub(super) fn ended(&self) -> Ended<'_, V, E> {
        Ended { flight: self, ticket: None }
    }
}

pub(super) struct Ended<'f, V, E> {
    flight: &'f Flight<V, E>,
    ticket: Option<u64>,
}

impl<V: Clone, E> Future for Ended<'_, V, E> {
    type Output = End<V, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End<V, E>> {
        let mut state = self.flight.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = &state.end {
            return Poll::Ready(end.clone());
        }
        let ticket = self.ticket.unwrap_or(state.tickets);
        state.tickets = state.tickets.max(ticket + 1);
        state.waiting.insert(ticket, cx.waker().clone());
        drop(state);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl<V, E> Drop for Ended<'_, V, E> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.flight.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.waiting.remove(&ticket);
        }
    }
}
