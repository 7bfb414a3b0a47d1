//! Whoever asks the store, for itself and for all who come meanwhile.

use std::future::Future;
use std::sync::Arc;

use super::flight::{End, Flight};
use super::shard::{Landing, Settled};
use super::{Answer, Asked, Core, Digest, Failure, Fetched, Value};

/// How often a store is asked that answers with what was before an announcement. Once is enough for
/// a question that an announcement has overtaken; more is patience with a replica.
const ATTEMPTS: usize = 3;

/// The right and the duty to end a flight. Dropped before that, it lets another lead.
pub(super) struct Lead<'c, V: Value, E> {
    core: &'c Core<V, E>,
    digest: Digest,
    hash: u64,
    asked: Asked,
    flight: Arc<Flight<V, E>>,
    landed: bool,
}

impl<'c, V: Value, E> Lead<'c, V, E> {
    pub(super) fn new(
        core: &'c Core<V, E>,
        digest: Digest,
        hash: u64,
        asked: Asked,
        flight: Arc<Flight<V, E>>,
    ) -> Self {
        Self { core, digest, hash, asked, flight, landed: false }
    }

    /// Asks, and ends the flight with the answer.
    pub(super) async fn ask<F>(self, now: &impl Fn() -> u64, fetch: impl Fn() -> F) -> Answer<V, E>
    where
        F: Future<Output = Result<Fetched<V>, E>>,
    {
        for _ in 0..ATTEMPTS {
            // What the store says is as old as the question may be.
            let born = now();
            match fetch().await {
                Err(error) => return self.fail(Failure::Store(Arc::new(error))),
                Ok(fetched) => {
                    if let Some(until) = self.settle(&fetched, born)? {
                        return self.land(Ok(fetched.found), until);
                    }
                }
            }
        }
        self.fail(Failure::Behind)
    }

    /// Until when others may believe the answer; `None` if nobody may.
    fn settle(&self, fetched: &Fetched<V>, born: u64) -> Result<Option<u64>, Failure<E>> {
        let landing = Landing {
            digest: &self.digest,
            hash: self.hash,
            flight: &self.flight,
            answer: fetched,
            asked: self.asked,
            born,
        };
        let shard = self.core.shard(self.hash);
        let settled = shard.with(|table| table.settle(&self.core.entries, &landing))?;
        self.count(&settled);
        Ok(match settled {
            Settled::Kept { .. } => Some(born.saturating_add(fetched.fresh)),
            Settled::Unkept => Some(0),
            Settled::Outdated => None,
        })
    }

    fn count(&self, settled: &Settled) {
        self.core.counts.fills.add();
        if matches!(settled, Settled::Kept { evicted: true }) {
            self.core.counts.evictions.add();
        }
    }

    fn fail(self, failure: Failure<E>) -> Answer<V, E> {
        self.core.counts.failures.add();
        self.release();
        self.land(Err(failure), 0)
    }

    fn land(mut self, answer: Answer<V, E>, until: u64) -> Answer<V, E> {
        self.landed = true;
        self.flight.end(End::Landed { answer: answer.clone(), until });
        answer
    }

    fn release(&self) {
        // After a panic there is nobody left who would join.
        let shard = self.core.shard(self.hash);
        let _ = shard.purge(|table| {
            table.release(&self.digest, &self.flight);
        });
    }
}

impl<V: Value, E> Drop for Lead<'_, V, E> {
    fn drop(&mut self) {
        if !self.landed {
            self.release();
            self.flight.end(End::Abandoned);
        }
    }
}
