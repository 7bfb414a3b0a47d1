//! How often an address may fail to authenticate, and anybody with keys of one prefix.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::algorithm::{Answer, Decision};
use super::cell::LimitError;
use super::definition::{IPV6_PREFIX, default_table, ipv6_prefix, table};
use super::identity::Identity;
use super::quota::Quota;
use super::remote::Tally;
use super::table::Table;
use crate::{ConfigError, Rejection, RejectionKind, Timestamp};

/// How many failed authentications an address may have.
///
/// Failures count against where they come from: an IPv4 address, an IPv6 network of 64 bits, one
/// common count for those whose address is not known. They never count against the key or tenant
/// that a credential names, so nobody can use up another's quota by failing in its name. Clones
/// share the count.
///
/// Each process counts by itself, so an attacker has as many budgets as there are nodes, unless they
/// share one: with the feature `redis`, `FailureBudget::shared`.
///
/// Guesses that come from many addresses are bounded [per prefix](Self::per_prefix) of a key.
///
/// A budget means little unless the gate is told how the client's address is found:
/// [`ClientAddress::peer_from`](crate::policy::ClientAddress::peer_from).
///
/// ```
/// use keygate::{FailureBudget, Quota};
///
/// let budget = FailureBudget::new(Quota::per_minute(20)?).before_verification();
/// # let _ = budget;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
///
/// A service that checks passwords itself counts their failures with [`check`](Self::check) and
/// [`fail`](Self::fail).
#[derive(Clone, Debug)]
pub struct FailureBudget {
    pub(super) addresses: Count,
    ipv6_prefix: u8,
    before_verification: bool,
    /// By what may be shown of a key.
    pub(super) prefixes: Option<Count>,
}

/// Where failures are counted.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) table: Arc<Table>,
    pub(super) quota: Quota,
    /// By many machines besides.
    pub(super) tally: Option<Arc<Tally>>,
}

impl FailureBudget {
    /// `quota` failures for each address; those beyond are answered 429.
    pub fn new(quota: Quota) -> Self {
        Self {
            addresses: Count::new(quota),
            ipv6_prefix: IPV6_PREFIX,
            before_verification: false,
            prefixes: None,
        }
    }

    /// Refuses an address that has used up its budget before any work is done for it, whatever
    /// credential it brings. That bounds what forged tokens cost, but refuses good credentials from
    /// the same address too; without it they are let in.
    ///
    /// Nobody is refused so whose address is not known, or one attacker would lock out everybody.
    /// Without a [`ClientAddress`](crate::policy::ClientAddress::peer_from) that finds the address
    /// this does nothing.
    #[must_use]
    pub fn before_verification(mut self) -> Self {
        self.before_verification = true;
        self
    }

    /// Counts failures by the key that was presented too: `quota` for its prefix and the next 4
    /// characters, which is what may be [shown](crate::KeyFormat::display_prefix) of it, from
    /// whatever addresses. Those beyond are answered 429, so that whoever has seen a key's beginning
    /// learns no more from a thousand addresses than from one.
    ///
    /// It refuses failures only, [`before_verification`](Self::before_verification) too: the owner
    /// of a key that others guess at is let in. Clones made before count prefixes apart.
    ///
    /// ```
    /// use keygate::{FailureBudget, Quota};
    ///
    /// let budget = FailureBudget::new(Quota::per_minute(20)?).per_prefix(Quota::per_hour(100)?);
    /// # let _ = budget;
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    #[must_use]
    pub fn per_prefix(mut self, quota: Quota) -> Self {
        self.prefixes = Some(Count::new(quota));
        self
    }

    /// How many addresses are counted at most, 100,000 by default; see
    /// [`Limit::capacity`](super::Limit::capacity).
    ///
    /// # Errors
    ///
    /// When it is 0 or above 2^30.
    pub fn capacity(mut self, addresses: usize) -> Result<Self, ConfigError> {
        self.addresses.table = table(addresses)?;
        Ok(self)
    }

    /// How many leading bits of an IPv6 address make a network with one count, 64 by default.
    ///
    /// # Errors
    ///
    /// When it is 0 or above 128.
    pub fn ipv6_prefix(mut self, bits: u8) -> Result<Self, ConfigError> {
        self.ipv6_prefix = ipv6_prefix(bits)?;
        Ok(self)
    }

    /// Refuses an address that has used up its budget. Counts nothing, and refuses nobody whose
    /// address is not known: there only [`fail`](Self::fail) does, when the failures are too many.
    ///
    /// Ask before a password is looked at: later, the answer would still tell a right guess.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use keygate::{Clock, FailureBudget, Quota, Rejection, RejectionKind, SystemClock};
    ///
    /// let budget = FailureBudget::new(Quota::per_hour(1)?);
    /// let sign_in = |password: &str| -> Result<bool, Rejection> {
    ///     let (address, now) = (Some(IpAddr::from([192, 0, 2, 1])), SystemClock::new().now());
    ///     budget.check(address, now)?;
    ///     let right = password == "right";
    ///     if !right {
    ///         budget.fail(address, now)?;
    ///     }
    ///     Ok(right)
    /// };
    /// assert!(matches!(sign_in("wrong"), Ok(false)));
    /// assert_eq!(sign_in("right").unwrap_err().kind(), RejectionKind::TooManyFailures);
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TooManyFailures`](crate::RejectionKind::TooManyFailures) with the time to wait, or
    /// [`Unavailable`](crate::RejectionKind::Unavailable).
    pub fn check(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Rejection> {
        refused(self.exhausted(address, now))
    }

    /// Counts a failure.
    ///
    /// # Errors
    ///
    /// When the failure is beyond the budget; as [`check`](Self::check).
    pub fn fail(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Rejection> {
        refused(self.record(address, now))
    }

    /// Counts a failure with a key of which `prefix` may be shown.
    ///
    /// # Errors
    ///
    /// As [`fail`](Self::fail), of both counts the one that is used up for longer.
    pub(crate) fn fail_with(
        &self,
        address: Option<IpAddr>,
        prefix: impl FnOnce() -> Option<String>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let by_prefix = match &self.prefixes {
            Some(prefixes) => prefixes.record_prefix(prefix(), now),
            None => Ok(None),
        };
        let by_address = self.record(address, now);
        refused(by_address.and_then(|wait| Ok(wait.max(by_prefix?))))
    }

    pub(crate) fn is_before_verification(&self) -> bool {
        self.before_verification
    }

    /// Counts a failure. `None` when it is within the budget and may be answered as what it is; else
    /// how long the address must wait until its next one is.
    ///
    /// # Errors
    ///
    /// When the count can't be used.
    pub(super) fn record(
        &self,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Option<Duration>, LimitError> {
        self.addresses.record(&self.identity(address), now)
    }

    /// How long the address must wait, if it has used up its budget; an unknown one never, for it is
    /// the address of many. Counts nothing.
    ///
    /// # Errors
    ///
    /// When the count can't be used.
    pub(super) fn exhausted(
        &self,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Option<Duration>, LimitError> {
        if address.is_none() {
            return Ok(None);
        }
        self.addresses.exhausted(&self.identity(address), now)
    }

    fn identity(&self, address: Option<IpAddr>) -> Identity<'static> {
        Identity::network(address, self.ipv6_prefix)
    }
}

impl Count {
    fn new(quota: Quota) -> Self {
        Self { table: default_table(), quota, tally: None }
    }

    fn record_prefix(
        &self,
        prefix: Option<String>,
        now: Timestamp,
    ) -> Result<Option<Duration>, LimitError> {
        let Some(prefix) = prefix else { return Ok(None) };
        self.record(&Identity::Text(prefix.into()), now)
    }

    /// Takes one, and tells how long to wait where there is none. What is one too many here is not told
    /// to others.
    fn record(&self, who: &Identity<'_>, now: Timestamp) -> Result<Option<Duration>, LimitError> {
        let here = self.take(who, now)?;
        let there = || self.tally.as_ref().and_then(|tally| tally.fail(who, &self.quota));
        Ok(here.or_else(there))
    }

    fn take(&self, who: &Identity<'_>, now: Timestamp) -> Result<Option<Duration>, LimitError> {
        let quota = &self.quota;
        self.table.count(who, quota, now, |mut counter| wait(counter.take(quota, now, 1)))
    }

    fn exhausted(
        &self,
        who: &Identity<'_>,
        now: Timestamp,
    ) -> Result<Option<Duration>, LimitError> {
        let there = || self.tally.as_ref().and_then(|tally| tally.used_up(who, &self.quota));
        let here = self.table.look(who, &self.quota, |mut counter| {
            let here = wait(counter.decide(&self.quota, now, 1).1);
            // Keeps what the clock has done: only so does the wait end when the clock was set back.
            counter.take(&self.quota, now, 0);
            here
        })?;
        Ok(here.flatten().or_else(there))
    }
}

fn refused(wait: Result<Option<Duration>, LimitError>) -> Result<(), Rejection> {
    match wait {
        Ok(None) => Ok(()),
        Ok(Some(wait)) => {
            Err(Rejection::new(RejectionKind::TooManyFailures).with_retry_after(wait))
        }
        Err(error) => Err(Rejection::new(RejectionKind::Unavailable).with_source(error)),
    }
}

fn wait(decision: Decision) -> Option<Duration> {
    match decision.answer {
        Answer::After(nanos) => Some(Duration::from_nanos(nanos)),
        Answer::Admitted | Answer::Never => None,
    }
}
