//! Sessions of people: a short-lived token in a cookie, renewed while its owner is at work.
//!
//! ```
//! use axum::extract::State;
//! use axum::http::request::Parts;
//! use axum::response::{AppendHeaders, IntoResponse};
//! use axum::routing::{get, post};
//! use axum::{Router, http::header::SET_COOKIE};
//! use keygate::jwt::{Algorithm, JwtIssuer, NewToken, SigningKey};
//! use keygate::policy::Routes;
//! use keygate::session::{SessionCookie, Sessions};
//! use keygate::{Principal, Rejection};
//!
//! # let secret = "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1";
//! let key = SigningKey::secret(Algorithm::HS256, secret)?;
//! let issuer = JwtIssuer::builder("https://app.example.com", "dashboard", key).build()?;
//! let sessions = Sessions::builder(issuer, SessionCookie::host("session")?).build()?;
//!
//! async fn sign_in(State(sessions): State<Sessions>, head: Parts) -> Result<impl IntoResponse, Rejection> {
//!     // … who it is has been proved here …
//!     let cookie = sessions.begin(&head, NewToken::new("user-7"))?;
//!     Ok(AppendHeaders([(SET_COOKIE, cookie)]))
//! }
//!
//! async fn sign_out(State(sessions): State<Sessions>, caller: Principal) -> Result<impl IntoResponse, Rejection> {
//!     let cookie = sessions.end(&caller).await?;
//!     Ok(AppendHeaders([(SET_COOKIE, cookie)]))
//! }
//!
//! let app: Router = Router::new()
//!     .route("/dashboard", get(|caller: Principal| async move { caller.subject().to_owned() }))
//!     .route("/sign-out", post(sign_out))
//!     .route("/sign-in", post(sign_in))
//!     .layer(sessions.renewal())
//!     .layer(sessions.gate()?.routes(Routes::new().public("/sign-in")?))
//!     .with_state(sessions);
//! # Ok::<(), keygate::ConfigError>(())
//! ```
//!
//! | question | answer |
//! | --- | --- |
//! | How long is a stolen cookie good? | [as long as a token](crate::jwt::JwtIssuerBuilder::lifetime), 15 minutes unless set, or until sign-out |
//! | How long does a session last? | while it is used, up to [`longest`](SessionsBuilder::longest), 12 hours unless set |
//! | What does sign-out do? | the cookie is cleared, and every token of the session is refused from then on |
//! | Can another site use the cookie? | not with a method that changes anything; see [`SameOrigin`] |
//! | What does a request cost? | no question to a provider or a store |

mod cookie;
mod renew;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use serde::Deserialize;

pub use cookie::SessionCookie;
pub use renew::{Renew, RenewFuture, RenewLayer};

use crate::jwt::{
    JwtIssuer, JwtVerifier, JwtVerifierBuilder, MAX_LEEWAY, NewToken, Revocations, RevokedTokens,
    VerifiedToken, random_id,
};
use crate::policy::SameOrigin;
use crate::store::StoreError;
use crate::{
    AuthLayer, Clock, ConfigError, Head, Principal, Rejection, RejectionKind, SystemClock,
    Timestamp,
};

const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
const LONGEST_LONGEST: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Where it is written down that a session has ended. [`RevokedTokens`] does so in memory.
#[async_trait]
pub trait EndedSessions: Revocations {
    /// From now on, [`is_revoked`](Revocations::is_revoked) is true for each token of the session
    /// ([`session_id`](VerifiedToken::session_id)) of this issuer. `until` says when the last one of
    /// them is good no more, with every leeway: until then it has to be kept.
    ///
    /// # Errors
    ///
    /// When it could not be written down.
    async fn end_session(
        &self,
        issuer: &str,
        session: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;
}

#[async_trait]
impl EndedSessions for RevokedTokens {
    async fn end_session(
        &self,
        issuer: &str,
        session: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.revoke_session(issuer, session, until, now)
    }
}

/// A shared list serves as well as an owned one.
struct Shared(Arc<dyn EndedSessions>);

#[async_trait]
impl Revocations for Shared {
    async fn is_revoked(&self, token: &VerifiedToken) -> Result<bool, StoreError> {
        self.0.is_revoked(token).await
    }

    fn peek(&self, token: &VerifiedToken) -> Option<Result<bool, StoreError>> {
        self.0.peek(token)
    }
}

/// Sessions in cookies: begins, renews and ends them. Clones are the same sessions.
///
/// See the [module](self) for an example.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    issuer: JwtIssuer,
    verifier: JwtVerifier,
    cookie: SessionCookie,
    longest: Duration,
    origin: SameOrigin,
    ended: Arc<dyn EndedSessions>,
    clock: Arc<dyn Clock>,
}

/// When the session's owner proved who they are (OpenID Connect Core 1.0 section 2).
#[derive(Deserialize)]
struct SignedIn {
    auth_time: u64,
}

impl Sessions {
    /// Starts the configuration: tokens of `issuer`, in `cookie`.
    pub fn builder(issuer: JwtIssuer, cookie: SessionCookie) -> SessionsBuilder {
        SessionsBuilder {
            issuer,
            cookie,
            longest: LONGEST,
            origin: SameOrigin::new(),
            ended: Arc::new(RevokedTokens::new()),
            clock: Arc::new(SystemClock::new()),
            adjust: Box::new(|verifier| verifier),
        }
    }

    /// A gate that is opened by these sessions and by nothing else.
    ///
    /// # Errors
    ///
    /// None at present; as [`AuthLayer::sources`].
    pub fn gate(&self) -> Result<AuthLayer, ConfigError> {
        Ok(AuthLayer::tokens_only(self.0.verifier.clone())
            .sources([self.0.cookie.source()])?
            .same_origin(self.0.origin.clone())
            .clock(self.0.clock.clone()))
    }

    /// A layer that renews sessions in use; it belongs behind the [gate](Self::gate).
    pub fn renewal(&self) -> RenewLayer {
        RenewLayer::new(self.clone())
    }

    /// What accepts the sessions' tokens, for a gate of one's own making.
    pub fn verifier(&self) -> &JwtVerifier {
        &self.0.verifier
    }

    /// The cookie.
    pub fn cookie(&self) -> &SessionCookie {
        &self.0.cookie
    }

    /// Begins a session for somebody whose identity has just been proved: the value of `Set-Cookie`.
    /// The session has an id of its own (`sid`), whatever cookie came with the request.
    ///
    /// A sign-in by GET, as on the way back from an identity provider, has no such proof: it needs
    /// the provider's `state`.
    ///
    /// # Errors
    ///
    /// [`CrossSite`](RejectionKind::CrossSite) when a page of another site has caused the request:
    /// it would sign its visitors in as somebody else. [`Unavailable`](RejectionKind::Unavailable)
    /// when no token can be issued.
    pub fn begin<'r>(
        &self,
        request: impl Into<Head<'r>>,
        who: NewToken,
    ) -> Result<HeaderValue, Rejection> {
        self.0.origin.check(request)?;
        let now = self.0.clock.now();
        let lifetime = self.0.issuer.lifetime().min(self.0.longest);
        let who = who.with_session(random_id()?, now).with_lifetime(lifetime);
        self.0.cookie.set(&self.0.issuer.issue(&who, now)?, now)
    }

    /// Ends the caller's session, for all of its tokens: the value of `Set-Cookie` that clears the
    /// cookie.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](RejectionKind::Unavailable) when the end can't be written down: the session
    /// goes on then. [`NotPermitted`](RejectionKind::NotPermitted) when the caller came without one.
    pub async fn end(&self, caller: &Principal) -> Result<HeaderValue, Rejection> {
        let (token, session) = self.own(caller).ok_or(RejectionKind::NotPermitted)?;
        let issuer = token.issuer().unwrap_or_default();
        let until = self.end_of(token).unwrap_or(token.expires()).max(token.expires());
        let until = until.saturating_add(MAX_LEEWAY);
        self.0.ended.end_session(issuer, session, until, self.0.clock.now()).await?;
        Ok(self.0.cookie.clear())
    }

    /// The caller's token and session, if they are of these sessions.
    fn own<'c>(&self, caller: &'c Principal) -> Option<(&'c VerifiedToken, &'c str)> {
        let token = caller.token().filter(|token| token.issuer() == Some(self.0.issuer.name()))?;
        Some((token, token.session_id()?))
    }

    /// No token of the session is good after this.
    fn end_of(&self, token: &VerifiedToken) -> Option<Timestamp> {
        let began = token.claims::<SignedIn>().ok()?.auth_time;
        Some(Timestamp::from_secs(began).saturating_add(self.0.longest))
    }

    /// A new cookie when less than half of a token's life is left, unless it would be good no longer:
    /// the session has lasted long enough then.
    fn renewed(&self, token: &VerifiedToken) -> Option<HeaderValue> {
        let (now, lifetime) = (self.0.clock.now(), self.0.issuer.lifetime());
        let until = now.saturating_add(lifetime).min(self.end_of(token)?);
        if now.saturating_add(lifetime / 2) < token.expires() || until <= token.expires() {
            return None;
        }
        let token = self.0.issuer.reissue(token, until.since(now), now).ok()?;
        self.0.cookie.set(&token, now).ok()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("issuer", &self.0.issuer)
            .field("cookie", &self.0.cookie)
            .finish_non_exhaustive()
    }
}

type Adjust = Box<dyn FnOnce(JwtVerifierBuilder) -> JwtVerifierBuilder + Send>;

/// Configures [`Sessions`]; made by [`Sessions::builder`].
#[must_use]
pub struct SessionsBuilder {
    issuer: JwtIssuer,
    cookie: SessionCookie,
    longest: Duration,
    origin: SameOrigin,
    ended: Arc<dyn EndedSessions>,
    clock: Arc<dyn Clock>,
    adjust: Adjust,
}

impl SessionsBuilder {
    /// How long a session is renewed before its owner has to prove again who they are: 12 hours,
    /// unless set; up to 90 days.
    pub fn longest(mut self, time: Duration) -> Self {
        self.longest = time;
        self
    }

    /// What proves that a request is no cross-site request, both at sign-in and at the
    /// [gate](Sessions::gate).
    pub fn same_origin(mut self, origin: SameOrigin) -> Self {
        self.origin = origin;
        self
    }

    /// Where ended sessions are written down, instead of this process's memory: needed as soon as
    /// there are several processes, or a restart must not bring back a session.
    pub fn ended(mut self, ended: impl EndedSessions) -> Self {
        self.ended = Arc::new(ended);
        self
    }

    /// Sets what the verifier of the sessions' tokens asks for besides.
    pub fn verify(
        mut self,
        adjust: impl FnOnce(JwtVerifierBuilder) -> JwtVerifierBuilder + Send + 'static,
    ) -> Self {
        self.adjust = Box::new(adjust);
        self
    }

    /// The clock by which sessions begin and end.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Finishes the configuration.
    ///
    /// # Errors
    ///
    /// When a time is out of its bounds, or the verifier can't be built.
    pub fn build(self) -> Result<Sessions, ConfigError> {
        if !(Duration::from_secs(60)..=LONGEST_LONGEST).contains(&self.longest) {
            let longest = format!("{:?}", self.longest);
            let reason = "not between 1 minute and 90 days";
            return Err(ConfigError::invalid("longest session", longest, reason));
        }
        let verifier = (self.adjust)(self.issuer.verifier())
            .require_claim("sid")
            .revocations(Shared(self.ended.clone()))
            .build()?;
        Ok(Sessions(Arc::new(Inner {
            issuer: self.issuer,
            verifier,
            cookie: self.cookie,
            longest: self.longest,
            origin: self.origin,
            ended: self.ended,
            clock: self.clock,
        })))
    }
}

impl fmt::Debug for SessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsBuilder")
            .field("issuer", &self.issuer)
            .field("cookie", &self.cookie)
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}
