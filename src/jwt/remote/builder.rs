//! How the keys of an issuer are found and kept.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Asking, Place};
use super::endpoint::{Endpoint, Metadata, Transport};
use super::machine::Machine;
use super::schedule::Times;
use super::{Fetch, Refresh, RemoteKeys};
use crate::jwt::jwks::check_public;
use crate::jwt::{Algorithm, Jwks};
use crate::{Clock, ConfigError, SystemClock};

pub(super) const TIMES: Times = Times {
    shortest: Duration::from_secs(60),
    longest: Duration::from_secs(600),
    timeout: Duration::from_secs(10),
    cooldown: Duration::from_secs(10),
    outage: Duration::from_secs(4 * 3600),
};
const LIMIT: usize = 256 * 1024;
const MAX_LIMIT: usize = 16 * 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Configures [`RemoteKeys`]; made by [`RemoteKeys::discover`] and [`RemoteKeys::jwks`].
#[derive(Debug)]
#[must_use]
pub struct RemoteKeysBuilder {
    place: Named,
    metadata: Metadata,
    transport: Transport,
    times: Times,
    limit: usize,
    algorithms: Vec<Algorithm>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
enum Named {
    Issuer(Arc<str>),
    Jwks(String),
}

impl RemoteKeysBuilder {
    pub(super) fn discover(issuer: Arc<str>) -> Self {
        Self::new(Named::Issuer(issuer))
    }

    pub(super) fn jwks(url: String) -> Self {
        Self::new(Named::Jwks(url))
    }

    fn new(place: Named) -> Self {
        Self {
            place,
            metadata: Metadata::OpenId,
            transport: Transport::Tls,
            times: TIMES,
            limit: LIMIT,
            algorithms: Jwks::PUBLIC.to_vec(),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The algorithms that tokens may be signed with: every one with a public key, unless set. Keys
    /// for others are skipped.
    pub fn algorithms(mut self, allowed: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = allowed.into_iter().collect();
        self
    }

    /// Reads the issuer's metadata where RFC 8414 has it (`/.well-known/oauth-authorization-server`
    /// before the issuer's path), instead of OpenID Connect Discovery
    /// (`/.well-known/openid-configuration` behind it).
    pub fn oauth_metadata(mut self) -> Self {
        self.metadata = Metadata::OAuth;
        self
    }

    /// How often keys are fetched at most, and at least: 1 and 10 minutes unless set; `longest`
    /// counts where the provider says nothing, else its `Cache-Control: max-age` between the two.
    /// 1 second to 24 hours.
    pub fn refresh_between(mut self, shortest: Duration, longest: Duration) -> Self {
        (self.times.shortest, self.times.longest) = (shortest, longest);
        self
    }

    /// How long a fetch may take in all, metadata and keys: 10 seconds unless set; 10 milliseconds
    /// to 60 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.times.timeout = timeout;
        self
    }

    /// How long after a fetch that a request has begun no other request may begin one: 10 seconds
    /// unless set; 1 second to 1 hour.
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        self.times.cooldown = cooldown;
        self
    }

    /// For how long keys are used, at most, while the provider is away: 4 hours unless set; from
    /// the longest interval and the timeout together to 7 days.
    ///
    /// For that long, whoever can keep this service from its provider keeps a key in use that was
    /// withdrawn.
    pub fn outage(mut self, outage: Duration) -> Self {
        self.times.outage = outage;
        self
    }

    /// Bytes that an answer may have: 256 KiB unless set; 1 KiB to 16 MiB.
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Fetches over plain `http` too, from the place that is configured and the one that the metadata
    /// names.
    ///
    /// Dangerous anywhere but on loopback: whoever is on the way chooses the keys.
    pub fn danger_allow_http(mut self) -> Self {
        self.transport = Transport::DangerAny;
        self
    }

    /// The clock whose [`monotonic`](Clock::monotonic) time tells how old keys are.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Finishes the configuration. Nothing is fetched before the [`Refresh`] is polled, or a request
    /// needs a key.
    ///
    /// # Errors
    ///
    /// When the issuer or the URL is not an absolute `https` URL, or holds a user name or a fragment
    /// (an issuer: a query); when no algorithm is allowed, or one is HMAC; when a setting is out of
    /// its bounds.
    pub fn build(self, fetch: impl Fetch) -> Result<(RemoteKeys, Refresh), ConfigError> {
        check_public(&self.algorithms)?;
        self.check_times()?;
        if !(1024..=MAX_LIMIT).contains(&self.limit) {
            let reason = "not between 1 KiB and 16 MiB";
            return Err(ConfigError::invalid("longest answer", self.limit, reason));
        }
        let (place, issuer) = self.place()?;
        let timeout = self.times.timeout;
        let asking = Asking { place, fetch: Arc::new(fetch), timeout, limit: self.limit };
        let machine = Machine::new(Some(asking), self.times, self.algorithms, self.clock);
        let keys = RemoteKeys::of(issuer, machine);
        let refresh = Refresh::new(Arc::clone(&keys.0.machine));
        Ok((keys, refresh))
    }

    fn place(&self) -> Result<(Place, Option<Arc<str>>), ConfigError> {
        let transport = self.transport;
        match &self.place {
            Named::Jwks(url) => {
                let refused = |reason| ConfigError::invalid("URL of a JWK Set", url, reason);
                Ok((Place::Jwks(Endpoint::parse(url, transport).map_err(refused)?), None))
            }
            Named::Issuer(issuer) => {
                let endpoint = Endpoint::metadata(issuer, self.metadata, transport)?;
                let place = Place::Metadata { issuer: Arc::clone(issuer), endpoint, transport };
                Ok((place, Some(Arc::clone(issuer))))
            }
        }
    }

    fn check_times(&self) -> Result<(), ConfigError> {
        let Times { shortest, longest, timeout, cooldown, outage } = self.times;
        let check = |what, value: Duration, least: Duration, most: Duration, reason| match () {
            () if (least..=most).contains(&value) => Ok(()),
            () => Err(ConfigError::invalid(what, format!("{value:?}"), reason)),
        };
        let longer = "shorter than the longest interval and the timeout, or longer than 7 days";
        let minute = Duration::from_secs(60);
        check("longest interval", longest, SECOND, DAY, "not between 1 second and 24 hours")?;
        check(
            "shortest interval",
            shortest,
            SECOND,
            longest,
            "below 1 second, or above the longest",
        )?;
        check("timeout", timeout, SECOND / 100, minute, "not between 10 ms and 60 seconds")?;
        check("cooldown", cooldown, SECOND, HOUR, "not between 1 second and 1 hour")?;
        check("outage", outage, longest.saturating_add(timeout), 7 * DAY, longer)
    }
}
