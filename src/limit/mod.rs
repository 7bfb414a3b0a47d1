//! May it do this now?
//!
//! A [`Quota`] says how much in how long, a [`Limit`] who shares it, a [`Standing`] where a caller
//! stands; [`FailureBudget`] bounds what those may try whose credentials are refused. A request is
//! counted by all limits of its gate or by none. Everything is counted in memory, in one process, in
//! nanoseconds, and nothing runs in the background, unless a limit is shared by many machines: the
//! feature `redis` brings `limit::redis`.
//!
//! ```
//! use keygate::{Limit, Quota};
//!
//! let minute = Limit::per_tenant(Quota::per_minute(1_000)?);
//! let day = Limit::per_tenant(Quota::per_day(50_000)?)
//!     .plan("enterprise", Quota::per_day(1_000_000)?)
//!     .name("daily")?;
//! # let _ = (minute, day);
//! # Ok::<(), keygate::ConfigError>(())
//! ```

mod algorithm;
mod caller;
mod cell;
mod definition;
mod failures;
mod identity;
mod limits;
mod quota;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg_attr(not(feature = "redis"), path = "remote_off.rs")]
mod remote;
mod seats;
mod standing;
mod table;
#[cfg(feature = "redis")]
mod undo;

#[cfg(test)]
mod tests;

pub use caller::Caller;
pub use definition::Limit;
pub use failures::FailureBudget;
pub use quota::{Algorithm, Quota};
pub use standing::{LimitName, Standing, Standings};

pub(crate) use limits::{Limits, Verdict};
pub(crate) use remote::{CountError, Counted, Pending};
pub(crate) use seats::Seats;
