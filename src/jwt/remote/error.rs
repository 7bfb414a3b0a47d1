//! Why an issuer's keys could not be fetched.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::FetchError;
use super::flight::Broken;
use crate::ConfigError;

/// Why an issuer's keys could not be fetched; cheap to clone, as all who waited for one fetch share
/// it. Nothing that the provider sent stands in its text but a status code.
#[derive(Clone, Debug)]
pub struct RemoteError(Arc<Reason>);

#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("the provider can't be reached, or breaks off")]
    Fetch(#[source] FetchError),
    #[error("the provider took longer than {0:?}")]
    Timeout(Duration),
    #[error("the provider answered {}", .0.as_u16())]
    Status(StatusCode),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the metadata is not a JSON object with issuer and jwks_uri")]
    NoMetadata,
    #[error("the metadata is of another issuer")]
    OtherIssuer,
    #[error("the metadata's jwks_uri can't be used: {0}")]
    JwksUri(&'static str),
    #[error("the key set can't be read")]
    KeySet(#[source] ConfigError),
    #[error("the key set holds no key that can be used")]
    NoKey,
    #[error("the fetch ended without an answer")]
    Broken,
}

impl RemoteError {
    /// Whether it is known that the issuer has no key for us, which is more than that it is away.
    pub(super) fn is_empty_set(&self) -> bool {
        matches!(*self.0, Reason::NoKey)
    }
}

impl From<Broken> for RemoteError {
    fn from(_: Broken) -> Self {
        Reason::Broken.into()
    }
}

impl From<Reason> for RemoteError {
    fn from(reason: Reason) -> Self {
        Self(Arc::new(reason))
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for RemoteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
