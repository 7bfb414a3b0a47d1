//! Live and test: two worlds that share one API.

use serde::{Deserialize, Serialize};

/// The world that a key belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Environment {
    /// Production.
    #[default]
    Live,
    /// Development, staging, tests.
    Test,
}

/// Which environments' keys a gate lets through.
///
/// The environment that a key's text names is judged before the store is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvironmentPolicy {
    /// Live keys only: the gate of a production system.
    #[default]
    LiveOnly,
    /// Test keys only: the gate of a staging system.
    TestOnly,
    /// Test keys, and live keys too. A live key that is used on a staging system is a key that a
    /// developer's machine has seen: choose this knowingly.
    TestAndLive,
}

impl EnvironmentPolicy {
    /// True when keys of `environment` may pass.
    pub const fn admits(self, environment: Environment) -> bool {
        match self {
            Self::LiveOnly => matches!(environment, Environment::Live),
            Self::TestOnly => matches!(environment, Environment::Test),
            Self::TestAndLive => true,
        }
    }
}

impl From<Environment> for EnvironmentPolicy {
    /// Only keys of that environment.
    fn from(environment: Environment) -> Self {
        match environment {
            Environment::Live => Self::LiveOnly,
            Environment::Test => Self::TestOnly,
        }
    }
}
