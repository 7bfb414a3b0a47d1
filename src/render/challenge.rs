//! `WWW-Authenticate`: how a caller may prove itself (RFC 9110 section 11.6.1, RFC 6750 section 3).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::wording::ByKind;
use crate::metadata::ProtectedResource;
use crate::{ConfigError, Rejection, RejectionKind};

/// A way to send a credential that a challenge can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// `Authorization: Bearer` (RFC 6750), for tokens and keys.
    Bearer,
    /// `Authorization: Basic` (RFC 7617). Browsers ask their user for a password.
    Basic,
    /// A header of its own such as `X-API-Key`. No registered scheme describes that, but a 401 has
    /// to name one (RFC 9110 section 15.5.2).
    ApiKey,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Basic => "Basic",
            Self::ApiKey => "ApiKey",
        }
    }
}

/// The `WWW-Authenticate` lines of a gate: one for each scheme, made at configuration.
///
/// Only `Bearer` says what was wrong: nothing where there was no credential, else `invalid_token`,
/// `insufficient_scope` or `invalid_request`. What is said of a key tells neither expired nor
/// inactive from unknown, so that an envelope may keep them alike.
///
/// ```
/// use http::HeaderMap;
/// use keygate::render::Challenge;
/// use keygate::{Rejection, RejectionKind};
///
/// let challenge = Challenge::new("orders")?;
/// let rejection = Rejection::new(RejectionKind::InsufficientScope).with_scopes("read:orders");
/// let mut headers = HeaderMap::new();
/// challenge.apply(&rejection, &mut headers);
/// assert_eq!(
///     headers["www-authenticate"],
///     r#"Bearer realm="orders", error="insufficient_scope", scope="read:orders""#
/// );
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Challenge {
    realm: String,
    schemes: Vec<Scheme>,
    /// Where the metadata of the protected resource is.
    metadata: Option<String>,
    texts: ByKind<String>,
    lines: ByKind<Vec<HeaderValue>>,
}

impl Challenge {
    /// A challenge for `Bearer`.
    ///
    /// # Errors
    ///
    /// When `realm` holds anything but visible ASCII and spaces.
    pub fn new(realm: &str) -> Result<Self, ConfigError> {
        Self::default().realm(realm)
    }

    /// The same with another realm.
    ///
    /// # Errors
    ///
    /// When `realm` holds anything but visible ASCII and spaces.
    pub fn realm(mut self, realm: &str) -> Result<Self, ConfigError> {
        if !realm.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(ConfigError::invalid("realm", realm, "not visible ASCII"));
        }
        self.realm = realm.replace('\\', r"\\").replace('"', "\\\"");
        Ok(self.rebuilt())
    }

    /// The same for these schemes. With none it is `ApiKey`: no 401 goes without a challenge.
    #[must_use]
    pub fn offering(mut self, schemes: &[Scheme]) -> Self {
        self.schemes.clear();
        for scheme in if schemes.is_empty() { &[Scheme::ApiKey] } else { schemes } {
            if !self.schemes.contains(scheme) {
                self.schemes.push(*scheme);
            }
        }
        self.rebuilt()
    }

    /// The same, naming where a client finds out which authorization servers the resource trusts:
    /// `resource_metadata` of `Bearer` (RFC 9728 section 5.1).
    #[must_use]
    pub fn resource(mut self, resource: &ProtectedResource) -> Self {
        self.metadata = Some(resource.metadata_url().to_owned());
        self.rebuilt()
    }

    /// The same with another `error_description` for `kind`; with an empty one, without.
    ///
    /// # Errors
    ///
    /// When `text` holds a character that RFC 6750 section 3 does not allow there: `"`, `\`, or
    /// anything but visible ASCII and spaces.
    pub fn text(mut self, kind: RejectionKind, text: &str) -> Result<Self, ConfigError> {
        if !text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
            let reason = "a character outside those of RFC 6750 section 3";
            return Err(ConfigError::invalid("error_description", text, reason));
        }
        self.texts.set(kind, text.to_owned());
        Ok(self.rebuilt())
    }

    /// Puts the lines for `rejection` in place of those that are there.
    pub fn apply(&self, rejection: &Rejection, headers: &mut HeaderMap) {
        let [first, more @ ..] = &**self.lines.get(rejection.kind()) else {
            headers.remove(WWW_AUTHENTICATE);
            return;
        };
        headers.insert(WWW_AUTHENTICATE, with_scopes(first, rejection));
        for line in more {
            headers.append(WWW_AUTHENTICATE, with_scopes(line, rejection));
        }
    }

    fn quoted(realm: String) -> Self {
        let texts = ByKind::from_fn(|kind| description(kind).to_owned());
        let lines = ByKind::from_fn(|_| Vec::new());
        let schemes = vec![Scheme::Bearer];
        Self { realm, schemes, metadata: None, texts, lines }.rebuilt()
    }

    fn rebuilt(mut self) -> Self {
        self.lines = ByKind::from_fn(|kind| {
            self.schemes.iter().filter_map(|scheme| self.line(*scheme, kind)).collect()
        });
        self
    }

    fn line(&self, scheme: Scheme, kind: RejectionKind) -> Option<HeaderValue> {
        let error = error(kind).filter(|_| scheme == Scheme::Bearer);
        if error.is_none() && kind.status() != StatusCode::UNAUTHORIZED {
            return None;
        }
        let mut line = format!("{} realm=\"{}\"", scheme.name(), self.realm);
        let metadata = self.metadata.as_deref().filter(|_| scheme == Scheme::Bearer);
        let parameters = [
            ("error", error),
            ("error_description", self.told(kind, error)),
            ("resource_metadata", metadata),
        ];
        for (name, value) in parameters {
            if let Some(value) = value {
                line += &format!(", {name}=\"{value}\"");
            }
        }
        HeaderValue::try_from(line).ok()
    }

    fn told(&self, kind: RejectionKind, error: Option<&str>) -> Option<&str> {
        error.map(|_| self.texts.get(kind).as_str()).filter(|text| !text.is_empty())
    }
}

impl Default for Challenge {
    /// `Bearer realm="api"`.
    fn default() -> Self {
        Self::quoted("api".to_owned())
    }
}

/// The error codes of RFC 6750 section 3.1.
const fn error(kind: RejectionKind) -> Option<&'static str> {
    match kind {
        RejectionKind::AmbiguousCredential => Some("invalid_request"),
        RejectionKind::InsufficientScope => Some("insufficient_scope"),
        RejectionKind::KeyExpired
        | RejectionKind::KeyInactive
        | RejectionKind::KeyInvalid
        | RejectionKind::TenantSuspended
        | RejectionKind::TokenExpired
        | RejectionKind::TokenInvalid => Some("invalid_token"),
        _ => None,
    }
}

const fn description(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::InsufficientScope => "",
        RejectionKind::KeyExpired
        | RejectionKind::KeyInactive
        | RejectionKind::KeyInvalid
        | RejectionKind::TenantSuspended => "The credential is invalid, expired or inactive",
        _ => kind.text(),
    }
}

fn with_scopes(line: &HeaderValue, rejection: &Rejection) -> HeaderValue {
    let needed =
        rejection.needed().filter(|_| rejection.kind() == RejectionKind::InsufficientScope);
    needed.and_then(|needed| needed.added_to(line)).unwrap_or_else(|| line.clone())
}
