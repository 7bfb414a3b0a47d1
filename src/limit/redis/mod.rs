//! Limits that many machines share, counted on a Redis server.

mod circuit;
mod counters;
mod counting;
mod keeper;
mod key;
mod link;
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
