//! How much in how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ConfigError;

const NANOS_PER_MILLI: u64 = 1_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// How a [`Quota`] is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Algorithm {
    /// Windows aligned to the Unix clock: simple to tell a client, and the cheapest. Around the end
    /// of a window up to twice the limit may pass in a short time.
    #[default]
    FixedWindow,
    /// The window before counts too, by the share of it that the last full window still covers.
    SlidingWindow,
    /// A bucket of the whole limit that fills at an even rate (the generic cell rate algorithm).
    Gcra,
    /// Windows that are the months of the Gregorian calendar, in UTC.
    CalendarMonth,
}

/// How much a caller may do in a window, and how that is counted.
///
/// The limit is 1 to [`Quota::MAX_LIMIT`], the window 1 millisecond to 366 days in whole
/// milliseconds. Serialized it reads
/// `{"limit": 500, "window_ms": 3600000, "algorithm": "fixed_window"}`; the algorithm may be left
/// out, and values out of bounds are refused. A quota per calendar month has no window to be told:
/// `{"limit": 500, "algorithm": "calendar_month"}`.
///
/// ```
/// use std::time::Duration;
/// use keygate::Quota;
///
/// let quota = Quota::new(10_000, Duration::from_secs(3_600))?.gcra();
/// assert_eq!(quota, Quota::per_hour(10_000)?.gcra());
/// assert!(Quota::per_hour(0).is_err());
///
/// let billed = Quota::per_calendar_month(1_000_000)?;
/// assert_eq!(billed.window(), Duration::from_secs(31 * 86_400));
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Quota {
    limit: u64,
    nanos: u64,
    algorithm: Algorithm,
}

impl Quota {
    /// The largest limit: 2^40 − 1, about a million million.
    pub const MAX_LIMIT: u64 = (1 << 40) - 1;

    const MIN_WINDOW: Duration = Duration::from_millis(1);
    const MAX_WINDOW: Duration = Duration::from_secs(366 * 86_400);
    const LONGEST_MONTH: Duration = Duration::from_secs(31 * 86_400);

    /// `limit` in each `window`, counted in windows aligned to the Unix clock.
    ///
    /// # Errors
    ///
    /// When the limit or the window is out of bounds, or the window no whole number of milliseconds.
    pub fn new(limit: u64, window: Duration) -> Result<Self, ConfigError> {
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            return Err(ConfigError::invalid("limit of a quota", limit, "not 1 to 2^40 - 1"));
        }
        if !(Self::MIN_WINDOW..=Self::MAX_WINDOW).contains(&window) {
            return Err(invalid_window(window, "not 1 ms to 366 days"));
        }
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        if nanos % NANOS_PER_MILLI != 0 {
            return Err(invalid_window(window, "no whole number of milliseconds"));
        }
        Ok(Self { limit, nanos, algorithm: Algorithm::FixedWindow })
    }

    /// `limit` a second.
    ///
    /// # Errors
    ///
    /// When the limit is 0 or above [`Quota::MAX_LIMIT`]; so for the four below.
    pub fn per_second(limit: u64) -> Result<Self, ConfigError> {
        Self::new(limit, Duration::from_secs(1))
    }

    /// `limit` a minute.
    ///
    /// # Errors
    ///
    /// As [`Quota::per_second`].
    pub fn per_minute(limit: u64) -> Result<Self, ConfigError> {
        Self::new(limit, Duration::from_secs(60))
    }

    /// `limit` an hour.
    ///
    /// # Errors
    ///
    /// As [`Quota::per_second`].
    pub fn per_hour(limit: u64) -> Result<Self, ConfigError> {
        Self::new(limit, Duration::from_secs(3_600))
    }

    /// `limit` a day of 24 hours, from midnight UTC when counted in fixed windows.
    ///
    /// # Errors
    ///
    /// As [`Quota::per_second`].
    pub fn per_day(limit: u64) -> Result<Self, ConfigError> {
        Self::new(limit, DAY)
    }

    /// `limit` a month of the calendar, from midnight UTC of its first day to that of the next one's.
    ///
    /// Its [`window`](Self::window) is the longest that it can be, 31 days: a client that spreads the
    /// limit over it is never too fast. [Sliding](Self::sliding) or as a [bucket](Self::gcra) there
    /// is no calendar to keep to, and the window is those 31 days.
    ///
    /// # Errors
    ///
    /// As [`Quota::per_second`].
    pub fn per_calendar_month(limit: u64) -> Result<Self, ConfigError> {
        let quota = Self::new(limit, Self::LONGEST_MONTH)?;
        Ok(Self { algorithm: Algorithm::CalendarMonth, ..quota })
    }

    /// The same quota in a sliding window.
    #[must_use]
    pub const fn sliding(mut self) -> Self {
        self.algorithm = Algorithm::SlidingWindow;
        self
    }

    /// The same quota as a bucket that fills evenly: the whole limit at once, then one permit each
    /// `window / limit`.
    #[must_use]
    pub const fn gcra(mut self) -> Self {
        self.algorithm = Algorithm::Gcra;
        self
    }

    /// How much in a window.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The window; of a calendar month the longest that it can be, 31 days.
    pub const fn window(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// How it is counted.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The same with another limit, which is one that was checked.
    #[cfg(feature = "redis")]
    pub(super) const fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// A number for hashing: equal for equal quotas, and rarely for others.
    #[inline]
    pub(super) const fn mixed(&self) -> u64 {
        let window = self.nanos ^ (self.algorithm as u64).rotate_right(2);
        // Odd numbers without a pattern: the golden ratio's, and one of SplitMix64's.
        let limit = self.limit.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        limit ^ window.wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }

    /// The same, of which the compiler knows by what it counts.
    #[inline(always)]
    pub(super) const fn by(&self, algorithm: Algorithm) -> Self {
        Self { limit: self.limit, nanos: self.nanos, algorithm }
    }

    pub(super) const fn nanos(&self) -> u64 {
        self.nanos
    }

    pub(super) const fn millis(&self) -> u64 {
        self.nanos / NANOS_PER_MILLI
    }
}

fn invalid_window(window: Duration, reason: &'static str) -> ConfigError {
    ConfigError::invalid("window of a quota", format!("{window:?}"), reason)
}

/// The form in which a store keeps a quota.
#[derive(Serialize, Deserialize)]
struct Written {
    limit: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window_ms: Option<u64>,
    #[serde(default)]
    algorithm: Algorithm,
}

impl TryFrom<Written> for Quota {
    type Error = ConfigError;

    fn try_from(written: Written) -> Result<Self, ConfigError> {
        let quota = match (written.algorithm, written.window_ms) {
            (Algorithm::CalendarMonth, None) => Self::per_calendar_month(written.limit)?,
            (Algorithm::CalendarMonth, Some(millis)) => {
                let reason = "a calendar month has its own";
                return Err(invalid_window(Duration::from_millis(millis), reason));
            }
            (_, Some(millis)) => Self::new(written.limit, Duration::from_millis(millis))?,
            (_, None) => return Err(ConfigError::invalid("window of a quota", "", "missing")),
        };
        Ok(Self { algorithm: written.algorithm, ..quota })
    }
}

impl From<Quota> for Written {
    fn from(quota: Quota) -> Self {
        let is_told = quota.algorithm != Algorithm::CalendarMonth;
        let window_ms = is_told.then(|| quota.millis());
        Self { limit: quota.limit, window_ms, algorithm: quota.algorithm }
    }
}
