//! Keys that an issuer publishes: found, fetched, kept, and given up.
//!
//! [`RemoteKeys`] belong to one issuer. They are found by its metadata (OpenID Connect Discovery 1.0,
//! RFC 8414) or at the URL of its JWK Set, and kept up to date by a future that you spawn:
//!
//! ```no_run
//! # #[cfg(feature = "remote")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use keygate::jwt::remote::{HttpClient, RemoteKeys};
//! use keygate::jwt::{Algorithm, JwtVerifier};
//! use keygate::AuthLayer;
//!
//! let issuer = "https://login.example.com";
//! let (keys, refresh) = RemoteKeys::discover(issuer)
//!     .algorithms([Algorithm::RS256, Algorithm::ES256])
//!     .build(HttpClient::new()?)?;
//! tokio::spawn(refresh);
//! let verifier = JwtVerifier::builder(issuer, "https://api.example.com").remote_keys(keys).build()?;
//! let gate = AuthLayer::tokens_only(verifier);
//! # let _ = gate;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! | | unless set otherwise |
//! | --- | --- |
//! | A key that the issuer **withdraws** is trusted no longer than [`longest`](RemoteKeysBuilder::refresh_between) interval and [`timeout`](RemoteKeysBuilder::timeout) together, if its provider answers | 10 min 10 s |
//! | While the provider is **away**, known keys stay in use for [`outage`](RemoteKeysBuilder::outage), counted from the last answer; then every token is refused as an outage, with 503 | 4 h |
//! | Requests cause at most one fetch in a [`cooldown`](RemoteKeysBuilder::cooldown), by time alone: **whatever `kid`s are sent**, and whatever came of the last fetch | 10 s |
//! | A request whose key is at hand **waits for nothing** | |
//! | A token with a **new `kid`** waits for one fetch, two at most, and only if its claims would be accepted; at most 4,096 wait at a time | 10 s each |
//!
//! The first two are told by [`Clock::monotonic`](crate::Clock::monotonic), from the moment at which
//! the provider was asked.
//!
//! In a cooldown a token with an unknown `kid` is refused at once as invalid; so a provider should
//! publish a key some seconds before it signs with it, as all do. While the provider is known to be
//! away, an unknown `kid` is an outage (503): the key may be a new one.
//!
//! A key set is believed as it is: a key that is missing from it is withdrawn. A set without any
//! usable key withdraws all, and is an outage too. What is no key set at all (an error page, a
//! redirect, too many bytes, the metadata of another issuer) is a failed fetch.
//!
//! # Who fetches
//!
//! The [`Refresh`] fetches ahead of need: when the answer's `Cache-Control` says so, between the
//! [shortest and the longest interval](RemoteKeysBuilder::refresh_between), up to a tenth earlier, so
//! that many nodes don't ask at once; with `If-None-Match`, so that an unchanged set costs nothing;
//! after a failure again in a second, then in two, up to a minute. Without it requests fetch, when no
//! usable key is left, and the one that does waits for the provider: spawn it.
//!
//! One fetch is under way at a time, and belongs to all who wait for it. It goes on as long as one of
//! them does; the `Refresh` is one of them.
//!
//! # What is not done
//!
//! Nothing in a token leads to a fetch from another place: `jku`, `x5u`, `x5c` and `jwk` are never
//! looked at. Keys are looked up among those of one issuer only. A provider whose keys have no `kid`,
//! or that gives a new key an old one's, can change keys only as fast as they are refreshed.

mod attempt;
mod builder;
#[cfg(feature = "remote")]
mod client;
mod endpoint;
mod error;
mod fetch;
mod flight;
mod freshness;
mod machine;
mod schedule;
mod stats;
mod sync;
#[cfg(test)]
mod tests;
mod waiting;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub use self::builder::RemoteKeysBuilder;
#[cfg(feature = "remote")]
pub use self::client::HttpClient;
pub use self::error::RemoteError;
pub use self::fetch::{Fetch, FetchError};
use self::machine::{Advice, Machine};
pub use self::stats::RemoteStats;
pub(crate) use self::waiting::Waiting;
use super::error::JwtError;
use super::jwks::Jwks;
use super::keys::KeySet;
use super::verifier::Attempt;
use crate::SystemClock;

/// The keys that one issuer publishes. Clones share them.
///
/// See the [module](self) for what is promised of them.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Handle>);

struct Handle {
    issuer: Option<Arc<str>>,
    machine: Arc<Machine>,
}

impl RemoteKeys {
    /// The keys of `issuer`, found by its metadata. The `iss` of its tokens is the same text.
    pub fn discover(issuer: impl Into<Arc<str>>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::discover(issuer.into())
    }

    /// The keys at the URL of a JWK Set.
    pub fn jwks(url: impl Into<String>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::jwks(url.into())
    }

    /// Keys that come from you: nothing is ever fetched. They are used until you
    /// [push](Self::push) others.
    ///
    /// ```
    /// use keygate::jwt::remote::RemoteKeys;
    /// use keygate::jwt::{Algorithm, Jwks, JwtVerifier};
    ///
    /// # let json = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    /// let keys = RemoteKeys::pushed(Jwks::parse(json, &[Algorithm::EdDSA])?);
    /// let verifier = JwtVerifier::builder("https://id.example", "orders").remote_keys(keys).build()?;
    /// # let _ = verifier;
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    pub fn pushed(keys: Jwks) -> Self {
        let clock = Arc::new(SystemClock::new());
        let machine = Machine::new(None, builder::TIMES, Vec::new(), clock);
        machine.push(keys);
        Self::of(None, machine)
    }

    fn of(issuer: Option<Arc<str>>, machine: Machine) -> Self {
        Self(Arc::new(Handle { issuer, machine: Arc::new(machine) }))
    }

    /// Replaces the keys by these, as if they had just been fetched: for an issuer that tells of its
    /// changes, or a fetch that is not HTTP. The algorithms are those of the set.
    pub fn push(&self, keys: Jwks) {
        self.0.machine.push(keys);
    }

    /// Fetches the keys now, or waits for the fetch that is under way: at start-up, to find a
    /// mistaken URL before the first request does, or as an answer to an event. Neither cooldown nor
    /// pauses hold it back. Pushed keys need none.
    ///
    /// # Errors
    ///
    /// When the fetch failed; keys that were known are used still.
    pub async fn refresh(&self) -> Result<(), RemoteError> {
        match self.0.machine.fly() {
            Some(flight) => flight.await,
            None => Ok(()),
        }
    }

    /// How the keys stand.
    pub fn stats(&self) -> RemoteStats {
        self.0.machine.stats()
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    pub(super) fn at_hand(&self) -> Result<Arc<KeySet>, JwtError> {
        self.0.machine.at_hand()
    }

    pub(super) fn generation(&self) -> Option<u64> {
        self.0.machine.generation()
    }

    /// What becomes of a token whose key is not at hand, for the reason of `error`.
    pub(super) fn ask(&self, error: JwtError) -> Attempt {
        let unavailable = |reason, wait| Attempt::Ended(Err(JwtError::unavailable(reason, wait)));
        match self.0.machine.advise() {
            Advice::Wait(flight) => match self.0.machine.place() {
                Some(place) => Attempt::Waits(Waiting::new(flight, place, error)),
                None => unavailable("too many wait for the issuer's keys", waiting::A_MOMENT),
            },
            Advice::Believe => Attempt::Ended(Err(error)),
            Advice::Unavailable(wait) => unavailable("the issuer's keys can't be fetched", wait),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.machine.signal.close();
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("issuer", &self.0.issuer)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Keeps keys up to date for as long as it is polled: give it to your runtime.
///
/// It ends when nobody has the [`RemoteKeys`] any more.
#[must_use = "a future that is not spawned refreshes nothing"]
pub struct Refresh(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Refresh {
    fn new(machine: Arc<Machine>) -> Self {
        Self(Box::pin(async move {
            while !machine.signal.is_closed() {
                match (machine.flying(), machine.rest()) {
                    (Some(flight), _) => drop(flight.await),
                    (None, Some(rest)) => machine.signal.raised_or(machine.sleep(rest)).await,
                    // Its failure is counted, and told of.
                    (None, None) => match machine.fly() {
                        Some(flight) => drop(flight.await),
                        None => return,
                    },
                }
            }
        }))
    }
}

impl Future for Refresh {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").finish_non_exhaustive()
    }
}
