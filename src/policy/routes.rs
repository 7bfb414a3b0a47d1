//! What each route asks, for services without a router of their own rules: plain hyper, tonic.
//!
//! ```
//! use http::Method;
//! use keygate::policy::Routes;
//! use keygate::Policy;
//!
//! let routes = Routes::new()
//!     .public("/health")?
//!     .require(Method::GET, "/contacts/{id}", Policy::all_of(["read:contacts"])?)?
//!     .grpc("helloworld.Greeter", "SayHello", Policy::all_of(["greet"])?)?
//!     .deny_unknown();
//! # let _ = routes;
//! # Ok::<(), keygate::ConfigError>(())
//! ```

use http::Method;

use crate::{ConfigError, Head, Policy, RejectionKind};

/// What routes ask of their callers; see the [module](self).
///
/// Patterns are those of axum: `/contacts/{id}`, `/files/{*rest}`. A rule for GET holds for HEAD too.
/// The most specific pattern of a path is taken, and of its rules the first whose method fits; what a
/// broader pattern says does not hold then. `/files/{*rest}` is not `/files`. What no rule names needs
/// authentication and nothing else, or is [denied](Self::deny_unknown), which is the safer choice.
///
/// A path that two readers could read in two ways (`//`, `/../`, an encoded `/` or letter, `\`, `;`)
/// is refused with 400 as soon as there is one rule, because the service behind the gate may read it
/// the other way.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    paths: matchit::Router<usize>,
    /// Each pattern with its rules; the router has their index.
    patterns: Vec<(String, Vec<Rule>)>,
    unknown: Option<Asks>,
    any: bool,
}

#[derive(Clone, Debug)]
struct Rule {
    method: Option<Method>,
    asks: Asks,
}

/// What a route asks of its callers.
#[derive(Clone, Debug)]
pub(crate) enum Asks {
    /// Nothing: whatever credential a request carries is not looked at.
    Nothing,
    /// What the policy says.
    Policy(Policy),
}

impl Routes {
    /// No rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody reach `path`, with any method, without looking at credentials.
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub fn public(self, path: &str) -> Result<Self, ConfigError> {
        self.rule(path, Rule { method: None, asks: Asks::Nothing })
    }

    /// Asks `policy` of whoever calls `path` with `method`.
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub fn require(self, method: Method, path: &str, policy: Policy) -> Result<Self, ConfigError> {
        self.rule(path, Rule { method: Some(method), asks: Asks::Policy(policy) })
    }

    /// Asks `policy` of whoever calls `path` with whatever method.
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub fn require_all(self, path: &str, policy: Policy) -> Result<Self, ConfigError> {
        self.rule(path, Rule { method: None, asks: Asks::Policy(policy) })
    }

    /// Asks `policy` of whoever calls a gRPC method, such as `SayHello` of `helloworld.Greeter`.
    ///
    /// # Errors
    ///
    /// When the names are no names.
    pub fn grpc(self, service: &str, method: &str, policy: Policy) -> Result<Self, ConfigError> {
        for name in [service, method] {
            let known = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
            if name.is_empty() || !name.bytes().all(known) {
                return Err(ConfigError::invalid("gRPC name", name, "no name of protobuf"));
            }
        }
        self.require_all(&format!("/{service}/{method}"), policy)
    }

    /// Refuses whatever no rule names.
    #[must_use]
    pub fn deny_unknown(mut self) -> Self {
        self.unknown = Some(Asks::Policy(Policy::deny()));
        self.any = true;
        self
    }

    fn rule(mut self, path: &str, rule: Rule) -> Result<Self, ConfigError> {
        self.any = true;
        if let Some((_, rules)) = self.patterns.iter_mut().find(|(pattern, _)| pattern == path) {
            rules.push(rule);
            return Ok(self);
        }
        if !path.starts_with('/') {
            return Err(ConfigError::invalid("route", path, "does not begin with a slash"));
        }
        self.paths.insert(path, self.patterns.len()).map_err(|_| {
            ConfigError::invalid("route", path, "no pattern, or contradicts another")
        })?;
        self.patterns.push((path.to_owned(), vec![rule]));
        Ok(self)
    }

    /// What the request's route asks; `None` where no rule names it.
    #[inline]
    pub(crate) fn asks(&self, request: Head<'_>) -> Result<Option<&Asks>, RejectionKind> {
        if self.any { self.look_up(request) } else { Ok(None) }
    }

    fn look_up(&self, request: Head<'_>) -> Result<Option<&Asks>, RejectionKind> {
        let path = request.uri.path();
        if !is_plain(path) {
            return Err(RejectionKind::InvalidPath);
        }
        if self.is_another_without_slash(path) {
            return Err(RejectionKind::InvalidPath);
        }
        Ok(self.find(path, request.method).or(self.unknown.as_ref()))
    }

    fn pattern(&self, path: &str) -> Option<&(String, Vec<Rule>)> {
        self.paths.at(path).ok().and_then(|found| self.patterns.get(*found.value))
    }

    fn find(&self, path: &str, method: &Method) -> Option<&Asks> {
        let (_, rules) = self.pattern(path)?;
        let fits = |rule: &&Rule| match &rule.method {
            None => true,
            Some(of) => of == method || (of == Method::GET && method == Method::HEAD),
        };
        rules.iter().find(fits).map(|rule| &rule.asks)
    }

    /// A service that ignores a trailing slash would serve what another rule protects. A pattern that
    /// ends with a slash means it.
    fn is_another_without_slash(&self, path: &str) -> bool {
        let Some(bare) = path.strip_suffix('/') else { return false };
        let pattern = |path| self.pattern(path).map(|(pattern, _)| pattern.as_str());
        let (with, without) = (pattern(path), pattern(bare));
        without.is_some() && with != without && !with.is_some_and(|with| with.ends_with('/'))
    }
}

fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let odd = |byte: &u8| matches!(byte, b'\\' | b';' | b'#' | 0..=0x20 | 0x7f..);
    path.starts_with('/')
        && !bytes.iter().any(odd)
        && !path[1..].split('/').rev().skip(1).any(str::is_empty)
        && !path.split('/').any(|segment| segment == "." || segment == "..")
        && path.split('%').skip(1).all(is_plain_escape)
}

/// Only what can't stand for itself may be escaped: an escaped letter, `.`, `/` or `\` is a way
/// around a rule (RFC 3986 section 6.2.2.2).
fn is_plain_escape(after_percent: &str) -> bool {
    let byte = after_percent.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
    byte.is_some_and(|byte| {
        !byte.is_ascii_alphanumeric() && !byte.is_ascii_control() && !b"-._~/\\;%".contains(&byte)
    })
}
