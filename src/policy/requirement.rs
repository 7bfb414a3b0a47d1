//! What a route asks of its callers.

use std::sync::Arc;

use super::met::PolicyNumber;
use crate::principal::Method;
use crate::render::Needed;
use crate::{ConfigError, Principal, Rejection, RejectionKind, Scope};

/// What a route asks of an authenticated caller. Make it once, not for each request: a gate remembers of
/// a key or token the first policy that it was found to meet, and compares scopes for others.
///
/// ```
/// use keygate::Policy;
///
/// let read = Policy::all_of(["read:customers"])?;
/// let either = Policy::any_of(["read:analytics", "admin"])?;
/// // (read:customers AND write:customers) OR admin
/// let edit = Policy::all_of(["read:customers", "write:customers"])?.or(["admin"])?;
/// let people_only = Policy::authenticated().tokens_only();
/// let closed = Policy::deny();
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    scopes: Scopes,
    method: Option<Method>,
}

#[derive(Clone, Debug)]
enum Scopes {
    /// Any authenticated caller.
    Any,
    /// Nobody.
    Nobody,
    /// Whoever holds all scopes of one of the groups.
    Groups { number: PolicyNumber, groups: Vec<Vec<Scope>>, needed: Arc<Needed> },
}

impl Policy {
    /// Any authenticated caller.
    pub const fn authenticated() -> Self {
        Self { scopes: Scopes::Any, method: None }
    }

    /// Nobody, not even with full access.
    pub const fn deny() -> Self {
        Self { scopes: Scopes::Nobody, method: None }
    }

    /// Whoever holds all of `scopes`.
    ///
    /// # Errors
    ///
    /// When there is none, or one of them is no scope.
    pub fn all_of<T: AsRef<str>>(scopes: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        Ok(Self::of(vec![group(scopes)?]))
    }

    /// Whoever holds one of `scopes`.
    ///
    /// # Errors
    ///
    /// When there is none, or one of them is no scope.
    pub fn any_of<T: AsRef<str>>(scopes: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        Ok(Self::of(group(scopes)?.into_iter().map(|scope| vec![scope]).collect()))
    }

    /// The same, or whoever holds all of `scopes` instead. Where any caller or nobody was let in,
    /// these scopes are asked for from now on.
    ///
    /// # Errors
    ///
    /// When there is none, or one of them is no scope.
    pub fn or<T: AsRef<str>>(
        self,
        scopes: impl IntoIterator<Item = T>,
    ) -> Result<Self, ConfigError> {
        let mut groups = match self.scopes {
            Scopes::Groups { groups, .. } => groups,
            Scopes::Any | Scopes::Nobody => Vec::new(),
        };
        groups.push(group(scopes)?);
        Ok(Self { method: self.method, ..Self::of(groups) })
    }

    /// API keys only: a JWT is refused, whatever its scopes.
    #[must_use]
    pub const fn keys_only(mut self) -> Self {
        self.method = Some(Method::ApiKey);
        self
    }

    /// JWTs only: an API key is refused, even with full access.
    #[must_use]
    pub const fn tokens_only(mut self) -> Self {
        self.method = Some(Method::Jwt);
        self
    }

    /// True when being authenticated is not enough.
    pub(crate) const fn asks_more(&self) -> bool {
        self.method.is_some() || !matches!(self.scopes, Scopes::Any)
    }

    fn of(groups: Vec<Vec<Scope>>) -> Self {
        let needed = groups.first().map_or_else(Arc::default, |group| listed(group));
        let (number, needed) = (PolicyNumber::new(), Arc::new(Needed::new(needed)));
        Self { scopes: Scopes::Groups { number, groups, needed }, method: None }
    }

    /// Judges `principal`.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](RejectionKind::NotPermitted) where no scope would help,
    /// [`InsufficientScope`](RejectionKind::InsufficientScope) with the scopes needed otherwise.
    pub fn check(&self, principal: &Principal) -> Result<(), Rejection> {
        if self.method.is_some_and(|method| method != principal.method()) {
            return Err(RejectionKind::NotPermitted.into());
        }
        match &self.scopes {
            Scopes::Any => Ok(()),
            Scopes::Nobody => Err(RejectionKind::NotPermitted.into()),
            Scopes::Groups { number, groups, needed } => {
                let holds_one = || groups.iter().any(|group| holds(principal, group));
                if principal.met().meets(*number, holds_one) {
                    Ok(())
                } else {
                    Err(lacking(needed))
                }
            }
        }
    }
}

#[cold]
fn lacking(needed: &Arc<Needed>) -> Rejection {
    Rejection::new(RejectionKind::InsufficientScope).needing(Arc::clone(needed))
}

fn group<T: AsRef<str>>(scopes: impl IntoIterator<Item = T>) -> Result<Vec<Scope>, ConfigError> {
    let group = scopes
        .into_iter()
        .map(|scope| Scope::new(scope.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    if group.is_empty() {
        return Err(ConfigError::invalid("policy", "", "asks for no scope at all"));
    }
    Ok(group)
}

fn holds(principal: &Principal, group: &[Scope]) -> bool {
    group.iter().all(|scope| principal.may(scope))
}

/// The form that RFC 6750 section 3 gives the `scope` of a challenge.
fn listed(group: &[Scope]) -> Arc<str> {
    group.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ").into()
}
