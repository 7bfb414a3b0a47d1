//! Which policy somebody's scopes were found to meet, so that it is not found out for each request.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells policies apart in this process: no two that ask for other scopes have one number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyNumber(NonZeroU64);

impl PolicyNumber {
    pub(super) fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self(NonZeroU64::MIN.saturating_add(MADE.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Stands beside scopes that never change, of a key's record or of a token. Only that a policy is met
/// is remembered, and only of the first: routes with policies of their own would write to it in turns.
#[derive(Default)]
pub(crate) struct Met(AtomicU64);

impl Met {
    /// True if the policy of this number is met: as it was found before, or as `judge` finds now.
    #[inline]
    pub(crate) fn meets(
        &self,
        PolicyNumber(asked): PolicyNumber,
        judge: impl FnOnce() -> bool,
    ) -> bool {
        // No other memory depends on it.
        let known = self.0.load(Ordering::Relaxed);
        if known == asked.get() {
            return true;
        }
        let is_met = judge();
        if is_met && known == 0 {
            self.0.store(asked.get(), Ordering::Relaxed);
        }
        is_met
    }
}

impl Clone for Met {
    /// The copy's scopes may become others.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Met {
    /// Without the number: what is equal is to look equal, judged or not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Met")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{KeyDigest, KeyRecord, Policy, Principal, ScopeSet, Tenant};

    #[test]
    fn what_is_met_is_judged_once_and_what_is_not_each_time() {
        let (met, one, other) = (Met::default(), PolicyNumber::new(), PolicyNumber::new());
        assert!(!met.meets(one, || false));
        assert!(met.meets(one, || true));
        assert!(met.meets(one, || panic!("it was judged before")));
        assert!(!met.meets(other, || false));
        assert!(met.meets(other, || true), "judged by itself");
        assert!(!met.meets(other, || false), "and each time");
        assert!(met.meets(one, || panic!("the first is remembered")));
    }

    #[test]
    fn a_key_that_lost_a_scope_meets_no_policy_that_it_met_before() {
        let policy = Policy::all_of(["write"]).unwrap();
        let access = |scope| ScopeSet::new([scope]).unwrap();
        let record = KeyRecord::new("k", KeyDigest::of("k"), Tenant::new("acme"));
        let record = Arc::new(record.with_access(access("write")));
        assert!(policy.check(&Principal::of_key(Arc::clone(&record))).is_ok());

        let same = Arc::try_unwrap(record).unwrap();
        let lesser = Principal::of_key(Arc::new(same.with_access(access("read"))));
        assert!(policy.check(&lesser).is_err());
        assert!(Policy::all_of(["read"]).unwrap().check(&lesser).is_ok());
        assert!(policy.check(&lesser).is_err());
    }

    #[test]
    fn a_policy_that_asks_for_less_or_more_is_another() {
        let record = KeyRecord::new("k", KeyDigest::of("k"), Tenant::new("acme"));
        let record = record.with_access(ScopeSet::new(["read"]).unwrap());
        let caller = Principal::of_key(Arc::new(record));
        let read = Policy::all_of(["read"]).unwrap();
        assert!(read.check(&caller).is_ok());
        assert!(read.clone().check(&caller).is_ok());
        assert!(
            read.clone().tokens_only().check(&caller).is_err(),
            "how it came is asked each time"
        );
        assert!(Policy::all_of(["read", "write"]).unwrap().check(&caller).is_err());
        assert!(Policy::all_of(["write"]).unwrap().check(&caller).is_err());
        assert!(Policy::deny().check(&caller).is_err());
        assert!(Policy::all_of(["write"]).unwrap().or(["read"]).unwrap().check(&caller).is_ok());
    }

    #[test]
    fn a_copy_is_judged_anew() {
        let (met, asked) = (Met::default(), PolicyNumber::new());
        assert!(met.meets(asked, || true));
        assert!(!met.clone().meets(asked, || false));
    }
}
