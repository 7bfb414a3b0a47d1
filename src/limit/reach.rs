//! Which requests a limit is for, and what they cost by their route.

use http::Method;

use super::caller::Caller;
use super::definition::Limit;
use crate::policy::Paths;
use crate::{ConfigError, Head, Scope};

/// What a limit says of single routes and scopes.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    scope: Option<Scope>,
    only: Paths<()>,
    costs: Paths<u64>,
}

impl Reach {
    /// True when the caller's request is one of those that the limit is for. One whose path can be
    /// read in two ways is, or a second slash would be a way around the limit.
    #[cold]
    pub(super) fn holds(&self, caller: &Caller<'_>) -> bool {
        let is_route =
            |head: Head<'_>| !matches!(self.only.find(path(head), head.method), Ok(None));
        self.scope.as_ref().is_none_or(|scope| caller.principal().may(scope))
            && (self.only.is_empty() || is_route(caller.head()))
    }

    /// What a request costs by its route, where it costs `usual` on others; the most of all where its
    /// path can be read in two ways.
    #[cold]
    pub(super) fn cost(&self, head: Head<'_>, usual: u64) -> u64 {
        match self.costs.find(path(head), head.method) {
            Ok(cost) => cost.copied().unwrap_or(usual),
            Err(_) => self.dearest().max(usual),
        }
    }

    /// The most that a route costs.
    pub(super) fn dearest(&self) -> u64 {
        self.costs.values().copied().max().unwrap_or(0)
    }
}

fn path(head: Head<'_>) -> &str {
    head.uri.path()
}

impl Limit {
    /// Only for requests of this method and path; called again, for those too. Others are not counted
    /// by this limit.
    ///
    /// Paths are those of [`Routes`](crate::policy::Routes): `/contacts/{id}`, `/files/{*rest}`, as
    /// the gate sees them; GET is for HEAD too. A request whose path could be read in two ways
    /// (`//search`, `/search/`) is counted wherever it may lead, so that it is no way around.
    ///
    /// ```
    /// use http::Method;
    /// use keygate::{Limit, Quota};
    ///
    /// // Ten exports an hour, whatever else is called; and none of a search's cost is hidden.
    /// let exports = Limit::per_tenant(Quota::per_hour(10)?)
    ///     .on(Method::POST, "/exports")?
    ///     .name("exports")?;
    /// let calls = Limit::per_tenant(Quota::per_minute(1_000)?)
    ///     .cost_on(Method::GET, "/contacts/search", 20)?;
    /// // Who may write in bulk has a limit for that.
    /// let bulk = Limit::per_key(Quota::per_minute(50)?).for_scope("write:bulk")?.name("bulk")?;
    /// # let _ = (exports, calls, bulk);
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub fn on(self, method: Method, path: &str) -> Result<Self, ConfigError> {
        self.reaching(|reach| reach.only.add(Some(method), path, ()))
    }

    /// As [`on`](Self::on), with whatever method.
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub fn on_path(self, path: &str) -> Result<Self, ConfigError> {
        self.reaching(|reach| reach.only.add(None, path, ()))
    }

    /// Only for callers that may `scope`, as a [`Policy`](crate::Policy) judges it; called again, for
    /// the scope of the last call. Others are not counted by this limit.
    ///
    /// # Errors
    ///
    /// When `scope` is no scope.
    pub fn for_scope(self, scope: &str) -> Result<Self, ConfigError> {
        let scope = Scope::new(scope)?;
        self.reaching(|reach| {
            reach.scope = Some(scope);
            Ok(())
        })
    }

    /// What a request of this method and path costs, instead of [`cost`](Self::cost) or
    /// [`cost_by`](Self::cost_by). A path that could be read in two ways costs the most of all.
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub fn cost_on(self, method: Method, path: &str, cost: u64) -> Result<Self, ConfigError> {
        self.reaching(|reach| reach.costs.add(Some(method), path, cost))
    }
}
