//! The configuration of an issuer.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::keys::{Keys, Slot};
use super::new_token::RESERVED;
use super::{Inner, JwtIssuer};
use crate::jwt::profile::Profile;
use crate::jwt::signing_key::SigningKey;
use crate::{ConfigError, Timestamp};

const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_ANNOUNCEMENT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Configures a [`JwtIssuer`]; made by [`JwtIssuer::builder`].
#[derive(Debug)]
#[must_use]
pub struct JwtIssuerBuilder {
    issuer: Arc<str>,
    audience: String,
    profile: Profile,
    tenant_claim: String,
    lifetime: Duration,
    announcement: Duration,
    key: SigningKey,
    others: Vec<(SigningKey, Timestamp)>,
}

impl JwtIssuerBuilder {
    pub(super) fn new(issuer: Arc<str>, audience: String, key: SigningKey) -> Self {
        Self {
            issuer,
            audience,
            profile: Profile::PlainJwt,
            tenant_claim: "tenant".to_owned(),
            lifetime: Duration::from_secs(15 * 60),
            announcement: Duration::from_secs(10 * 60),
            key,
            others: Vec::new(),
        }
    }

    /// How long tokens are good: 15 minutes, unless set; 1 second to 24 hours.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The kind of token: a plain JWT, unless set.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The claim that names the tenant: `tenant`, unless set.
    pub fn tenant_claim(mut self, name: impl Into<String>) -> Self {
        self.tenant_claim = name.into();
        self
    }

    /// How long a key is published before it signs, which is also how long readers may keep the key
    /// set: 10 minutes, unless set; up to 7 days. Zero where nobody reads it.
    pub fn announcement(mut self, time: Duration) -> Self {
        self.announcement = time;
        self
    }

    /// A key that is published and trusted, and signs when it is [rotated](JwtIssuer::rotate) to.
    pub fn announced_key(mut self, key: SigningKey) -> Self {
        self.others.push((key, Timestamp::MAX));
        self
    }

    /// A key that has signed before, and is trusted until the last token that it has signed expires.
    pub fn retired_key(mut self, key: SigningKey, until: Timestamp) -> Self {
        self.others.push((key, until));
        self
    }

    /// Finishes the configuration.
    ///
    /// # Errors
    ///
    /// When a name is empty, the tenant's claim is one that has another meaning, a time is out of its bounds, or the keys are ambiguous (a key id twice,
    /// several secrets without one) or secrets beside public keys.
    pub fn build(self) -> Result<JwtIssuer, ConfigError> {
        self.check()?;
        let never = Timestamp::MAX;
        let others = self.others.into_iter().map(|(key, until)| Slot {
            key,
            // Before any other, or not at all.
            signs_from: if until == never { never } else { Timestamp::EPOCH },
            trusted_until: until,
        });
        let start = Timestamp::from_nanos(1);
        let signing = Slot { key: self.key, signs_from: start, trusted_until: never };
        let keys = Keys::new(others.chain([signing]).collect());
        Ok(JwtIssuer(Arc::new(Inner {
            issuer: self.issuer,
            audience: self.audience,
            profile: self.profile,
            tenant_claim: self.tenant_claim,
            lifetime: self.lifetime,
            announcement: self.announcement,
            ring: keys.ring()?,
            keys: RwLock::new(keys),
        })))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let names = [
            ("issuer", &*self.issuer),
            ("audience", self.audience.as_str()),
            ("tenant claim", self.tenant_claim.as_str()),
        ];
        if let Some((what, _)) = names.into_iter().find(|(_, name)| name.is_empty()) {
            return Err(ConfigError::invalid(what, "", "empty"));
        }
        if RESERVED.contains(&self.tenant_claim.as_str()) {
            let reason = "says something else already";
            return Err(ConfigError::invalid("tenant claim", &self.tenant_claim, reason));
        }
        let shown = |time: Duration| format!("{time:?}");
        if !(Duration::from_secs(1)..=LONGEST_LIFE).contains(&self.lifetime) {
            let reason = "not between 1 second and 24 hours";
            return Err(ConfigError::invalid("lifetime", shown(self.lifetime), reason));
        }
        if self.announcement > LONGEST_ANNOUNCEMENT {
            let reason = "more than 7 days";
            return Err(ConfigError::invalid("announcement", shown(self.announcement), reason));
        }
        Ok(())
    }
}
