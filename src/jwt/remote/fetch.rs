//! The world outside: HTTP, and time that passes.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

/// Why a client has no answer. Its text is logged: it must hold no secret.
pub type FetchError = Box<dyn Error + Send + Sync>;

/// An HTTP client of your own; `HttpClient` is one (feature `remote`).
///
/// ```
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use keygate::jwt::remote::{Fetch, FetchError};
///
/// #[derive(Debug)]
/// struct FromDisk;
///
/// #[async_trait]
/// impl Fetch for FromDisk {
///     async fn get(&self, _: Request<()>, _: usize) -> Result<Response<Bytes>, FetchError> {
///         Ok(Response::new(std::fs::read("/run/issuer/jwks.json")?.into()))
///     }
///
///     async fn sleep(&self, time: Duration) {
///         tokio::time::sleep(time).await;
///     }
/// }
/// ```
#[async_trait]
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// Sends this GET, whose URL is absolute, and reads the answer.
    ///
    /// Redirects are not to be followed: an answer is believed only from the place that was asked.
    /// Reading stops with an error as soon as a body is longer than `limit` bytes; a longer one is
    /// refused, but it has then been read. The future may be dropped at any time, and is when it
    /// takes longer than [`timeout`](super::RemoteKeysBuilder::timeout).
    ///
    /// # Errors
    ///
    /// When there is no whole answer. An answer of any status is none.
    async fn get(&self, request: Request<()>, limit: usize) -> Result<Response<Bytes>, FetchError>;

    /// Waits for `time`, by the timer of the runtime in use.
    async fn sleep(&self, time: Duration);
}
