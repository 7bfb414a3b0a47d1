//! What is tried: gates, each with a limit of its own.

use std::time::Duration;

use keygate::limit::redis::{Away, RedisCounters, Shared};
use keygate::{ConfigError, Limit, Quota};

pub(crate) const NODES: usize = 4;
/// What an approximate limit may be exceeded by, in hundredths.
const PERCENT: u8 = 10;

/// How a limit is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Exact,
    Leased,
    Approximate,
}

/// How requests are spread over the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Load {
    /// A quarter each.
    Even,
    /// 85, 10, 4 and 1 of a hundred.
    Skewed,
    /// One node after the other gets everything, ten times in a window.
    Bursting,
}

/// What becomes of requests while Redis is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Without {
    Refuse,
    Share,
}

/// How long a node waits for Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as no machine is too busy for: that it is busy is no fault of a limit.
    Ample,
    /// 10 ms.
    Usual,
}

/// How a node reaches Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Straight,
    /// Through what can be made slow.
    Proxy,
    /// Not at all: it counts in its own memory.
    None,
}

/// A gate on all nodes, with counters of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    pub(crate) mode: Mode,
    pub(crate) load: Load,
    pub(crate) limit: u64,
    /// Seconds.
    pub(crate) window: u64,
    /// Requests in a window.
    pub(crate) demand: u64,
    pub(crate) without: Without,
    pub(crate) patience: Patience,
    pub(crate) way: Way,
}

pub(crate) const MODES: [Mode; 3] = [Mode::Exact, Mode::Leased, Mode::Approximate];
pub(crate) const LOADS: [Load; 3] = [Load::Even, Load::Skewed, Load::Bursting];
/// Seconds, the limit, and the requests in each: enough that all of a limit can be used by any load.
pub(crate) const WINDOWS: [(u64, u64, u64); 3] =
    [(1, 500, 3_000), (10, 1_000, 3_000), (60, 1_500, 3_000)];

/// Seconds of a window in the trials of faults.
pub(crate) const WINDOW: u64 = 5;

/// Of the trials of windows.
pub(crate) fn calm(mode: Mode, load: Load, (window, limit, demand): (u64, u64, u64)) -> Gate {
    let (without, patience, way) = (Without::Refuse, Patience::Ample, Way::Straight);
    Gate { mode, load, limit, window, demand, without, patience, way }
}

/// Leased, and never used up: what is held when a window ends must not be spent in the next.
pub(crate) fn spare() -> Gate {
    calm(Mode::Leased, Load::Even, (1, 10_000, 3_000))
}

/// Of the trials of faults.
pub(crate) fn faulty(mode: Mode, without: Without, way: Way) -> Gate {
    let (load, limit, window, demand) = (Load::Even, 500, WINDOW, 1_000);
    Gate { mode, load, limit, window, demand, without, patience: Patience::Usual, way }
}

/// All gates of a node.
pub(crate) fn all() -> impl Iterator<Item = Gate> {
    let each = MODES.into_iter().flat_map(|mode| LOADS.map(|load| (mode, load)));
    let calm = each.flat_map(|(mode, load)| WINDOWS.map(|window| calm(mode, load, window)));
    let faulty = [Way::Straight, Way::Proxy].into_iter().flat_map(faulty_by);
    calm.chain(faulty).chain([spare(), in_memory()])
}

/// What is measured beside the trials of faults: what it feels is the machine's doing.
pub(crate) fn in_memory() -> Gate {
    faulty(Mode::Exact, Without::Refuse, Way::None)
}

/// Those of the trials of faults that reach Redis by `way`.
pub(crate) fn faulty_by(way: Way) -> impl Iterator<Item = Gate> {
    let each = [Without::Refuse, Without::Share].into_iter();
    each.flat_map(move |without| MODES.map(|mode| faulty(mode, without, way)))
}

impl Gate {
    /// Its path, and the prefix of its counters.
    pub(crate) fn name(&self) -> String {
        let Self { mode, load, limit, window, without, way, .. } = self;
        format!("{mode:?}-{load:?}-{limit}-{window}-{without:?}-{way:?}").to_lowercase()
    }

    pub(crate) fn quota(&self) -> Result<Quota, ConfigError> {
        Quota::new(self.limit, Duration::from_secs(self.window))
    }

    /// Counted on the server at `url`.
    pub(crate) fn counters(&self, url: &str) -> Result<RedisCounters, ConfigError> {
        let setup = RedisCounters::at(url)?.prefix(format!("{}:", self.name()))?;
        Ok(match self.patience {
            Patience::Ample => setup.patience(Duration::from_secs(2))?.start(),
            Patience::Usual => setup.start(),
        })
    }

    pub(crate) fn shared(&self, redis: &RedisCounters) -> Result<Shared, ConfigError> {
        let shared = match self.mode {
            Mode::Exact => redis.exact(),
            Mode::Leased => redis.leased(),
            Mode::Approximate => redis.approximate(NODES as u32, PERCENT)?,
        };
        Ok(match self.without {
            Without::Refuse => shared.when_away(Away::Refuse),
            Without::Share => shared.when_away(Away::Share { nodes: NODES as u32 }),
        })
    }

    pub(crate) fn counted(&self, redis: &RedisCounters) -> Result<Limit, ConfigError> {
        let limit = Limit::per_tenant(self.quota()?);
        Ok(match self.way {
            Way::None => limit,
            Way::Straight | Way::Proxy => limit.shared(self.shared(redis)?),
        })
    }

    /// By how much the limit may be exceeded, as the configuration itself says.
    pub(crate) fn overshoot(&self, redis: &RedisCounters) -> Result<u64, ConfigError> {
        Ok(self.shared(redis)?.overshoot(&self.quota()?))
    }

    /// Requests in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.demand as f64 / self.window as f64
    }
}

impl Load {
    /// The node of the request number `n`, when this part of the window has passed.
    pub(crate) fn node(self, n: u64, passed: f64) -> usize {
        match (self, n.wrapping_mul(37) % 100) {
            (Self::Even, _) => (n % NODES as u64) as usize,
            (Self::Skewed, 0..85) => 0,
            (Self::Skewed, 85..95) => 1,
            (Self::Skewed, 95..99) => 2,
            (Self::Skewed, _) => 3,
            (Self::Bursting, _) => (passed * 10.0) as usize % NODES,
        }
    }
}
