//! Tokens of one's own: signed here, verified here and wherever the key set is read.

mod builder;
mod error;
mod jwks;
mod keys;
mod minted;
mod new_token;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub use builder::JwtIssuerBuilder;
pub use error::IssueError;
pub use jwks::JwksService;
pub use minted::MintedToken;
pub use new_token::NewToken;

use self::keys::Keys;
use super::builder::JwtVerifierBuilder;
use super::profile::Profile;
use super::ring::KeyRing;
use super::signing_key::SigningKey;
use super::token::VerifiedToken;
use crate::{ConfigError, Timestamp};

/// Issues tokens of one's own: of a login, of a session, for one's own services. Clones are one
/// issuer.
///
/// ```
/// use keygate::jwt::{Algorithm, JwtIssuer, NewToken, SigningKey};
/// use keygate::{Clock, SystemClock};
///
/// # let secret = "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1";
/// let key = SigningKey::secret(Algorithm::HS256, secret)?;
/// let issuer = JwtIssuer::builder("https://id.example.com", "orders", key).build()?;
/// let verifier = issuer.verifier().build()?;
///
/// let now = SystemClock::new().now();
/// let token = issuer.issue(&NewToken::new("user-7").with_tenant("acme"), now)?;
/// assert_eq!(verifier.verify(token.reveal(), now)?.subject(), "user-7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Keys change
///
/// [`rotate`](Self::rotate) announces a key: it is published and trusted at once, and signs after the
/// time that it takes for everybody to have read the key set
/// ([`announcement`](JwtIssuerBuilder::announcement)). The one before it is trusted until the last
/// token that it has signed has expired. Verifiers made by [`verifier`](Self::verifier) see each
/// change with the next request. [`rotate_now`](Self::rotate_now) is for a key that has leaked.
///
/// Where several processes issue, each of them has to be told: with [`rotate`](Self::rotate), or by
/// configuration ([`announced_key`](JwtIssuerBuilder::announced_key),
/// [`retired_key`](JwtIssuerBuilder::retired_key)).
#[derive(Clone)]
pub struct JwtIssuer(Arc<Inner>);

struct Inner {
    issuer: Arc<str>,
    audience: String,
    profile: Profile,
    tenant_claim: String,
    lifetime: Duration,
    announcement: Duration,
    keys: RwLock<Keys>,
    /// What verifiers go by; changed under the lock of `keys`.
    ring: KeyRing,
}

impl JwtIssuer {
    /// Starts the configuration: tokens of `issuer` for `audience`, signed with `key`.
    pub fn builder(
        issuer: impl Into<Arc<str>>,
        audience: impl Into<String>,
        key: SigningKey,
    ) -> JwtIssuerBuilder {
        JwtIssuerBuilder::new(issuer.into(), audience.into(), key)
    }

    /// Starts the configuration of a verifier of these tokens, which knows the issuer's keys of each
    /// moment. Its profile and its tenant claim are those of the issuer.
    pub fn verifier(&self) -> JwtVerifierBuilder {
        let Inner { ring, issuer, audience, profile, tenant_claim, .. } = &*self.0;
        JwtVerifierBuilder::over(ring.clone(), issuer.clone(), audience.clone())
            .profile(*profile)
            .tenant_claim(tenant_claim)
    }

    /// Issues a token.
    ///
    /// # Errors
    ///
    /// When the subject is empty, a lifetime is longer than the issuer's, the profile's `client_id` is
    /// absent, or the system has no random numbers.
    pub fn issue(&self, new: &NewToken, now: Timestamp) -> Result<MintedToken, IssueError> {
        let lifetime = self.check(new)?;
        let id = random_id()?;
        let expires = Timestamp::from_secs(now.saturating_add(lifetime).as_secs());
        let claims = self.claims(new, &id, expires, now);
        self.mint(claims, id, expires, now)
    }

    /// A token that says what `token` says, for another time.
    pub(crate) fn reissue(
        &self,
        token: &VerifiedToken,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<MintedToken, IssueError> {
        let unreadable = |error| IssueError::new("the claims can't be read").caused_by(error);
        let mut claims: Map<String, Value> = token.claims().map_err(unreadable)?;
        let expires = Timestamp::from_secs(now.saturating_add(lifetime).as_secs());
        let id = random_id()?;
        claims.remove("nbf");
        claims.insert("iat".to_owned(), now.as_secs().into());
        claims.insert("exp".to_owned(), expires.as_secs().into());
        claims.insert("jti".to_owned(), id.as_str().into());
        self.mint(claims, id, expires, now)
    }

    fn mint(
        &self,
        claims: Map<String, Value>,
        id: String,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<MintedToken, IssueError> {
        let text = Zeroizing::new(Value::Object(claims).to_string());
        let key = self.keys().signing(now).cloned();
        let key = key.ok_or(IssueError::new("no key signs at this time"))?;
        Ok(MintedToken { text: sign(&key, self.0.profile, &text)?, id, expires })
    }

    fn check(&self, new: &NewToken) -> Result<Duration, IssueError> {
        let lifetime = new.lifetime.unwrap_or(self.0.lifetime);
        if new.subject.is_empty() || new.tenant.as_deref() == Some("") {
            return Err(IssueError::new("the subject or the tenant is empty"));
        }
        if self.0.profile == Profile::AccessToken && new.client_id.is_none() {
            return Err(IssueError::new("an access token has a client_id (RFC 9068)"));
        }
        if new.claims.contains_key(&self.0.tenant_claim) {
            return Err(IssueError::new("the tenant is told by with_tenant"));
        }
        // A retired key is trusted for this long.
        match lifetime <= self.0.lifetime {
            true => Ok(lifetime),
            false => Err(IssueError::new("a lifetime beyond that of the issuer's tokens")),
        }
    }

    fn claims(
        &self,
        new: &NewToken,
        id: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Map<String, Value> {
        let audience = new.audience.as_ref().unwrap_or(&self.0.audience);
        let mut claims = new.claims.clone();
        let mut say = |name: &str, value: Option<Value>| {
            value.map(|value| claims.insert(name.to_owned(), value));
        };
        let scopes = new.scopes.as_ref().map(|scopes| {
            scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ").into()
        });
        let text = |text: &Option<String>| text.clone().map(Value::from);
        say("iss", Some(self.0.issuer.as_ref().into()));
        say("sub", Some(new.subject.clone().into()));
        say("aud", Some(audience.clone().into()));
        say("iat", Some(now.as_secs().into()));
        say("exp", Some(expires.as_secs().into()));
        say("jti", Some(id.into()));
        say("nbf", new.not_before.map(|time| time.as_secs().into()));
        say("auth_time", new.signed_in.map(|time| time.as_secs().into()));
        say("sid", text(&new.session));
        say("client_id", text(&new.client_id));
        say(&self.0.tenant_claim, text(&new.tenant));
        say("scope", scopes);
        claims
    }

    /// Announces `next`, which signs after the time for announcements, and at once if that is zero.
    ///
    /// # Errors
    ///
    /// When `next` signs already or has done so, or the keys together would be ambiguous (a key id
    /// twice, secrets without one), or secrets beside public keys, or more than 16. Nothing has
    /// changed then.
    pub fn rotate(&self, next: SigningKey, now: Timestamp) -> Result<(), ConfigError> {
        let start = now.saturating_add(self.0.announcement);
        self.change(|keys| keys.rotated(next, start, self.0.lifetime, now))
    }

    /// Has `next` sign at once and trusts no other key from now on: whatever else was issued is
    /// refused with the next request. For a key that has leaked.
    ///
    /// # Errors
    ///
    /// When `next` can't be used. Nothing has changed then.
    pub fn rotate_now(&self, next: SigningKey, now: Timestamp) -> Result<(), ConfigError> {
        self.change(|_| Ok(Keys::only(next, now)))
    }

    fn change(
        &self,
        change: impl FnOnce(&Keys) -> Result<Keys, ConfigError>,
    ) -> Result<(), ConfigError> {
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&keys)?;
        let (set, ends) = changed.set()?;
        self.0.ring.replace(set, ends);
        *keys = changed;
        Ok(())
    }

    /// The key set that verifiers elsewhere read, as a service to mount; see [`JwksService`].
    pub fn jwks(&self) -> JwksService {
        JwksService::new(self.clone())
    }

    /// The public keys that are trusted at `now`, as a JWK Set (RFC 7517 section 5). Secrets are not
    /// among them.
    pub fn jwks_json(&self, now: Timestamp) -> String {
        let keys: Vec<_> = self.keys().trusted(now).filter_map(SigningKey::public_jwk).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// Its name: `iss`.
    pub fn name(&self) -> &str {
        &self.0.issuer
    }

    /// How long tokens are good at most.
    pub fn lifetime(&self) -> Duration {
        self.0.lifetime
    }

    /// Keys are put in place whole, so a thread that died in between has left good ones.
    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sign(key: &SigningKey, profile: Profile, claims: &str) -> Result<Zeroizing<String>, IssueError> {
    let mut text = Zeroizing::new(String::with_capacity(claims.len() * 2 + 1024));
    URL_SAFE_NO_PAD.encode_string(header(key, profile), &mut text);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut text);
    let signature = key.sign(text.as_bytes()).ok_or(IssueError::new("the key didn't sign"))?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}

fn header(key: &SigningKey, profile: Profile) -> String {
    let typ = if profile == Profile::AccessToken { "at+jwt" } else { "JWT" };
    let algorithm = key.verifying().algorithm();
    match key.verifying().kid() {
        Some(kid) => {
            let kid = Value::from(kid);
            format!(r#"{{"typ":"{typ}","alg":"{algorithm}","kid":{kid}}}"#)
        }
        None => format!(r#"{{"typ":"{typ}","alg":"{algorithm}"}}"#),
    }
}

/// 128 bits from the system.
pub(crate) fn random_id() -> Result<String, IssueError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| IssueError::new("the system has no random numbers").caused_by(error))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl fmt::Debug for JwtIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtIssuer")
            .field("issuer", &self.0.issuer)
            .field("audience", &self.0.audience)
            .field("keys", &self.0.ring)
            .finish_non_exhaustive()
    }
}
