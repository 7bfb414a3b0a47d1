//! How often a key is to be replaced by a new one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ConfigError, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

/// Replace a key every so many days, and say so some days before.
///
/// ```
/// use keygate::{RotationPolicy, Timestamp};
///
/// let policy = RotationPolicy::new(90, 7)?;
/// let issued = Timestamp::from_secs(1_767_225_600); // 2026-01-01
/// assert_eq!(policy.due(issued).as_secs(), 1_775_001_600); // 2026-04-01
/// assert_eq!(policy.notice(issued).as_secs(), 1_774_396_800); // 2026-03-25
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Days", into = "Days")]
pub struct RotationPolicy {
    every: u16,
    notice: u16,
}

/// The form that is written down.
#[derive(Serialize, Deserialize)]
struct Days {
    every_days: u16,
    notify_days_before: u16,
}

impl RotationPolicy {
    /// Every `every_days` days, with notice `notify_days_before` days before.
    ///
    /// # Errors
    ///
    /// When `every_days` is 0 or above 3,650, or the notice is not shorter than it.
    pub fn new(every_days: u16, notify_days_before: u16) -> Result<Self, ConfigError> {
        if every_days == 0 || every_days > 3650 {
            return Err(ConfigError::invalid("rotation", every_days, "not within 1 to 3650 days"));
        }
        if notify_days_before >= every_days {
            let reason = "not shorter than the time between rotations";
            return Err(ConfigError::invalid("notice of a rotation", notify_days_before, reason));
        }
        Ok(Self { every: every_days, notice: notify_days_before })
    }

    /// The days between rotations.
    pub fn every_days(self) -> u16 {
        self.every
    }

    /// The days of notice.
    pub fn notify_days_before(self) -> u16 {
        self.notice
    }

    /// When a key made at `created` is to be replaced.
    pub fn due(self, created: Timestamp) -> Timestamp {
        created.saturating_add(DAY * u32::from(self.every))
    }

    /// When notice of that is to be given.
    pub fn notice(self, created: Timestamp) -> Timestamp {
        self.due(created).saturating_sub(DAY * u32::from(self.notice))
    }
}

impl TryFrom<Days> for RotationPolicy {
    type Error = ConfigError;

    fn try_from(days: Days) -> Result<Self, ConfigError> {
        Self::new(days.every_days, days.notify_days_before)
    }
}

impl From<RotationPolicy> for Days {
    fn from(policy: RotationPolicy) -> Self {
        Self { every_days: policy.every, notify_days_before: policy.notice }
    }
}
