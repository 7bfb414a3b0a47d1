//! What keys were used for, by month and endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;

use super::StoreError;
use crate::{ConfigError, KeyId, Timestamp};

/// One use of a key, or several alike.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Use {
    /// The key.
    pub key: KeyId,
    /// What it was used for: the route, such as `GET /v1/contacts/{id}`, not the path, which is
    /// different for each contact.
    pub endpoint: String,
    /// When.
    pub at: Timestamp,
    /// How often.
    pub count: u64,
}

impl Use {
    /// One use of `key` at `endpoint`.
    pub fn new(key: KeyId, endpoint: impl Into<String>, at: Timestamp) -> Self {
        Self { key, endpoint: endpoint.into(), at, count: 1 }
    }
}

/// A calendar month in UTC, written `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    /// The month in which `time` lies.
    pub fn of(time: Timestamp) -> Self {
        // Days are counted in eras of 400 years that begin on 1 March: a leap day is then the last
        // of its year (H. Hinnant, "chrono-compatible low-level date algorithms").
        let days = time.as_secs() / 86_400 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year + u64::from(month <= 2);
        Self { year: year as u16, month: month as u8 }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let parsed = || {
            let (year, month) = text.split_once('-')?;
            let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
            let shape = digits && year.len() == 4 && month.len() == 2;
            let month: u8 = month.parse().ok().filter(|month| (1..=12).contains(month))?;
            shape.then_some(Self { year: year.parse().ok()?, month })
        };
        parsed().ok_or_else(|| ConfigError::invalid("month", text, "not of the form YYYY-MM"))
    }
}

/// What a key was used for in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// All uses.
    pub total: u64,
    /// By endpoint.
    pub by_endpoint: BTreeMap<String, u64>,
    /// The last use, in any month.
    pub last_used: Option<Timestamp>,
}

/// Keeps what keys were used for.
#[async_trait]
pub trait UsageStore: Send + Sync + 'static {
    /// Adds uses.
    ///
    /// # Errors
    ///
    /// When the store fails.
    async fn add_uses(&self, uses: &[Use]) -> Result<(), StoreError>;

    /// What a key was used for in `month`.
    ///
    /// # Errors
    ///
    /// When the store fails.
    async fn usage(&self, key: &KeyId, month: Month) -> Result<Usage, StoreError>;
}
