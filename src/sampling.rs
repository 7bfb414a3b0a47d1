//! How many refusals are told of, so that nobody can flood a log by failing.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{TenantId, Timestamp};

/// Tenants and addresses that are told apart at a time.
const SOURCES: usize = 10_000;
const EACH: u32 = 10;
const ADDRESSES: u32 = 600;

/// Which refusals a gate logs: so many a minute for each tenant, and for each address where the
/// caller is not known. The next one that is logged says how many were left out before it.
///
/// Memory is bounded: of more than 10,000 sources in a minute, those that come last share one count.
/// Clones share the counts.
///
/// ```
/// use std::time::Duration;
/// use keygate::{RefusalSampling, Timestamp};
///
/// let sampling = RefusalSampling::new().each(2);
/// let now = Timestamp::from_secs(1_800_000_000);
/// let acme = "acme".into();
/// assert_eq!(sampling.admit(Some(&acme), None, now), Some(0));
/// assert_eq!(sampling.admit(Some(&acme), None, now), Some(0));
/// assert_eq!(sampling.admit(Some(&acme), None, now), None);
/// let later = now.saturating_add(Duration::from_secs(60));
/// assert_eq!(sampling.admit(Some(&acme), None, later), Some(1), "one was left out");
/// ```
#[derive(Clone)]
pub struct RefusalSampling {
    each: u32,
    addresses: u32,
    windows: Arc<Mutex<Windows>>,
}

#[derive(Default)]
struct Windows {
    by_source: HashMap<Source, Window>,
    swept: u64,
    left_out: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Source {
    Tenant(TenantId),
    /// An IPv4 address, or an IPv6 network of 64 bits.
    Network(u128),
    Nowhere,
    /// All networks together.
    Networks,
    /// Those for which there is no room.
    Crowd,
    Outage,
}

#[derive(Default)]
struct Window {
    minute: u64,
    logged: u32,
    left_out: u64,
}

impl Default for RefusalSampling {
    fn default() -> Self {
        Self::new()
    }
}

impl RefusalSampling {
    /// 10 a minute for each tenant and each address, 600 for all addresses together, and 10 for
    /// outages of a store, whoever meets them.
    pub fn new() -> Self {
        Self { each: EACH, addresses: ADDRESSES, windows: Arc::default() }
    }

    /// Every refusal.
    pub fn all() -> Self {
        Self::new().each(u32::MAX).addresses(u32::MAX)
    }

    /// Another number a minute for each tenant, each address, and outages.
    #[must_use]
    pub fn each(mut self, most: u32) -> Self {
        self.each = most;
        self
    }

    /// Another number a minute for all addresses together: what an attacker with many of them can
    /// write. Known tenants are not among them.
    #[must_use]
    pub fn addresses(mut self, most: u32) -> Self {
        self.addresses = most;
        self
    }

    /// Counts a refusal. `None` when it is not to be told of, else how many of its source were left
    /// out before it. For events of your own, too: failed logins, audit trails.
    pub fn admit(
        &self,
        tenant: Option<&TenantId>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<u64> {
        let minute = now.as_secs() / 60;
        match tenant {
            Some(tenant) => self.take(Source::Tenant(tenant.clone()), minute),
            None => self.take_address(network(address), minute),
        }
    }

    /// The same for an outage: nobody's refusals hide it.
    pub fn admit_outage(&self, now: Timestamp) -> Option<u64> {
        self.take(Source::Outage, now.as_secs() / 60)
    }

    /// How many refusals were left out since the start.
    pub fn left_out(&self) -> u64 {
        self.with(|windows| windows.left_out)
    }

    fn take(&self, source: Source, minute: u64) -> Option<u64> {
        self.with(|windows| windows.take(source, minute, self.each))
    }

    fn take_address(&self, source: Source, minute: u64) -> Option<u64> {
        self.with(|windows| {
            let before = windows.take(source.clone(), minute, self.each)?;
            if windows.take(Source::Networks, minute, self.addresses).is_none() {
                windows.window(source, minute).left_out = before.saturating_add(1);
                return None;
            }
            Some(before)
        })
    }

    /// A panic elsewhere leaves counts that are whole.
    fn with<T>(&self, work: impl FnOnce(&mut Windows) -> T) -> T {
        work(&mut self.windows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Windows {
    fn take(&mut self, source: Source, minute: u64, most: u32) -> Option<u64> {
        let window = self.window(source, minute);
        if window.minute != minute {
            (window.minute, window.logged) = (minute, 0);
        }
        if window.logged < most {
            window.logged += 1;
            return Some(std::mem::take(&mut window.left_out));
        }
        window.left_out += 1;
        self.left_out += 1;
        None
    }

    fn window(&mut self, source: Source, minute: u64) -> &mut Window {
        let is_new = !self.by_source.contains_key(&source);
        // Once a minute at most: under a flood nobody pays for a sweep that finds nothing.
        if is_new && self.by_source.len() >= SOURCES && self.swept != minute {
            self.by_source.retain(|_, window| window.minute == minute);
            self.swept = minute;
        }
        let is_full = is_new && self.by_source.len() >= SOURCES;
        let may_enter = !is_full || matches!(source, Source::Networks | Source::Outage);
        self.by_source.entry(if may_enter { source } else { Source::Crowd }).or_default()
    }
}

fn network(address: Option<IpAddr>) -> Source {
    match address.map(|address| address.to_canonical()) {
        None => Source::Nowhere,
        Some(IpAddr::V4(v4)) => Source::Network(v4.to_ipv6_mapped().to_bits()),
        Some(IpAddr::V6(v6)) => Source::Network(v6.to_bits() >> 64 << 64),
    }
}

impl fmt::Debug for RefusalSampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusalSampling")
            .field("each", &self.each)
            .field("addresses", &self.addresses)
            .field("left_out", &self.left_out())
            .finish_non_exhaustive()
    }
}
