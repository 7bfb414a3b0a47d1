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
//! to be left never grows, except by what [estimates](#estimates) give back, and `Reset` is the end of
//! the server's window.
//!
//! A request that has several limits is counted by all of them or by none, wherever they are counted.
//! What this process can decide it decides first, and does not ask the server for a request that it
//! refuses itself; such an answer says nothing of the limits that were not asked. All limits that one
//! server decides are one script and one round trip.
//!
//! # How much is asked
//!
//! A leased limit takes **at most one round trip for 50 requests of a tenant that sends 1,500 or more
//! in a window**, whatever the limit; 2,500 if all of them move from node to node ten times in the
//! window. Refused requests count, and the round trips of background work do too. That is for four
//! nodes and windows of a second or longer that are all alike; in the first window in which a node
//! sees a tenant it knows nothing of the load.
//!
//! It holds because a window takes about 35 round trips of four nodes at most (50 with such bursts),
//! and more only where slices hold hundreds of requests: a slice is for what the node expects to be
//! asked for in the rest of the window, and up to half of what is left. Below 1,500 requests no more
//! than those round trips are to be had for less: each node has to ask once to begin and once to
//! learn that nothing is left, which is 8 for the four; halving what is left until a hundredth of it
//! is takes 7 slices; and nodes of which one gets a hundredth of the load must not hold a quarter of
//! the limit each. A node that knows the window to be used up asks again when others may have given
//! back what they had: after an eighth of the window (30 s at most) and then after pauses that double,
//! or after 1,000 refusals.
//!
//! In a model with a round trip of a millisecond, windows of 1 s, 10 s and 60 s, and one tenant that
//! sends 1.25 to 10 times its limit, evenly, skewed (85, 10, 4 and 1 of a hundred), or in bursts that
//! move from node to node, at least 99 % of the limit was used, and there were so many requests for
//! each round trip:
//!
//! | limit | 1.25 times | twice | 3 times | 10 times |
//! | ---: | ---: | ---: | ---: | ---: |
//! | 100 | 4 to 7 | 8 to 10 | 13 to 15 | 39 to 59 |
//! | 1,000 | 29 to 65 | 62 to 87 | 97 to 130 | 320 to 440 |
//! | 10,000 | 190 to 300 | 310 to 470 | 450 to 730 | 920 to 4,000 |
//! | 100,000 | 1,100 to 1,600 | 1,800 to 3,200 | 2,700 to 6,000 | 9,000 to 40,000 |
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
//! | a node is killed | nothing | its slices are lost until the window ends: at most half of what was left, and no more than 256 or what it needs in a 24th of the window | up to a batch of it is not counted |
//!
//! # Estimates
//!
//! A limit that is [settled later](crate::Limit::settle_later) takes the estimate where it takes any
//! cost: exact limits on the server, by the script that decides, leased ones from the node's slice,
//! approximate ones ahead of the server. What was not spent goes back there, into the window that it
//! was taken from, or nowhere; what was spent besides is taken as far as the limit goes. The server is
//! told by a task, so no answer waits for it; [`RedisCounters::release`] does. A request that is
//! dropped while the server decides gets its estimate back when the answer comes.
//!
//! | fault | what becomes of an estimate |
//! | --- | --- |
//! | the server is away when it is settled | an exact one stays taken until the window ends, and what was spent besides is not taken: [`RedisStats::unsettled`] counts these. It is told once, since a script whose answer was lost may have run, and a rest that is given back twice would be granted twice. Leased and approximate ones settle in the node |
//! | a node is killed | it stays taken until the window ends, or until a bucket has leaked it |
//! | the server is back without what it knew | its rest goes back all the same: with it, that window grants one more limit at most, as without |
//!
//! A rest that goes back is granted to others, and what was spent beyond an estimate has been spent: by
//! that a limit may be exceeded, in all modes and in memory too. So let an estimate be the most that a
//! request is likely to cost.
//!
//! # What runs at a time
//!
//! A [`Concurrency`](crate::Concurrency) is [shared](crate::Concurrency::shared) too. A request that
//! runs is a permit on the server, with a [lease](SharedPermits::lease) that the node renews; it is
//! given back by name, so that telling twice or late does no harm.
//!
//! | fault | what becomes of it |
//! | --- | --- |
//! | the server is killed or frozen | new requests: [`Away`], and each node knows what it runs itself |
//! | it is back before a lease has ended | it knows what runs; what was let run meanwhile it is told within a third of a lease |
//! | it is back later, or without what it knew | it is told what runs within a third of a lease; new requests may run beside that |
//! | a node is killed | what it ran is counted until its lease ends |
//!
//! # Failed authentications
//!
//! A [`FailureBudget`](crate::FailureBudget::shared) is counted beside the answers: all nodes together
//! let at most a 16th of it for each node pass beyond it.
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
mod desk;
mod entering;
mod grant;
mod keeper;
mod key;
mod link;
mod pace;
mod part;
mod permits;
mod script;
mod settling;
mod shared;
mod slice;
mod slot;
mod slots;
mod stats;
mod tally;

pub use counters::{RedisCounters, RedisSetup};
pub use permits::SharedPermits;
pub use shared::{Away, Shared};
pub use stats::RedisStats;

pub(crate) use counting::{CountError, Counted, Counting, Pending};
pub(crate) use desk::{Desk, Permit};
pub(crate) use entering::{Turn, enter};
pub(crate) use part::Part;
pub(crate) use settling::Settling;
pub(crate) use shared::Counter;
pub(crate) use tally::Tally;

#[cfg(test)]
mod tests;
