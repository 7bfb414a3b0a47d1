//! Finds the one credential of a request, and tells a key from a JWT by its looks.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};

use crate::RejectionKind::{self, AmbiguousCredential, KeyInvalid, TokenInvalid};
use crate::key::{Formats, Reading};
use crate::outcome::InAuthorization;
use crate::render::Scheme;
use crate::{ConfigError, Environment, jwt};

/// Longer credentials are refused before anything is done with them, in bytes.
const LONGEST: usize = 16 * 1024;
/// Longer cookie lines are not searched, in bytes over all lines.
const LONGEST_COOKIES: usize = 64 * 1024;

/// One place in a request where a credential may stand, and of which kind.
///
/// ```
/// use keygate::Source;
///
/// let sources = [
///     Source::bearer(),                        // Authorization: Bearer, a key or a JWT
///     Source::header("x-api-key")?,            // X-API-Key, a key
///     Source::cookie("session")?,              // a JWT in a cookie
///     Source::basic(),                         // the user name of Authorization: Basic, a key
///     Source::header("x-token")?.tokens_only(),
/// ];
/// # let _ = sources;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    place: Place,
    kinds: Kinds,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Bearer,
    Basic,
    Header(HeaderName),
    Cookie(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinds {
    Both,
    Keys,
    Tokens,
}

impl Source {
    /// `Authorization: Bearer …` (RFC 6750 section 2.1), for keys and JWTs.
    pub const fn bearer() -> Self {
        Self { place: Place::Bearer, kinds: Kinds::Both }
    }

    /// The user name of `Authorization: Basic …` (RFC 7617), for keys. The password is not looked at.
    ///
    /// Browsers repeat it by themselves once a person has typed it in: what says that it comes from
    /// another site is refused like a cookie's request, see [`SameOrigin`](crate::policy::SameOrigin).
    pub const fn basic() -> Self {
        Self { place: Place::Basic, kinds: Kinds::Keys }
    }

    /// A header of that name, for keys.
    ///
    /// # Errors
    ///
    /// When `name` is no header's name, or one that has a meaning of its own.
    pub fn header(name: &str) -> Result<Self, ConfigError> {
        match HeaderName::try_from(name) {
            Ok(name)
                if matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie") =>
            {
                Err(ConfigError::invalid("credential header", name, "has a meaning of its own"))
            }
            Ok(name) => Ok(Self { place: Place::Header(name), kinds: Kinds::Keys }),
            Err(_) => Err(ConfigError::invalid("credential header", name, "no header name")),
        }
    }

    /// A cookie of that name, for JWTs. Requests with unsafe methods then need a proof of their
    /// origin; see [`SameOrigin`](crate::policy::SameOrigin).
    ///
    /// # Errors
    ///
    /// When `name` is no cookie's name (RFC 6265 section 4.1.1).
    pub fn cookie(name: &str) -> Result<Self, ConfigError> {
        // A cookie's name is a token like a header's, but upper case stays upper case.
        if HeaderName::try_from(name).is_err() {
            return Err(ConfigError::invalid("cookie", name, "no cookie name"));
        }
        Ok(Self { place: Place::Cookie(name.to_owned()), kinds: Kinds::Tokens })
    }

    /// For keys only.
    #[must_use]
    pub fn keys_only(mut self) -> Self {
        self.kinds = Kinds::Keys;
        self
    }

    /// For JWTs only.
    #[must_use]
    pub fn tokens_only(mut self) -> Self {
        self.kinds = Kinds::Tokens;
        self
    }

    fn scheme(&self) -> Option<Scheme> {
        match self.place {
            Place::Bearer => Some(Scheme::Bearer),
            Place::Basic => Some(Scheme::Basic),
            Place::Header(_) | Place::Cookie(_) => None,
        }
    }

    const fn sender(&self) -> Sender {
        match self.place {
            Place::Cookie(_) => Sender::Browser,
            Place::Basic => Sender::BrowserOrProgram,
            Place::Bearer | Place::Header(_) => Sender::Program,
        }
    }

    const fn is_authorization(&self) -> bool {
        matches!(self.place, Place::Bearer | Place::Basic)
    }

    /// The kind of refusal for something that stands here and can't be a credential.
    fn malformed(&self) -> RejectionKind {
        match self.kinds {
            Kinds::Both | Kinds::Keys => KeyInvalid,
            Kinds::Tokens => TokenInvalid,
        }
    }
}

/// Who adds a credential to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A browser, by itself, whichever page caused the request.
    Browser,
    /// A browser by itself, or a program.
    BrowserOrProgram,
    /// A program that knows it; a page's script too, but only that of the page that knows it.
    Program,
}

/// A credential of a request, told apart but not yet proved.
pub(crate) enum Credential<'r> {
    /// A key's text, and what it and its place say.
    ApiKey(Cow<'r, [u8]>, Marks),
    /// What has the shape of a token.
    Jwt(Cow<'r, [u8]>, InAuthorization),
}

/// What a key says before it is looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// The environment that its text names.
    pub(crate) environment: Option<Environment>,
    pub(crate) in_authorization: InAuthorization,
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey(..) => "ApiKey([redacted])",
            Self::Jwt(..) => "Jwt([redacted])",
        })
    }
}

/// What stands for a credential, not looked into yet, and where it stood.
pub(crate) struct Found<'r, 's> {
    raw: &'r [u8],
    source: &'s Source,
}

impl<'r> Found<'r, '_> {
    pub(crate) fn sender(&self) -> Sender {
        self.source.sender()
    }

    /// What may be logged of it.
    pub(crate) fn display(&self, formats: &Formats) -> Option<String> {
        formats.display(&self.text().ok()?).map(str::to_owned)
    }

    fn text(&self) -> Result<Cow<'r, [u8]>, RejectionKind> {
        match self.source.place {
            Place::Basic => user_name(self.raw).map(Cow::Owned),
            Place::Bearer | Place::Header(_) | Place::Cookie(_) => Ok(Cow::Borrowed(self.raw)),
        }
    }

    /// Tells a key from a JWT: by the configured formats first, by the shape of a JWT second, and
    /// never by trying. `admits` judges the environment that a key's text names.
    pub(crate) fn classify(
        self,
        formats: &Formats,
        admits: impl Fn(Environment) -> bool,
    ) -> Result<Credential<'r>, RejectionKind> {
        let text = self.text()?;
        let in_authorization = self.source.is_authorization();
        match (formats.read(&text), self.source.kinds) {
            (Reading::Foreign, Kinds::Both | Kinds::Tokens) if jwt::looks_like_jwt(&text) => {
                Ok(Credential::Jwt(text, in_authorization))
            }
            (Reading::Key(environment), Kinds::Both | Kinds::Keys)
                if environment.is_none_or(&admits) =>
            {
                Ok(Credential::ApiKey(text, Marks { environment, in_authorization }))
            }
            _ => Err(self.source.malformed()),
        }
    }
}

/// All places of a gate.
#[derive(Clone, Debug)]
pub(crate) struct Sources(Vec<Source>);

impl Default for Sources {
    fn default() -> Self {
        let header = Place::Header(HeaderName::from_static("x-api-key"));
        Self(vec![Source::bearer(), Source { place: header, kinds: Kinds::Keys }])
    }
}

impl Sources {
    /// # Errors
    ///
    /// When there is none, or one place stands twice.
    pub(crate) fn new(sources: Vec<Source>) -> Result<Self, ConfigError> {
        if sources.is_empty() {
            return Err(ConfigError::invalid("sources", "[]", "no place to find a credential"));
        }
        for (index, source) in sources.iter().enumerate() {
            if sources[..index].iter().any(|other| other.place == source.place) {
                let place = format!("{:?}", source.place);
                return Err(ConfigError::invalid("sources", place, "stands twice"));
            }
        }
        Ok(Self(sources))
    }

    /// JWTs from `Authorization: Bearer`.
    pub(crate) fn bearer_tokens() -> Self {
        Self(vec![Source::bearer().tokens_only()])
    }

    /// The schemes that a challenge names. A 401 has at least one (RFC 9110 section 15.5.2); headers
    /// and cookies have no registered one.
    pub(crate) fn schemes(&self) -> Vec<Scheme> {
        let schemes: Vec<_> = self.0.iter().filter_map(Source::scheme).collect();
        if schemes.is_empty() { vec![Scheme::ApiKey] } else { schemes }
    }

    /// The request's only credential; several are never chosen from (RFC 6750 section 2).
    pub(crate) fn find<'r>(
        &self,
        headers: &'r HeaderMap,
    ) -> Result<Option<Found<'r, '_>>, RejectionKind> {
        let mut found = None;
        for source in &self.0 {
            let Some(raw) = source.read(headers).transpose() else { continue };
            if found.replace((raw, source)).is_some() {
                return Err(AmbiguousCredential);
            }
        }
        found.map(|(raw, source)| Ok(Found { raw: raw?, source })).transpose()
    }
}

impl Source {
    /// True when something stands here, once.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        matches!(self.read(headers), Ok(Some(_)))
    }

    #[inline]
    fn read<'r>(&self, headers: &'r HeaderMap) -> Result<Option<&'r [u8]>, RejectionKind> {
        match &self.place {
            Place::Bearer => self.authorization(headers, b"bearer"),
            Place::Header(name) if !has(headers, name) => Ok(None),
            _ => self.read_elsewhere(headers),
        }
    }

    #[inline(never)]
    fn read_elsewhere<'r>(
        &self,
        headers: &'r HeaderMap,
    ) -> Result<Option<&'r [u8]>, RejectionKind> {
        match &self.place {
            Place::Bearer => self.authorization(headers, b"bearer"),
            Place::Basic => self.authorization(headers, b"basic"),
            Place::Header(name) => self.text(only(headers, name)?),
            Place::Cookie(name) => self.text(cookie(headers, name)?),
        }
    }

    /// Of a bearable length.
    fn text<'r>(&self, value: Option<&'r [u8]>) -> Result<Option<&'r [u8]>, RejectionKind> {
        let fits = value.is_none_or(|value| (1..=LONGEST).contains(&value.len()));
        if fits { Ok(value) } else { Err(self.malformed()) }
    }

    /// What follows the scheme. Schemes are case-insensitive and end with spaces (RFC 9110 section
    /// 11.4); another scheme than `scheme`, in small letters, is somebody else's.
    #[inline]
    fn authorization<'r, const LENGTH: usize>(
        &self,
        headers: &'r HeaderMap,
        scheme: &[u8; LENGTH],
    ) -> Result<Option<&'r [u8]>, RejectionKind> {
        let Some(value) = only(headers, &AUTHORIZATION)? else { return Ok(None) };
        let Some((name, mut rest)) = value.split_first_chunk() else { return Ok(None) };
        // A letter's case is one bit, which makes no letter of anything else.
        if name.map(|byte| byte | 0x20) != *scheme || rest.first().is_some_and(|b| *b != b' ') {
            return Ok(None);
        }
        while let [b' ', more @ ..] = rest {
            rest = more;
        }
        self.text(Some(rest))
    }
}

/// True when a line has that name. Most requests have few, and to walk past their names takes less
/// than to hash one.
#[inline]
fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    const FEW: usize = 16;
    match headers.keys_len() {
        ..=FEW => headers.keys().any(|other| other == name),
        _ => is_among_many(headers, name),
    }
}

#[inline(never)]
fn is_among_many(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.contains_key(name)
}

/// The header's only line; two are never chosen from (RFC 9110 section 5.3).
fn only<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Result<Option<&'r [u8]>, RejectionKind> {
    let first = headers.get(name).map(HeaderValue::as_bytes);
    // Where every line has a name of its own, nothing is left to look for.
    let is_only = headers.len() == headers.keys_len() || !is_repeated(headers, name);
    if is_only { Ok(first) } else { Err(AmbiguousCredential) }
}

#[inline(never)]
fn is_repeated(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().count() > 1
}

#[inline(never)]
fn user_name(encoded: &[u8]) -> Result<Vec<u8>, RejectionKind> {
    let mut text = STANDARD.decode(encoded).map_err(|_| KeyInvalid)?;
    let colon = text.iter().position(|byte| *byte == b':').ok_or(KeyInvalid)?;
    text.truncate(colon);
    Ok(text)
}

/// The cookie's only value. HTTP/2 may spread cookies over several lines (RFC 9113 section 8.2.3).
fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r [u8]>, RejectionKind> {
    let lines = || headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    if lines().map(<[u8]>::len).sum::<usize>() > LONGEST_COOKIES {
        return Err(TokenInvalid);
    }
    let pairs = lines().flat_map(|line| line.split(|b| *b == b';')).map(<[u8]>::trim_ascii);
    let mut values = pairs.filter_map(|pair| value_of(pair, name));
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(AmbiguousCredential),
        (value, None) => Ok(value),
    }
}

fn value_of<'r>(pair: &'r [u8], name: &str) -> Option<&'r [u8]> {
    let equals = pair.iter().position(|b| *b == b'=')?;
    let (key, value) = pair.split_at(equals);
    (key.trim_ascii() == name.as_bytes()).then(|| value[1..].trim_ascii())
}
