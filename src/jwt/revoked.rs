//! Revoked tokens, in memory.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use hashbrown::{Equivalent, HashMap};

use super::builder::MAX_LEEWAY;
use super::revocation::Revocations;
use super::token::VerifiedToken;
use crate::store::StoreError;
use crate::{ConfigError, Timestamp};

const CAPACITY: usize = 100_000;

/// Tokens that this process has revoked: one by one, by session, or by subject.
///
/// Clones share what they know. Each revocation is kept as long as a token that it means could be
/// good, and then forgotten. There is room for 100,000, unless set; where it is used up, revoking
/// fails rather than that another revocation is forgotten.
///
/// A restart forgets all of them, and other processes don't learn of them: where that matters, write
/// a [`Revocations`] over a store that they share.
///
/// ```
/// use std::time::Duration;
/// use keygate::jwt::{JwtVerifier, RevokedTokens, VerifiedToken};
/// use keygate::store::StoreError;
/// use keygate::Timestamp;
///
/// fn sign_out(revoked: &RevokedTokens, token: &VerifiedToken, now: Timestamp) -> Result<(), StoreError> {
///     revoked.revoke(token, now)
/// }
///
/// /// Whoever has the account now, nobody has it from before.
/// fn password_changed(revoked: &RevokedTokens, issuer: &str, user: &str, now: Timestamp) -> Result<(), StoreError> {
///     let longest_life = Duration::from_secs(3_600);
///     revoked.revoke_subject(issuer, user, now, now.saturating_add(longest_life), now)
/// }
/// ```
#[derive(Clone)]
pub struct RevokedTokens(Arc<RwLock<Books>>);

struct Books {
    capacity: usize,
    names: HashMap<Name, Entry>,
    /// When it was last looked for entries whose time has passed.
    swept: Timestamp,
}

#[derive(PartialEq, Eq)]
struct Name {
    kind: Kind,
    issuer: Box<str>,
    text: Box<str>,
}

/// Names of different kinds never meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Token,
    Session,
    Subject,
}

struct Asked<'a>(Kind, &'a str, &'a str);

struct Entry {
    /// Tokens issued later are not meant.
    issued_until: Timestamp,
    keep_until: Timestamp,
}

impl RevokedTokens {
    /// An empty list.
    pub fn new() -> Self {
        Self::with(CAPACITY)
    }

    /// An empty list with room for so many revocations.
    ///
    /// # Errors
    ///
    /// When it is 0.
    pub fn with_capacity(revocations: usize) -> Result<Self, ConfigError> {
        match revocations {
            0 => Err(ConfigError::invalid("capacity of revocations", 0, "no room")),
            _ => Ok(Self::with(revocations)),
        }
    }

    fn with(capacity: usize) -> Self {
        let books = Books { capacity, names: HashMap::new(), swept: Timestamp::EPOCH };
        Self(Arc::new(RwLock::new(books)))
    }

    /// Revokes one token, by its `jti`.
    ///
    /// A session that is renewed has had other tokens and may get another one this moment; to end it,
    /// [`revoke_session`](Self::revoke_session).
    ///
    /// # Errors
    ///
    /// When the token has no `jti`, or there is no room.
    pub fn revoke(&self, token: &VerifiedToken, now: Timestamp) -> Result<(), StoreError> {
        let id = token.id().ok_or(StoreError::other("the token has no jti to revoke it by"))?;
        let name = Asked(Kind::Token, token.issuer().unwrap_or_default(), id);
        self.insert(name, Timestamp::MAX, token.expires(), now)
    }

    /// Revokes the tokens of a session, by their `sid`; `until` says when the last one of them would
    /// have expired.
    ///
    /// # Errors
    ///
    /// When there is no room.
    pub fn revoke_session(
        &self,
        issuer: &str,
        session: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert(Asked(Kind::Session, issuer, session), Timestamp::MAX, until, now)
    }

    /// Revokes the tokens of a subject that were issued at `issued_until` or before, in whole
    /// seconds by the issuer's clock; those that don't say when they were issued, too. `until` says when
    /// the last one of them would have expired.
    ///
    /// # Errors
    ///
    /// When there is no room.
    pub fn revoke_subject(
        &self,
        issuer: &str,
        subject: &str,
        issued_until: Timestamp,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert(Asked(Kind::Subject, issuer, subject), issued_until, until, now)
    }

    /// How many revocations are kept.
    pub fn len(&self) -> usize {
        self.0.read().map(|books| books.names.len()).unwrap_or_default()
    }

    /// True when nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(
        &self,
        name: Asked<'_>,
        issued_until: Timestamp,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // A verifier's leeway prolongs what a token is good for.
        let keep_until = until.saturating_add(MAX_LEEWAY);
        if keep_until <= now {
            return Ok(());
        }
        self.write()?.insert(name, Entry { issued_until, keep_until }, now)
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, Books>, StoreError> {
        self.0.write().map_err(|_| poisoned())
    }

    fn judge(&self, token: &VerifiedToken) -> Result<bool, StoreError> {
        self.0.read().map_err(|_| poisoned()).map(|books| books.judge(token))
    }
}

impl Books {
    fn judge(&self, token: &VerifiedToken) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let issuer = token.issuer().unwrap_or_default();
        let has = |kind, text: Option<&str>| {
            text.and_then(|text| self.names.get(&Asked(kind, issuer, text)))
        };
        let issued = token.issued_at().unwrap_or_default();
        has(Kind::Token, token.id()).is_some()
            || has(Kind::Session, token.session_id()).is_some()
            || has(Kind::Subject, Some(token.subject()))
                .is_some_and(|entry| issued <= entry.issued_until)
    }

    /// What is revoked already stays revoked for the longer of both times.
    fn insert(&mut self, asked: Asked<'_>, entry: Entry, now: Timestamp) -> Result<(), StoreError> {
        if let Some(known) = self.names.get_mut(&asked) {
            known.issued_until = known.issued_until.max(entry.issued_until);
            known.keep_until = known.keep_until.max(entry.keep_until);
            return Ok(());
        }
        self.sweep(now);
        if self.names.len() >= self.capacity {
            return Err(StoreError::unavailable("there is no room for another revocation"));
        }
        self.names.insert(Name::from(asked), entry);
        Ok(())
    }

    /// Once a minute, and whenever there is no room.
    fn sweep(&mut self, now: Timestamp) {
        const PAUSE: Duration = Duration::from_secs(60);
        if self.names.len() >= self.capacity || now.since(self.swept) >= PAUSE {
            self.names.retain(|_, entry| entry.keep_until > now);
            self.swept = now;
        }
    }
}

#[async_trait]
impl Revocations for RevokedTokens {
    async fn is_revoked(&self, token: &VerifiedToken) -> Result<bool, StoreError> {
        self.judge(token)
    }

    fn peek(&self, token: &VerifiedToken) -> Option<Result<bool, StoreError>> {
        Some(self.judge(token))
    }
}

fn poisoned() -> StoreError {
    StoreError::unavailable("a thread died while it revoked a token")
}

impl From<Asked<'_>> for Name {
    fn from(Asked(kind, issuer, text): Asked<'_>) -> Self {
        Self { kind, issuer: issuer.into(), text: text.into() }
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked(self.kind, &self.issuer, &self.text).hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1, self.2).hash(state);
    }
}

impl Equivalent<Name> for Asked<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        (self.0, self.1, self.2) == (name.kind, &*name.issuer, &*name.text)
    }
}

impl Default for RevokedTokens {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RevokedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokedTokens").field("len", &self.len()).finish_non_exhaustive()
    }
}
