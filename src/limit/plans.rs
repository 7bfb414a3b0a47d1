//! Plans that change while the service runs.

use std::sync::Arc;

use super::quota::Quota;

/// What each plan has, in a place that may change at any time: a quota that is set holds from the
/// next request on, without a restart and without a lock on the road of a request. Clones are the
/// same plans, and several limits may share them.
///
/// ```
/// use keygate::limit::Plans;
/// use keygate::{Limit, Quota};
///
/// let plans = Plans::new([("starter", Quota::per_hour(500)?), ("pro", Quota::per_hour(5_000)?)]);
/// let hourly = Limit::per_tenant(Quota::per_hour(100)?).plans(&plans);
/// # let _ = hourly;
///
/// // Later, wherever the service hears of it:
/// plans.set("pro", Quota::per_hour(8_000)?);
/// assert_eq!(plans.get("pro"), Some(Quota::per_hour(8_000)?));
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Plans(Arc<papaya::HashMap<Box<str>, Quota>>);

impl Plans {
    /// These plans.
    pub fn new<N: Into<Box<str>>>(plans: impl IntoIterator<Item = (N, Quota)>) -> Self {
        let this = Self::default();
        this.replace(plans);
        this
    }

    /// Gives the plan `name` another quota, or makes it. Its callers start a new count with the new
    /// quota, and find the old one if it is set back: at worst they get the sum in one window.
    pub fn set(&self, name: impl Into<Box<str>>, quota: Quota) {
        self.0.pin().insert(name.into(), quota);
    }

    /// Ends the plan `name`: who is on it has the limit's own quota.
    pub fn remove(&self, name: &str) {
        self.0.pin().remove(name);
    }

    /// Sets all of `plans`, and removes all others. Requests meanwhile meet each plan as it was or as
    /// it will be.
    pub fn replace<N: Into<Box<str>>>(&self, plans: impl IntoIterator<Item = (N, Quota)>) {
        let here = self.0.pin();
        let mut kept = Vec::new();
        for (name, quota) in plans {
            let name = name.into();
            kept.push(name.clone());
            here.insert(name, quota);
        }
        here.retain(|name, _| kept.contains(name));
    }

    /// What the plan `name` has.
    pub fn get(&self, name: &str) -> Option<Quota> {
        self.0.pin().get(name).copied()
    }

    /// The smallest limit of all.
    pub(super) fn smallest(&self) -> Option<u64> {
        self.0.pin().values().map(Quota::limit).min()
    }
}
