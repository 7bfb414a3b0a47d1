//! Limits that many machines share, counted on a Redis server.
//!
//! | mode | asks the server | admits in a window |
//! | --- | --- | --- |
//! | [exact](RedisCounters::exact) | for each request | the limit |
//! | [leased](RedisCounters::leased) | for a slice of the limit, before it is spent | never more than the limit; what is in slices of nodes that die is lost to it |
//! | [approximate](RedisCounters::approximate) | beside the requests, after they were let in | at most [`Shared::overshoot`] more |
//!
//! All windows are the server's, told by its clock. A node's wall clock never matters; its monotonic
//! clock measures how long a slice is good, from before it was asked for. `Remaining` and `Reset`
//! mean the same in every mode: inside a window of a fixed-window quota, what one node tells a caller
//! to be left never grows, and `Reset` is the end of the server's window.
//!
//! A request that has several limits is counted by all of them or by none, wherever they are counted.
//! What this process can decide it decides first, and does not ask the server for a request that it
//! refuses itself; such an answer says nothing of the limits that were not asked. All limits that one
//! server decides are one script and one round trip.
//!
//! # How much is asked
//!
//! Leased, four nodes, one tenant that sends 1.25 to 10 times its limit, evenly, skewed (85, 10, 4 and
//! 1 of a hundred), or in bursts that move from node to node; in a model with a round trip of a
//! millisecond and windows of 1 s, 10 s and 60 s, all of the limit was used:
//!
//! | limit | requests for each round trip |
//! | ---: | ---: |
//! | 1,000 | 9 to 220 |
//! | 10,000 | 78 to 1,800 |
//! | 100,000 | 770 to 17,000 |
//!
//! Slices of a small limit are a few requests, or idle nodes would keep too much of it.
//!
//! # When the server is away
//!
//! No answer within the [patience](RedisSetup::patience) of 10 ms, or none at all: then each limit
//! decides as [`Away`] says. Slices in hand are spent before. After three failures in a row nobody
//! asks any more, until a probe beside the requests is answered; so a server that is away costs no
//! request more than 10 ms, and few any. [`RedisStats`] counts every case.
//!
//! | fault | exact | leased | approximate |
//! | --- | --- | --- | --- |
//! | killed, frozen | [`Away`] | slices in hand, then [`Away`] | what is left of a batch, then [`Away`] |
//! | back without what it knew | one more limit at most, in that window | the same | the same, and the overshoot |
//! | slower than the patience | [`Away`] | slices that come late are spent, else [`Away`] | [`Away`] after a batch |
//! | a node is killed | nothing | its slices are lost until the window ends | up to a batch of it is not counted |
//!
//! ```no_run
//! # async fn example() -> Result<(), keygate::ConfigError> {
//! use keygate::limit::redis::{Away, RedisCounters};
//! use keygate::store::MemoryStore;
//! use keygate::{AuthLayer, Limit, Quota};
//!
//! let redis = RedisCounters::open("redis://localhost/")?;
//! let minute = Limit::per_tenant(Quota::per_minute(10_000)?)
//!     .shared(redis.leased().when_away(Away::Share { nodes: 4 }));
//! let gate = AuthLayer::new(MemoryStore::new()).limit(minute)?;
//! # let _ = gate;
//! # Ok(())
//! # }
//! ```

mod circuit;
mod counters;
mod counting;
mod keeper;
mod key;
mod link;
mod pace;
mod part;
mod script;
mod shared;
mod slice;
mod slot;
mod slots;
mod stats;

pub use counters::{RedisCounters, RedisSetup};
pub use shared::{Away, Shared};
pub use stats::RedisStats;

pub(crate) use counting::{CountError, Counted, Counting, Pending};
pub(crate) use part::Part;
pub(crate) use shared::Counter;

#[cfg(test)]
mod tests;
