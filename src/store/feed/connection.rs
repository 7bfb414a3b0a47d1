//! A connection that is made again whenever it has broken.

use std::future::Future;
use std::pin::Pin;

use tokio::time::sleep;

use super::{Backoff, Heard};
use crate::store::StoreError;

/// A connection that listens.
pub(in crate::store) trait Line: Send + 'static {
    /// The next message. Dropped while it waits, it loses none.
    fn next(&mut self) -> impl Future<Output = Result<Heard, StoreError>> + Send;
}

type Dialing<L> = Pin<Box<dyn Future<Output = Result<L, StoreError>> + Send>>;

/// The line on which a feed listens, and the next one when that has broken.
pub(in crate::store) struct Connection<L> {
    dial: Box<dyn Fn() -> Dialing<L> + Send>,
    backoff: Backoff,
    state: State<L>,
}

enum State<L> {
    /// Waits, then connects.
    Dialing(Dialing<L>),
    Listening(L),
}

impl<L: Line> Connection<L> {
    /// One that `dial` makes, when it is first asked.
    pub(in crate::store) fn new<F>(dial: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<L, StoreError>> + Send + 'static,
    {
        let dial = Box::new(move || Box::pin(dial()) as Dialing<L>);
        let state = State::Dialing(dial());
        Self { dial, backoff: Backoff::default(), state }
    }

    /// The next message. An error is told once; the next call waits, and connects again.
    pub(in crate::store) async fn next(&mut self) -> Result<Heard, StoreError> {
        let heard = self.hear().await;
        match &heard {
            Ok(Heard::Alive { .. }) => self.backoff.reset(),
            Ok(_) => {}
            Err(_) => self.redial(),
        }
        heard
    }

    /// Dropped, it loses nothing: all that waits is in the state.
    async fn hear(&mut self) -> Result<Heard, StoreError> {
        loop {
            match &mut self.state {
                State::Dialing(dialing) => self.state = State::Listening(dialing.await?),
                State::Listening(line) => return line.next().await,
            }
        }
    }

    fn redial(&mut self) {
        let (wait, dialing) = (self.backoff.wait(), (self.dial)());
        self.state = State::Dialing(Box::pin(async move {
            sleep(wait).await;
            dialing.await
        }));
    }
}

impl<L> Connection<L> {
    pub(in crate::store) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }
}
