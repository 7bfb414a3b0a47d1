//! What can be wrong with a configuration; found at start-up, never at a request.

use std::error::Error;

/// A setting that can't be used, with the value that was given.
///
/// Values that may be secret (keys, passwords) are named, never shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value outside what the setting takes.
    #[error("invalid {what} {value:?}: {reason}")]
    #[non_exhaustive]
    Invalid {
        /// The setting.
        what: &'static str,
        /// The value that was given.
        value: String,
        /// Why it can't be used.
        reason: &'static str,
    },
    /// Key material or another value that is not shown.
    #[error("unusable {what}: {reason}")]
    #[non_exhaustive]
    Unusable {
        /// The setting.
        what: &'static str,
        /// Why it can't be used.
        reason: &'static str,
        /// What the library that read it said.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl ConfigError {
    pub(crate) fn invalid(what: &'static str, value: impl ToString, reason: &'static str) -> Self {
        Self::Invalid { what, value: value.to_string(), reason }
    }

    pub(crate) fn unusable(what: &'static str, reason: &'static str) -> Self {
        Self::Unusable { what, reason, source: None }
    }

    pub(crate) fn unreadable(
        what: &'static str,
        reason: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unusable { what, reason, source: Some(source.into()) }
    }
}
