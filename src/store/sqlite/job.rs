//! Work on another thread that ends when nobody waits for it any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, InterruptHandle};

use crate::store::StoreError;

/// What the thread that works knows of who waits.
#[derive(Clone, Default)]
pub(super) struct Job(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    unwanted: bool,
    /// There while the work goes on: a connection that serves somebody else by then must not be
    /// interrupted.
    interrupt: Option<InterruptHandle>,
}

/// Interrupts the work when it is dropped before it is over.
pub(super) struct Waiting(Option<Job>);

/// Ends the time in which the work may be interrupted.
pub(super) struct Running<'a>(&'a Job);

impl Job {
    pub(super) fn waiting(&self) -> Waiting {
        Waiting(Some(self.clone()))
    }

    pub(super) fn runs_on(&self, connection: &Connection) -> Running<'_> {
        self.state().interrupt = Some(connection.get_interrupt_handle());
        Running(self)
    }

    /// A write of which nobody would learn is not made.
    pub(super) fn is_wanted(&self) -> Result<(), StoreError> {
        match self.state().unwanted {
            true => Err(StoreError::unavailable("nobody waits for the write any more")),
            false => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    pub(super) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(job) = self.0.take() else { return };
        let mut state = job.state();
        state.unwanted = true;
        state.interrupt.as_ref().into_iter().for_each(InterruptHandle::interrupt);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().interrupt = None;
    }
}
