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

use super::paths::Paths;
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
    paths: Paths<Asks>,
    unknown: Option<Asks>,
    any: bool,
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
        self.rule(None, path, Asks::Nothing)
    }

    /// Asks `policy` of whoever calls `path` with `method`.
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub fn require(self, method: Method, path: &str, policy: Policy) -> Result<Self, ConfigError> {
        self.rule(Some(method), path, Asks::Policy(policy))
    }

    /// Asks `policy` of whoever calls `path` with whatever method.
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub fn require_all(self, path: &str, policy: Policy) -> Result<Self, ConfigError> {
        self.rule(None, path, Asks::Policy(policy))
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

    fn rule(mut self, of: Option<Method>, path: &str, asks: Asks) -> Result<Self, ConfigError> {
        self.any = true;
        self.paths.add(of, path, asks)?;
        Ok(self)
    }

    /// True when no rule can name a route.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        !self.any
    }

    /// What the request's route asks; `None` where no rule names it.
    #[inline]
    pub(crate) fn asks(&self, request: Head<'_>) -> Result<Option<&Asks>, RejectionKind> {
        if self.any { self.look_up(request) } else { Ok(None) }
    }

    #[inline(never)]
    fn look_up(&self, request: Head<'_>) -> Result<Option<&Asks>, RejectionKind> {
        let asks = self.paths.find(request.uri.path(), request.method)?;
        Ok(asks.or(self.unknown.as_ref()))
    }
}
