//! The way to the server, and whether it is worth taking.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::circuit::Circuit;
use super::script::Call;
use super::stats::Counts;
use crate::Clock;

/// Between two probes of a server that was given up: from, up to.
const PROBES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
/// How long the server may take at least for what no request waits for by itself.
const LEISURE: Duration = Duration::from_secs(1);

/// How long an answer is waited for by nobody's request.
const WITHIN: Duration = Duration::from_secs(1);

/// Why a server has not counted something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("Redis is given up until it answers a probe")]
    GivenUp,
    #[error("Redis has not answered in time")]
    Late,
    #[error("Redis has failed")]
    Failed(#[source] RedisError),
    #[error("Redis has answered what no script of ours does")]
    Nonsense,
    #[error(transparent)]
    Shared(Arc<Trouble>),
}

/// A connection that many may use at once.
pub(super) trait Connection: Send + Sync {
    fn send(&self, command: Cmd) -> Pin<Box<dyn Future<Output = RedisResult<Value>> + Send>>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Connection for C {
    fn send(&self, command: Cmd) -> Pin<Box<dyn Future<Output = RedisResult<Value>> + Send>> {
        let mut connection = self.clone();
        Box::pin(async move { command.query_async(&mut connection).await })
    }
}

/// A server, as all limits that are counted there see it.
pub(super) struct Link {
    pub(super) connection: Box<dyn Connection>,
    pub(super) circuit: Circuit,
    pub(super) counts: Counts,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runtime: Handle,
    /// How long a request waits at most.
    pub(super) patience: Duration,
    pub(super) prefix: String,
    /// In a cluster a script may only touch keys of one slot.
    pub(super) is_cluster: bool,
    /// One handle for each script that is under way and that no request waits for.
    pub(super) told: Arc<()>,
}

impl Link {
    /// Runs a script that no request waits for. It is tried once: a script whose answer was lost may
    /// have run, and what is given back twice would be granted twice.
    pub(super) fn tell(self: &Arc<Self>, call: Call) -> JoinHandle<bool> {
        self.runtime.spawn(self.telling(call))
    }

    /// The same, for a task of the caller's: true when the server has answered.
    pub(super) fn telling(
        self: &Arc<Self>,
        call: Call,
    ) -> impl Future<Output = bool> + Send + use<> {
        let (link, token) = (Arc::clone(self), Arc::clone(&self.told));
        async move {
            let is_told = link.call(&call, Instant::now() + WITHIN).await.is_ok();
            if !is_told {
                link.counts.unsettled.add(1);
            }
            drop(token);
            is_told
        }
    }

    /// True while a server is being [told](Self::tell) something.
    pub(super) fn is_telling(&self) -> bool {
        Arc::strong_count(&self.told) > 1
    }

    /// The node's monotonic time in nanoseconds.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.clock.monotonic_exact().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long a slice may be on its way: no less than a request that waits for it.
    pub(super) fn leisure(&self) -> Duration {
        self.patience.max(LEISURE)
    }

    /// Runs a script, in one round trip if the server knows it. What is not answered by `deadline` is
    /// given up; it may have been done nevertheless.
    pub(super) async fn call(
        self: &Arc<Self>,
        call: &Call,
        deadline: Instant,
    ) -> Result<Vec<u64>, Trouble> {
        if self.circuit.is_open() {
            return Err(Trouble::GivenUp);
        }
        let answered = timeout_at(deadline, self.run(call)).await;
        let answered = answered.map_err(|_| Trouble::Late).and_then(|answer| answer);
        match &answered {
            Ok(_) => self.circuit.succeed(),
            Err(trouble) => self.fail(trouble),
        }
        answered
    }

    async fn run(&self, call: &Call) -> Result<Vec<u64>, Trouble> {
        self.counts.round_trips.add(1);
        let answer = match self.connection.send(call.by_hash()).await {
            Err(error) if is_unknown(&error) => {
                self.counts.round_trips.add(1);
                self.connection.send(call.by_text()).await
            }
            answer => answer,
        };
        numbers(answer.map_err(Trouble::Failed)?).ok_or(Trouble::Nonsense)
    }

    /// A server that refuses a command is there; to give it up would help nobody.
    pub(super) fn fail(self: &Arc<Self>, trouble: &Trouble) {
        self.counts.failures.add(1);
        if !is_refusal(trouble) && self.circuit.fail() {
            self.counts.opened.add(1);
            self.runtime.spawn(probe(Arc::downgrade(self)));
        }
    }
}

/// Asks until the server answers as fast as requests need it.
async fn probe(link: Weak<Link>) {
    let (mut pause, longest) = PROBES;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(longest);
        let Some(link) = link.upgrade() else { return };
        let deadline = Instant::now() + link.patience;
        let answered = timeout_at(deadline, link.connection.send(redis::cmd("TIME"))).await;
        if matches!(answered, Ok(Ok(_))) {
            return link.circuit.close();
        }
    }
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn is_refusal(trouble: &Trouble) -> bool {
    use ServerErrorKind::{CrossSlot, NoPerm, ResponseError};
    match trouble {
        Trouble::Failed(error) => matches!(
            error.kind(),
            ErrorKind::Server(CrossSlot | NoPerm | ResponseError) | ErrorKind::Extension
        ),
        Trouble::Nonsense => true,
        Trouble::Shared(trouble) => is_refusal(trouble),
        Trouble::GivenUp | Trouble::Late => false,
    }
}

fn numbers(value: Value) -> Option<Vec<u64>> {
    let number = |value| match value {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    };
    match value {
        Value::Array(all) => all.into_iter().map(number).collect(),
        one => Some(vec![number(one)?]),
    }
}

impl fmt::Debug for Link {
    /// Without the connection, whose address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("prefix", &self.prefix)
            .field("patience", &self.patience)
            .field("is_cluster", &self.is_cluster)
            .field("circuit", &self.circuit)
            .finish_non_exhaustive()
    }
}
