//! Which refusals are told of: some of each source, and of a flood no more than of a trickle.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::Duration;

use keygate::{RefusalSampling, TenantId, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn tenant(name: &str) -> TenantId {
    TenantId::from(name)
}

fn v4(last: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from_bits(last).into())
}

fn v6(bits: u128) -> Option<IpAddr> {
    Some(Ipv6Addr::from_bits(bits).into())
}

/// How many of `count` refusals of one source are told of.
fn told(
    log: &RefusalSampling,
    count: usize,
    tenant: Option<&TenantId>,
    from: Option<IpAddr>,
) -> usize {
    (0..count).filter(|_| log.admit(tenant, from, NOW).is_some()).count()
}

#[test]
fn each_source_has_its_own_share_and_no_other() {
    let log = RefusalSampling::new();
    for name in ["acme", "other"] {
        assert_eq!(told(&log, 1000, Some(&tenant(name)), v4(1)), 100, "{name}");
    }
    for from in [v4(1), v4(2), v6(1), v6(1 << 64), None] {
        assert_eq!(told(&log, 1000, None, from), 100, "{from:?}");
    }
    assert_eq!(log.left_out(), 7 * 900);
}

/// A client with a network of its own has 2^64 addresses in it.
#[test]
fn an_ipv6_network_is_one_source_and_a_mapped_address_is_the_ipv4_address() {
    let log = RefusalSampling::new();
    let told_of =
        (0..1000).filter(|host| log.admit(None, v6(7 << 64 | host), NOW).is_some()).count();
    assert_eq!(told_of, 100);
    assert_eq!(told(&log, 1000, None, v4(9)), 100);
    let mapped = Ipv4Addr::from_bits(9).to_ipv6_mapped();
    assert_eq!(told(&log, 100, None, Some(mapped.into())), 0);
}

#[test]
fn the_next_one_says_how_many_were_left_out() {
    let log = RefusalSampling::new().each(2);
    let acme = tenant("acme");
    let at = |minutes: u32| log.admit(Some(&acme), None, NOW.saturating_add(MINUTE * minutes));
    let first: Vec<_> = (0..5).map(|_| at(0)).collect();
    assert_eq!(first, [Some(0), Some(0), None, None, None]);
    assert_eq!([at(1), at(1), at(1)], [Some(3), Some(0), None]);
    assert_eq!(at(9), Some(1), "however long that takes");
    assert_eq!(log.left_out(), 4);
}

#[test]
fn addresses_together_are_bounded_and_tenants_do_not_suffer() {
    let log = RefusalSampling::new();
    let told_of = (0..100_000).filter(|from| log.admit(None, v4(*from), NOW).is_some()).count();
    assert_eq!(told_of, 1000);
    assert_eq!(told(&log, 1000, Some(&tenant("acme")), v4(1)), 100);
    assert!(log.admit_outage(NOW).is_some(), "an outage is not hidden");
    let later = NOW.saturating_add(MINUTE);
    assert_eq!(log.admit(None, v4(7_000), later), Some(1), "its own, not the others'");
}

#[test]
fn outages_are_sampled_for_themselves() {
    let log = RefusalSampling::new();
    let told_of = (0..1000).filter(|_| log.admit_outage(NOW).is_some()).count();
    assert_eq!(told_of, 100);
    assert_eq!(log.admit_outage(NOW.saturating_add(MINUTE)), Some(900));
}

/// More tenants than there is room for share one count; the next minute has room for others.
#[test]
fn memory_is_bounded_and_is_freed_by_time() {
    let log = RefusalSampling::new().each(1);
    let admitted = |names: std::ops::Range<u32>, now| {
        let one = |name: &u32| log.admit(Some(&tenant(&name.to_string())), None, now).is_some();
        names.filter(one).count()
    };
    assert_eq!(admitted(0..50_000, NOW), 10_001, "one for all those without room");
    let later = NOW.saturating_add(MINUTE);
    assert_eq!(admitted(50_000..55_000, later), 5_000);
    assert!(log.admit_outage(later).is_some());
}

#[test]
fn all_means_all_and_none_means_none() {
    let all = RefusalSampling::all();
    assert_eq!(
        told(&all, 5000, None, v4(1)) + told(&all, 5000, Some(&tenant("acme")), None),
        10_000
    );
    let none = RefusalSampling::new().each(0);
    assert_eq!(told(&none, 100, None, v4(1)) + told(&none, 100, Some(&tenant("acme")), None), 0);
    assert!(format!("{none:?}").contains("left_out: 200"), "{none:?}");
}

#[test]
fn threads_and_clones_share_the_counts() {
    let log = RefusalSampling::new();
    let acme = tenant("acme");
    let told_of: usize = thread::scope(|scope| {
        let one = || told(&log.clone(), 1000, Some(&acme), None);
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((told_of, log.left_out()), (100, 3900));
}

proptest! {
    /// Nothing is told of more often than allowed, and what is told of and left out is all there was.
    #[test]
    fn the_counts_add_up(
        refusals in prop::collection::vec((0_u8..4, 0_u64..240), 0..300),
        each in 0_u32..6,
    ) {
        let log = RefusalSampling::new().each(each);
        let mut refusals = refusals;
        refusals.sort_by_key(|(_, second)| *second);
        let mut told = std::collections::HashMap::<(u8, u64), u32>::new();
        let mut reported = 0;
        for (source, second) in &refusals {
            let now = NOW.saturating_add(Duration::from_secs(*second));
            let name = tenant(&source.to_string());
            if let Some(before) = log.admit(Some(&name), None, now) {
                reported += before;
                *told.entry((*source, now.as_secs() / 60)).or_default() += 1;
            }
        }
        prop_assert!(told.values().all(|count| *count <= each));
        let all: u32 = told.values().sum();
        prop_assert_eq!(u64::from(all) + log.left_out(), refusals.len() as u64);
        prop_assert!(reported <= log.left_out());
    }
}
