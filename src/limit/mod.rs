//! May it do this now?
//!
//! A [`Quota`] says how much in how long, a [`Limit`] who shares it, a [`Standing`] where a caller
//! stands; [`FailureBudget`] bounds what those may try whose credentials are refused, and
//! [`Concurrency`] how many requests run at a time. What a request costs may be told when it has
//! been served ([`Reservation`]), and [`Plans`] change while the service runs. A request is counted
//! by all limits of its gate or by none. Everything is counted in memory, in one process, in
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
//! let billed = Limit::per_tenant(Quota::per_calendar_month(500_000)?).name("monthly")?;
//! # let _ = (minute, day, billed);
//! # Ok::<(), keygate::ConfigError>(())
//! ```

mod algorithm;
mod calendar;
mod caller;
mod cell;
mod concurrency;
mod definition;
mod failures;
mod hash_key;
mod identity;
mod latch;
mod limits;
mod plans;
mod quota;
mod reach;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg_attr(not(feature = "redis"), path = "remote_off.rs")]
mod remote;
mod reservation;
mod rough;
mod running;
mod shard;
mod single;
mod slab;
mod standing;
mod sync;
mod table;
mod undo;

#[cfg(test)]
mod tests;

pub use caller::Caller;
pub use concurrency::{Concurrency, Permits};
pub use definition::Limit;
pub use failures::FailureBudget;
pub use plans::Plans;
pub use quota::{Algorithm, Quota};
pub use reservation::Reservation;
pub use standing::{LimitName, Standing, Standings};

pub(crate) use concurrency::{Busy, Concurrencies};
pub(crate) use limits::{Limits, Verdict};
pub(crate) use remote::{CountError, Counted, Pending};
