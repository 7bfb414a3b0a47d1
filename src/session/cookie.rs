//! The cookie that holds a session's token.

use http::HeaderValue;

use crate::jwt::MintedToken;
use crate::{ConfigError, Rejection, RejectionKind, Source, Timestamp};

/// Browsers need not keep more, in bytes of name and value (RFC 6265 section 6.1).
const LONGEST: usize = 4096;
const PREFIX: &str = "__Host-";

/// A cookie for the token of a session: `HttpOnly`, `Secure`, `Path=/`, without `Domain`, and
/// `SameSite=Strict`.
///
/// The prefix `__Host-` has browsers take it over TLS only, for this host alone and all of its paths:
/// neither a subdomain nor somebody on the network can plant one. Over plain HTTP browsers make an
/// exception for loopback, if at all.
///
/// ```
/// use keygate::session::SessionCookie;
///
/// let cookie = SessionCookie::host("session")?;
/// assert_eq!(cookie.name(), "__Host-session");
/// assert_eq!(
///     cookie.clear(),
///     "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"
/// );
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionCookie {
    name: String,
    source: Source,
    attributes: &'static str,
}

impl SessionCookie {
    /// A cookie of this name behind `__Host-`.
    ///
    /// # Errors
    ///
    /// When that is no cookie's name, or has the prefix already.
    pub fn host(name: &str) -> Result<Self, ConfigError> {
        if name.is_empty() || name.starts_with(PREFIX) {
            return Err(ConfigError::invalid("cookie", name, "empty, or has the prefix already"));
        }
        Self::new(format!("{PREFIX}{name}"), "; HttpOnly; Secure; SameSite=Strict")
    }

    /// A cookie that is sent over plain HTTP too: for development without TLS, and for nothing else.
    ///
    /// Whoever is on the network can read and plant it.
    ///
    /// # Errors
    ///
    /// When that is no cookie's name, or begins like one that browsers take over TLS only.
    pub fn danger_insecure(name: &str) -> Result<Self, ConfigError> {
        if name.starts_with("__") {
            return Err(ConfigError::invalid("cookie", name, "a prefix that needs TLS"));
        }
        Self::new(name.to_owned(), "; HttpOnly; SameSite=Strict")
    }

    fn new(name: String, attributes: &'static str) -> Result<Self, ConfigError> {
        let source = Source::cookie(&name)?;
        Ok(Self { name, source, attributes })
    }

    /// The same with `SameSite=Lax`: it comes along when somebody follows a link from another site,
    /// and with the way back from an identity provider.
    #[must_use]
    pub fn lax(mut self) -> Self {
        self.attributes = match self.is_secure() {
            true => "; HttpOnly; Secure; SameSite=Lax",
            false => "; HttpOnly; SameSite=Lax",
        };
        self
    }

    /// The cookie's name, with its prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is_secure(&self) -> bool {
        self.name.starts_with(PREFIX)
    }

    /// Where a gate finds the token; for [`AuthLayer::sources`](crate::AuthLayer::sources).
    pub fn source(&self) -> Source {
        self.source.clone()
    }

    /// The value of `Set-Cookie` that gives a browser the token, for as long as it is good.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](RejectionKind::Unavailable) when name and token have more than 4,096 bytes,
    /// which browsers need not keep.
    pub fn set(&self, token: &MintedToken, now: Timestamp) -> Result<HeaderValue, Rejection> {
        let text = token.reveal();
        if self.name.len() + text.len() > LONGEST {
            return Err(unavailable("a cookie of more than 4,096 bytes"));
        }
        let life = token.expires().as_secs().saturating_sub(now.as_secs());
        let value = format!("{}={text}; Path=/; Max-Age={life}{}", self.name, self.attributes);
        let mut value = HeaderValue::try_from(value).map_err(unavailable)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The value of `Set-Cookie` that has a browser forget the cookie.
    pub fn clear(&self) -> HeaderValue {
        let value = format!("{}=; Path=/; Max-Age=0{}", self.name, self.attributes);
        // A cookie's name is visible ASCII.
        HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""))
    }

    /// True for a `Set-Cookie` of this name.
    pub(super) fn is_set_by(&self, value: &HeaderValue) -> bool {
        let rest = value.as_bytes().strip_prefix(self.name.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&b'='))
    }
}

fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Rejection {
    Rejection::new(RejectionKind::Unavailable).with_source(source)
}
