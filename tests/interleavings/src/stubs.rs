//! What the core knows of the rest of the crate.

/// Never made here: all that is configured is right.
#[derive(Debug, thiserror::Error)]
#[error("{what} {value}: {reason}")]
pub(crate) struct ConfigError {
    what: &'static str,
    value: String,
    reason: &'static str,
}

impl ConfigError {
    pub(crate) fn invalid(what: &'static str, value: impl ToString, reason: &'static str) -> Self {
        Self { what, value: value.to_string(), reason }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Timestamp(pub(crate) u64);

impl Timestamp {
    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }
}
