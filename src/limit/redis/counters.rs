//! A server that counts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::Client;
use redis::aio::{ConnectionLike, ConnectionManagerConfig};
use tokio::runtime::Handle;

use super::circuit::Circuit;
use super::keeper::{self, Keeper};
use super::key::check_prefix;
use super::link::{Connection, Link};
use super::permits::SharedPermits;
use super::shared::{Mode, Shared};
use super::stats::{Counts, RedisStats};
use crate::{Clock, ConfigError, SystemClock};

const PATIENCE: Duration = Duration::from_millis(10);
const PATIENCES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(10));
const PREFIX: &str = "keygate:";
/// Between two attempts to connect again, at most.
const RECONNECT: Duration = Duration::from_secs(1);

/// Counts on a Redis server (6 or newer, or Valkey), shared by all machines that use it. Clones are
/// the same counters.
///
/// Nothing that a client sends stands in a key's name: identities are hashed. The server's clock is
/// the only one that counts. Needs tokio's runtime; a task of its own gives back idle slices, and ends
/// with the last clone.
///
/// A server that loses what it knew (a restart without persistence, a failover to a replica that
/// lagged) counts from 0: in the windows in which that happens, a caller may get its limit once more.
/// So does one that evicts keys: let `maxmemory-policy` be `noeviction`. Every key expires by itself.
#[derive(Clone)]
pub struct RedisCounters(Arc<Inner>);

struct Inner {
    link: Arc<Link>,
    keeper: Arc<Keeper>,
}

/// How [`RedisCounters`] are set up: made by [`RedisCounters::at`] and
/// [`RedisCounters::over`].
#[must_use]
pub struct RedisSetup {
    connection: Box<dyn Connection>,
    prefix: String,
    patience: Duration,
    is_cluster: bool,
    clock: Arc<dyn Clock>,
    runtime: Handle,
}

impl RedisCounters {
    /// Counts on the server at `url`, `redis://user:password@host:port/database`, with the defaults of
    /// [`RedisSetup`].
    ///
    /// The server need not be there yet: until it is, it is [away](super::Away).
    ///
    /// # Errors
    ///
    /// When the URL can't be read, or outside of tokio's runtime. No error holds the URL.
    pub fn open(url: &str) -> Result<Self, ConfigError> {
        Ok(Self::at(url)?.start())
    }

    /// Counts on the server at `url`, to be set up.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn at(url: &str) -> Result<RedisSetup, ConfigError> {
        let what = "Redis URL";
        // What the parser says of a URL may quote it, and so is not kept.
        let unusable = |_| ConfigError::unusable(what, "not a URL of a Redis server");
        let client = Client::open(url).map_err(unusable)?;
        let runtime = runtime()?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(usize::MAX)
            .set_max_delay(RECONNECT)
            .set_response_timeout(None)
            .set_connection_timeout(Some(RECONNECT));
        let _inside = runtime.enter();
        Self::over(client.get_connection_manager_lazy(config).map_err(unusable)?)
    }

    /// Counts on the server behind a connection of your own, which must connect again by itself
    /// (`redis::aio::ConnectionManager`, `redis::cluster_async::ClusterConnection`), to be set up.
    ///
    /// # Errors
    ///
    /// Outside of tokio's runtime.
    pub fn over<C>(connection: C) -> Result<RedisSetup, ConfigError>
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Ok(RedisSetup {
            connection: Box::new(connection),
            prefix: PREFIX.into(),
            patience: PATIENCE,
            is_cluster: false,
            clock: Arc::new(SystemClock::new()),
            runtime: runtime()?,
        })
    }

    /// Each request is decided by the server: one round trip for all exact limits of a request. Fixed
    /// windows, sliding windows and GCRA, as in one process.
    pub fn exact(&self) -> Shared {
        Shared::new(self, Mode::Exact)
    }

    /// The node takes slices of a window's quota and decides by itself while it has one. **The limit
    /// is never exceeded**, by all nodes together.
    ///
    /// A slice is for what the node expects to be asked for in the rest of the window, as long as that
    /// is no more than 256 or what it needs in a 24th of the window; half of what is left at most. A
    /// node that is idle gives it back, at the earliest after a 24th of the window (100 ms to 5 s).
    /// The smallest are a 400th of the limit, so that at most a hundredth is left unused by four nodes
    /// of which some are idle. A node that is killed takes its slices with it until the window ends.
    ///
    /// A tenant that sends 1,500 requests or more in a window takes one round trip for 50 requests at
    /// most: see [how much is asked](super#how-much-is-asked).
    ///
    /// A request that costs more than the node has and the server has left is refused even if other
    /// nodes have slices that would be enough together.
    ///
    /// A slice ends a millisecond before its window does, and earlier by a 2,000th of the time since
    /// the server was heard, by which clocks may have gone apart; then the server is asked. Up to
    /// 100,000 callers have slices at a time, of about 600 bytes; those beyond are exact.
    ///
    /// Slices need windows that begin anew: quotas in sliding windows, GCRA, and windows below a
    /// second are [exact](Self::exact).
    pub fn leased(&self) -> Shared {
        Shared::new(self, Mode::Leased)
    }

    /// The node decides by itself and tells the server beside. With `nodes` nodes the limit may be
    /// exceeded by `percent` of it, or by one for each node if that is more:
    /// [`Shared::overshoot`] tells the exact bound.
    ///
    /// Quotas in sliding windows, GCRA, and windows below a second are [exact](Self::exact), and so
    /// are requests that cost more than a node may spend untold.
    ///
    /// # Errors
    ///
    /// When `nodes` is 0, or `percent` not 1 to 100.
    pub fn approximate(&self, nodes: u32, percent: u8) -> Result<Shared, ConfigError> {
        Shared::approximate(self, nodes, percent)
    }

    /// What runs at a time is counted on the server: for
    /// [`Concurrency::shared`](crate::Concurrency::shared).
    pub fn permits(&self) -> SharedPermits {
        SharedPermits::new(self)
    }

    /// What has become of requests so far.
    #[must_use]
    pub fn stats(&self) -> RedisStats {
        self.0.link.counts.stats(self.0.link.circuit.is_open())
    }

    /// Gives back all slices and tells what was spent: for a node that is about to stop, when it
    /// serves no more requests. Waits for what is on its way for a second at most, or for the
    /// [patience](RedisSetup::patience) if that is longer.
    pub async fn release(&self) {
        self.0.keeper.release(&self.0.link).await;
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.0.link
    }

    pub(super) fn keeper(&self) -> &Keeper {
        &self.0.keeper
    }
}

impl RedisSetup {
    /// What the names of all keys begin with, instead of `keygate:`. Services that share a server but
    /// no limits need different ones.
    ///
    /// # Errors
    ///
    /// Unless it is at most 64 printable ASCII characters without braces.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Result<Self, ConfigError> {
        self.prefix = check_prefix(prefix.into())?;
        Ok(self)
    }

    /// How long a request waits for the server at most, 10 ms by default; after that the server is
    /// [away](super::Away) for it. After three failures in a row it is so for all, without a wait,
    /// until it answers a probe in this time: 5 ms later, then after growing pauses of up to a second.
    ///
    /// # Errors
    ///
    /// Unless it is 1 ms to 10 s.
    pub fn patience(mut self, patience: Duration) -> Result<Self, ConfigError> {
        if !(PATIENCES.0..=PATIENCES.1).contains(&patience) {
            let given = format!("{patience:?}");
            return Err(ConfigError::invalid("patience with Redis", given, "not 1 ms to 10 s"));
        }
        self.patience = patience;
        Ok(self)
    }

    /// Says that the server is a cluster, in which one script may only use keys of one slot.
    ///
    /// Counts of one tenant stay together: limits per tenant, key and subject are still decided all
    /// or none in one round trip. Where a request has limits of another identity too (an address, a
    /// text), those are asked one after the other, and what was taken is given back when a later one
    /// refuses; in between, others may be refused for it.
    pub fn cluster(mut self) -> Self {
        self.is_cluster = true;
        self
    }

    /// The clock by which a slice's age is told: its [exact](Clock::monotonic_exact) time.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The counters.
    #[must_use]
    pub fn start(self) -> RedisCounters {
        let Self { connection, prefix, patience, is_cluster, clock, runtime } = self;
        let (circuit, counts) = (Circuit::default(), Counts::default());
        let task = runtime.clone();
        let told = Arc::default();
        let link = Link {
            connection,
            circuit,
            counts,
            clock,
            runtime,
            patience,
            prefix,
            is_cluster,
            told,
        };
        let (link, keeper) = (Arc::new(link), Arc::<Keeper>::default());
        task.spawn(keeper::keep(Arc::downgrade(&link), Arc::downgrade(&keeper)));
        RedisCounters(Arc::new(Inner { link, keeper }))
    }
}

fn runtime() -> Result<Handle, ConfigError> {
    Handle::try_current()
        .map_err(|error| ConfigError::unreadable("Redis connection", "outside of tokio", error))
}

impl fmt::Debug for RedisCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisCounters").field(&self.0.link).finish()
    }
}

impl fmt::Debug for RedisSetup {
    /// Without the connection, whose address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSetup").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
