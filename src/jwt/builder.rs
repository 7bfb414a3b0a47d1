//! The configuration of a verifier.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::cache::TokenCache;
use super::claim_rule::ClaimRule;
use super::claims::Rules;
use super::key::JwtKey;
use super::profile::Profile;
use super::remote::RemoteKeys;
use super::revocation::Revocations;
use super::ring::KeyRing;
use super::source::KeySource;
use super::verifier::JwtVerifier;
use crate::ConfigError;

pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(300);
const MAX_LENGTH: usize = 65_536;
const CACHE: usize = 8_192;
const MAX_CACHE: usize = 1 << 24;

/// Configures a [`JwtVerifier`]; made by [`JwtVerifier::builder`].
#[must_use]
pub struct JwtVerifierBuilder {
    keys: Vec<JwtKey>,
    /// The keys of an issuer of our own, which change.
    ring: Option<KeyRing>,
    remote: Option<RemoteKeys>,
    rules: Rules,
    types: Option<Vec<String>>,
    max_length: usize,
    cache: usize,
    revocations: Option<Arc<dyn Revocations>>,
}

impl JwtVerifierBuilder {
    pub(crate) fn new(issuer: Arc<str>, audience: String) -> Self {
        let rules = Rules {
            profile: Profile::default(),
            issuer: Some(issuer),
            audiences: Some(vec![audience]),
            leeway: Duration::from_secs(30),
            max_age: None,
            subject_claim: "sub".to_owned(),
            tenant_claim: "tenant".to_owned(),
            scope_claims: ["scope", "scp", "permissions"].map(String::from).to_vec(),
            required: Vec::new(),
            forbidden: Vec::new(),
        };
        Self {
            keys: Vec::new(),
            ring: None,
            remote: None,
            rules,
            types: None,
            max_length: 8192,
            cache: CACHE,
            revocations: None,
        }
    }

    /// A verifier of what an issuer of our own has signed with its keys of the moment.
    pub(crate) fn over(ring: KeyRing, issuer: Arc<str>, audience: String) -> Self {
        Self { ring: Some(ring), ..Self::new(issuer, audience) }
    }

    /// Adds a key of the issuer. The keys' algorithms are the only ones accepted.
    pub fn key(mut self, key: JwtKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds keys of the issuer.
    pub fn keys(mut self, keys: impl IntoIterator<Item = JwtKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Takes the keys that the issuer publishes, and their algorithms, instead of fixed ones.
    pub fn remote_keys(mut self, keys: RemoteKeys) -> Self {
        self.remote = Some(keys);
        self
    }

    /// Accepts one more audience: a token for any of them is good.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audiences.get_or_insert_default().push(audience.into());
        self
    }

    /// How far the issuer's clock may be off: 30 seconds, unless set; at most 5 minutes.
    ///
    /// A token is good while `now < exp + leeway` and `now + leeway >= nbf`.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway;
        self
    }

    /// Refuses tokens issued longer ago than `age` (plus leeway), whatever their `exp`; `iat` is
    /// then required. No bound unless set.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.rules.max_age = Some(age);
        self
    }

    /// The kind of token to accept: a plain JWT, unless set.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.rules.profile = profile;
        self
    }

    /// Other `typ`s than those of the profile, the header's `typ` then being required.
    ///
    /// Compared as media types without regard to case, `application/` prepended when there is no
    /// slash (RFC 8725 section 3.11). Not for [`Profile::AccessToken`], whose `typ` is fixed.
    pub fn typ<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// Requires a claim to be present and not null, whatever its value.
    pub fn require_claim(self, name: impl Into<String>) -> Self {
        self.require_claim_as(name, ClaimRule::present())
    }

    /// Requires a claim to be present and to keep a rule. Several rules for one claim all hold.
    pub fn require_claim_as(mut self, name: impl Into<String>, rule: ClaimRule) -> Self {
        self.rules.required.push((name.into(), rule));
        self
    }

    /// Refuses tokens that have a claim, whatever its value, `null` too: how tokens that are meant
    /// for something else are told where `typ` doesn't tell them.
    pub fn forbid_claim(mut self, name: impl Into<String>) -> Self {
        self.rules.forbidden.push(name.into());
        self
    }

    /// The claim that names the subject: a text, required and not empty. `sub` unless set.
    pub fn subject_claim(mut self, name: impl Into<String>) -> Self {
        self.rules.subject_claim = name.into();
        self
    }

    /// The claim that names the tenant: a text, not empty where present. `tenant` unless set.
    pub fn tenant_claim(mut self, name: impl Into<String>) -> Self {
        self.rules.tenant_claim = name.into();
        self
    }

    /// The claims that may hold the scopes, of which the first present counts: a space-separated
    /// text or a list of texts. `scope`, `scp`, `permissions` unless set.
    pub fn scope_claims<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.rules.scope_claims = names.into_iter().map(Into::into).collect();
        self
    }

    /// The longest token that is looked at, in bytes: 8,192 unless set; 1 to 65,536.
    pub fn max_length(mut self, bytes: usize) -> Self {
        self.max_length = bytes;
        self
    }

    /// Remembers so many verified tokens at most, 8,192 unless set, and none with 0; up to 2^24.
    ///
    /// A token that is remembered costs neither a signature check nor parsing. Its times, its key and
    /// its revocation are judged each time it comes. Tokens that were refused are not remembered. An
    /// entry takes the token's length twice, roughly.
    pub fn cache(mut self, tokens: usize) -> Self {
        self.cache = tokens;
        self
    }

    /// Asks for each request whether its token is revoked.
    ///
    /// Where [`Revocations::peek`] has no answer, [`verify`](JwtVerifier::verify) refuses the token;
    /// a gate, and [`verify_and_ask`](JwtVerifier::verify_and_ask), wait for the answer.
    pub fn revocations(mut self, revocations: impl Revocations) -> Self {
        self.revocations = Some(Arc::new(revocations));
        self
    }

    /// Accepts tokens of every issuer, and of none.
    ///
    /// Dangerous where a key serves several issuers: they can then speak for each other.
    pub fn danger_any_issuer(mut self) -> Self {
        self.rules.issuer = None;
        self
    }

    /// Accepts tokens for every audience, and for none.
    ///
    /// Dangerous where the issuer serves other services too: a token that any of them receives
    /// opens this one (RFC 8725 section 3.9).
    pub fn danger_any_audience(mut self) -> Self {
        self.rules.audiences = None;
        self
    }

    /// Finishes the configuration.
    ///
    /// # Errors
    ///
    /// When there is no key, keys are ambiguous (one `kid` twice, two keys of one algorithm without
    /// `kid`), secrets and public keys are mixed, fixed keys and an issuer's published ones too, or
    /// those of another issuer than the tokens'; when a setting is out of its bounds, or no token
    /// could keep the rules.
    pub fn build(self) -> Result<JwtVerifier, ConfigError> {
        self.check_names()?;
        self.check_bounds()?;
        self.check_rules()?;
        Ok(JwtVerifier {
            keys: KeySource::new(self.ring, self.keys, self.remote, self.rules.issuer.as_deref())?,
            rules: Arc::new(self.rules),
            types: self.types.unwrap_or_default().into(),
            max_length: self.max_length,
            cache: NonZeroUsize::new(self.cache).map(|tokens| Arc::new(TokenCache::new(tokens))),
            revocations: self.revocations,
        })
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let empty = |what| Err(ConfigError::invalid(what, "", "empty"));
        if self.rules.issuer.as_deref() == Some("") {
            return empty("issuer");
        }
        if self.rules.audiences.iter().flatten().any(String::is_empty) {
            return empty("audience");
        }
        match &self.types {
            Some(types) if types.is_empty() || types.iter().any(String::is_empty) => empty("typ"),
            _ => Ok(()),
        }
    }

    fn check_rules(&self) -> Result<(), ConfigError> {
        let refused = |what, value: &str, reason| Err(ConfigError::invalid(what, value, reason));
        if self.rules.profile == Profile::AccessToken && self.types.is_some() {
            return refused("typ", &format!("{:?}", self.types), "RFC 9068 has one: at+jwt");
        }
        for (name, rule) in &self.rules.required {
            if !rule.is_keepable() {
                return refused("required claim", name, "no value is allowed");
            }
            if self.rules.forbidden.contains(name) {
                return refused("required claim", name, "forbidden too");
            }
        }
        const NEEDED: [&str; 3] = ["iss", "aud", "exp"];
        match self.rules.forbidden.iter().find(|name| NEEDED.contains(&name.as_str())) {
            Some(name) => refused("forbidden claim", name, "every token has it"),
            None => Ok(()),
        }
    }

    fn check_bounds(&self) -> Result<(), ConfigError> {
        if self.rules.leeway > MAX_LEEWAY {
            let leeway = format!("{:?}", self.rules.leeway);
            return Err(ConfigError::invalid("leeway", leeway, "more than 5 minutes"));
        }
        if !(1..=MAX_LENGTH).contains(&self.max_length) {
            let reason = "not between 1 and 65,536 bytes";
            return Err(ConfigError::invalid("longest token", self.max_length, reason));
        }
        if self.cache > MAX_CACHE {
            return Err(ConfigError::invalid("remembered tokens", self.cache, "more than 2^24"));
        }
        Ok(())
    }
}

impl fmt::Debug for JwtVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifierBuilder")
            .field("keys", &self.keys)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
