//! How many refusals are told of, so that nobody can flood a log by failing.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{TenantId, Timestamp};

/// Tenants that are told apart at a time; addresses, too.
const SOURCES: usize = 10_000;
const EACH: u32 = 100;
const ADDRESSES: u32 = 1000;

/// Which refusals a gate logs: so many a minute for each tenant, and for each address where the
/// caller is not known. The next one that is logged says how many were left out before it.
///
/// Memory is bounded: of more than 10,000 tenants in a minute, those that come last share one count;
/// of more than 10,000 addresses, too.
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
    counts: Arc<Mutex<Counts>>,
}

/// Addresses have a table of their own: those who fail from many of them take no tenant's room.
#[derive(Default)]
struct Counts {
    tenants: Windows<TenantId>,
    networks: Windows<Option<u128>>,
    all_networks: Window,
    outages: Window,
    left_out: u64,
}

struct Windows<K> {
    by_source: HashMap<K, Window>,
    /// Those for whom there is no room.
    crowd: Window,
    swept: u64,
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
    /// 100 a minute for each tenant and each address, 1,000 for all addresses together, and 100 for
    /// outages of a store, whoever meets them.
    pub fn new() -> Self {
        Self { each: EACH, addresses: ADDRESSES, counts: Arc::default() }
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
        self.with(|counts| match tenant {
            Some(tenant) => counts.tenants.window(tenant, minute).take(minute, self.each),
            None => {
                let window = counts.networks.window(&network(address), minute);
                window.take_of(&mut counts.all_networks, minute, [self.each, self.addresses])
            }
        })
    }

    /// The same for an outage: nobody's refusals hide it.
    pub fn admit_outage(&self, now: Timestamp) -> Option<u64> {
        self.with(|counts| counts.outages.take(now.as_secs() / 60, self.each))
    }

    /// How many refusals were left out since the start.
    pub fn left_out(&self) -> u64 {
        self.lock().left_out
    }

    fn with(&self, take: impl FnOnce(&mut Counts) -> Option<u64>) -> Option<u64> {
        let mut counts = self.lock();
        let taken = take(&mut counts);
        counts.left_out += u64::from(taken.is_none());
        taken
    }

    /// A panic elsewhere leaves counts that are whole.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Windows<K> {
    fn window(&mut self, source: &K, minute: u64) -> &mut Window {
        let is_full = self.by_source.len() >= SOURCES && !self.by_source.contains_key(source);
        // Once a minute at most: under a flood nobody pays for a sweep that finds nothing.
        if is_full && self.swept != minute {
            self.by_source.retain(|_, window| window.minute == minute);
            self.swept = minute;
        }
        if is_full && self.by_source.len() >= SOURCES {
            return &mut self.crowd;
        }
        self.by_source.entry(source.clone()).or_default()
    }
}

impl<K> Default for Windows<K> {
    fn default() -> Self {
        Self { by_source: HashMap::new(), crowd: Window::default(), swept: 0 }
    }
}

impl Window {
    fn take(&mut self, minute: u64, most: u32) -> Option<u64> {
        if self.minute != minute {
            (self.minute, self.logged) = (minute, 0);
        }
        if self.logged < most {
            self.logged += 1;
            return Some(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        None
    }

    /// The same where `all` have a share, too.
    fn take_of(&mut self, all: &mut Self, minute: u64, most: [u32; 2]) -> Option<u64> {
        let before = self.take(minute, most[0])?;
        if all.take(minute, most[1]).is_none() {
            self.left_out = before + 1;
            return None;
        }
        Some(before)
    }
}

/// An IPv4 address, or an IPv6 network of 64 bits.
fn network(address: Option<IpAddr>) -> Option<u128> {
    match address?.to_canonical() {
        IpAddr::V4(v4) => Some(v4.to_ipv6_mapped().to_bits()),
        IpAddr::V6(v6) => Some(v6.to_bits() >> 64 << 64),
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
