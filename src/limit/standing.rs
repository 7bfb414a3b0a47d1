//! Where a caller stands against a limit: the facts behind every rate-limit header.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::algorithm::Decision;
use super::quota::Quota;
use crate::Timestamp;

/// A limit's name; cheap to clone.
#[derive(Clone)]
pub struct LimitName(Text);

#[derive(Clone)]
enum Text {
    /// Costs nothing to clone, and stands in every answer.
    Static(&'static str),
    Shared(Arc<str>),
}

impl LimitName {
    pub(crate) const fn from_static(name: &'static str) -> Self {
        Self(Text::Static(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(name) => name,
            Text::Shared(name) => name,
        }
    }
}

impl PartialEq for LimitName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for LimitName {}

impl fmt::Debug for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl std::ops::Deref for LimitName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for LimitName {
    fn from(name: &str) -> Self {
        Self(Text::Shared(name.into()))
    }
}

impl From<Arc<str>> for LimitName {
    fn from(name: Arc<str>) -> Self {
        Self(Text::Shared(name))
    }
}

/// Where one caller stands against one limit, after the request was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The limit's name, as in `RateLimit-Policy`.
    pub name: LimitName,
    /// How much the quota allows in a window.
    pub limit: u64,
    /// The quota's window; zero where so many may run at a time
    /// ([`Concurrency`](super::Concurrency)).
    pub window: Duration,
    /// How much is left; never negative.
    pub remaining: u64,
    /// When the whole quota is there again.
    pub reset: Timestamp,
    /// How long until then.
    pub reset_after: Duration,
}

impl Standing {
    /// A quota of `limit` in each `window` of which nothing is used yet.
    pub fn new(name: impl Into<LimitName>, limit: u64, window: Duration) -> Self {
        Self {
            name: name.into(),
            limit,
            window,
            remaining: limit,
            reset: Timestamp::EPOCH,
            reset_after: Duration::ZERO,
        }
    }

    /// Where a caller stands after a decision at `now`.
    #[inline(always)]
    pub(super) fn after(
        decision: Decision,
        name: &LimitName,
        quota: &Quota,
        now: Timestamp,
    ) -> Self {
        Self {
            name: name.clone(),
            limit: quota.limit(),
            window: quota.window(),
            remaining: decision.remaining,
            reset: Timestamp::from_nanos(now.as_nanos().saturating_add(decision.reset)),
            reset_after: Duration::from_nanos(decision.reset),
        }
    }
}

/// Where one caller stands against all limits of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings(Kept);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    None,
    One(Standing),
    Many(Vec<Standing>),
}

impl Standings {
    /// Adds one.
    pub fn push(&mut self, standing: Standing) {
        self.push_with(|| standing);
    }

    /// Adds one that is made where it is to stay: to make it and then to move it takes longer.
    #[inline(always)]
    pub(crate) fn push_with(&mut self, standing: impl FnOnce() -> Standing) {
        match self.0 {
            // Nothing is there to be dropped, which the compiler does not see.
            Kept::None => std::mem::forget(std::mem::replace(&mut self.0, Kept::One(standing()))),
            Kept::One(_) | Kept::Many(_) => self.push_another(standing),
        }
    }

    /// It is made here, or the road above would make it before it knows where it is to stay.
    #[inline(never)]
    fn push_another(&mut self, standing: impl FnOnce() -> Standing) {
        let standing = standing();
        self.0 = match std::mem::take(&mut self.0) {
            Kept::None => Kept::One(standing),
            Kept::One(first) => {
                let mut all = Vec::with_capacity(4);
                all.extend([first, standing]);
                Kept::Many(all)
            }
            Kept::Many(mut all) => {
                all.push(standing);
                Kept::Many(all)
            }
        };
    }

    /// All of them, in the order of the limits.
    pub fn as_slice(&self) -> &[Standing] {
        match &self.0 {
            Kept::None => &[],
            Kept::One(standing) => std::slice::from_ref(standing),
            Kept::Many(all) => all,
        }
    }

    /// The one with the least left, which is the one that a client must watch; of equals, the one
    /// that is full again last. How many run at a time is no part of that.
    pub fn tightest(&self) -> Option<&Standing> {
        let all = self.as_slice().iter().filter(|standing| !standing.window.is_zero());
        all.min_by_key(|s| (s.remaining, std::cmp::Reverse(s.reset)))
    }
}

impl From<Standing> for Standings {
    fn from(standing: Standing) -> Self {
        Self(Kept::One(standing))
    }
}
