//! Who shares a limit, which quota is theirs, and what a request costs.

use super::*;
use crate::limit::definition::Limit;

fn hour(limit: u64) -> Quota {
    Quota::per_hour(limit).unwrap()
}

fn on_plan(id: &str, plan: &str) -> Principal {
    Principal::of_key(Arc::new(record(id, Tenant::new("acme").with_plan(plan))))
}

#[test]
fn no_limit_admits_everything_and_says_nothing() {
    let none = Limits::default();
    assert!(none.is_empty());
    let verdict = take(&none, &key("k", "acme"), noon());
    assert!(verdict.is_admitted());
    assert!(verdict.remaining().is_empty());
}

#[test]
fn a_standing_tells_all_a_header_needs() {
    let limits = limits([Limit::per_key(hour(3)).name("hourly").unwrap()]);
    let taken = take(&limits, &key("k", "acme"), after(600));
    assert!(taken.is_admitted());
    let standings = taken.standings;
    let [standing] = standings.as_slice() else { panic!("{standings:?}") };
    assert_eq!(standing.name.as_str(), "hourly");
    assert_eq!((standing.limit, standing.remaining), (3, 2));
    assert_eq!(standing.window, Duration::from_secs(3_600));
    assert_eq!(standing.reset, after(3_600));
    assert_eq!(standing.reset_after, Duration::from_secs(3_000));
}

#[test]
fn keys_of_a_tenant_share_its_limit() {
    let limits = limits([Limit::per_tenant(hour(3))]);
    let (one, two) = (key("k1", "acme"), key("k2", "acme"));
    assert_eq!(take(&limits, &one, noon()).remaining(), [2]);
    assert_eq!(take(&limits, &two, noon()).remaining(), [1]);
    assert_eq!(take(&limits, &token(Some("acme")), noon()).remaining(), [0]);
    assert!(!take(&limits, &one, noon()).is_admitted());
    assert!(take(&limits, &key("k1", "globex"), noon()).is_admitted());
}

#[test]
fn each_key_has_a_limit_per_key_for_itself() {
    for limit in [Limit::per_key(hour(1)), Limit::per_subject(hour(1))] {
        let limits = limits([limit]);
        assert_eq!(admitted(&limits, &key("k1", "acme"), noon(), 3), 1);
        assert_eq!(admitted(&limits, &key("k2", "acme"), noon(), 3), 1);
        assert_eq!(admitted(&limits, &key("k1", "acme"), noon(), 3), 0, "in another record");
    }
}

#[test]
fn a_key_and_a_subject_of_one_text_are_two_callers() {
    let limits = limits([Limit::per_key(hour(1))]);
    let token = token(None);
    let key = key(token.subject(), "acme");
    assert_eq!(key.subject(), token.subject());
    assert_eq!(admitted(&limits, &key, noon(), 3), 1);
    assert_eq!(admitted(&limits, &token, noon(), 3), 1);
}

#[test]
fn a_caller_without_a_tenant_is_not_unlimited() {
    let limits = limits([Limit::per_tenant(hour(2))]);
    assert_eq!(admitted(&limits, &token(None), noon(), 5), 2);
    assert_eq!(admitted(&limits, &token(Some("")), noon(), 5), 2, "a tenant without a name");
}

#[test]
fn addresses_are_counted_by_network() {
    let limits = limits([Limit::per_address(hour(1)).ipv6_prefix(48).unwrap()]);
    let admits = |address: &str| {
        let address = Some(address.parse().unwrap());
        take_from(&limits, &key("k", "acme"), address, noon()).is_admitted()
    };
    assert!(admits("2001:db8::1"));
    assert!(!admits("2001:db8:0:7::1"));
    assert!(admits("192.0.2.1"));
    assert!(!admits("::ffff:192.0.2.1"));
    assert_eq!(admitted(&limits, &key("k", "acme"), noon(), 3), 1, "unknown addresses share one");
}

#[test]
fn a_closure_counts_by_what_it_gives() {
    let limits = limits([Limit::by(hour(1), |caller| Some(caller.principal().subject().into()))]);
    assert_eq!(admitted(&limits, &key("k1", "acme"), noon(), 3), 1);
    assert_eq!(admitted(&limits, &key("k2", "acme"), noon(), 3), 1);
}

#[test]
fn a_closure_that_gives_nothing_exempts() {
    let limits = limits([
        Limit::by(hour(1), |caller| caller.principal().key().is_none().then(|| "token".into())),
        Limit::per_key(hour(2)),
    ]);
    let verdict = take(&limits, &key("k", "acme"), noon());
    assert_eq!(verdict.remaining(), [1], "only of the limit that applies");
    assert_eq!(take(&limits, &token(None), noon()).remaining(), [0, 1]);
    let exempt = self::limits([Limit::by(hour(1), |_| None)]);
    assert_eq!(admitted(&exempt, &token(None), noon(), 9), 9);
}

#[test]
fn the_plan_picks_the_quota() {
    let limits =
        limits([Limit::per_key(hour(1)).plan("starter", hour(2)).plan("enterprise", hour(3))]);
    assert_eq!(admitted(&limits, &on_plan("a", "starter"), noon(), 9), 2);
    assert_eq!(admitted(&limits, &on_plan("b", "enterprise"), noon(), 9), 3);
    assert_eq!(admitted(&limits, &on_plan("c", "unheard-of"), noon(), 9), 1);
    assert_eq!(admitted(&limits, &key("d", "acme"), noon(), 9), 1);
}

#[test]
fn a_change_of_plan_starts_a_new_count() {
    let limits =
        limits([Limit::per_tenant(hour(1)).plan("starter", hour(2)).plan("enterprise", hour(5))]);
    assert_eq!(admitted(&limits, &on_plan("a", "starter"), noon(), 9), 2);
    assert_eq!(admitted(&limits, &on_plan("a", "enterprise"), noon(), 9), 5);
    assert_eq!(admitted(&limits, &on_plan("a", "starter"), noon(), 9), 0, "and back to the old");
    assert_eq!(take(&limits, &on_plan("a", "starter"), noon()).remaining(), [0]);
}

#[test]
fn plans_of_one_quota_share_a_count() {
    let limits = limits([Limit::per_tenant(hour(1)).plan("a", hour(3)).plan("b", hour(3))]);
    assert_eq!(admitted(&limits, &on_plan("k", "a"), noon(), 2), 2);
    assert_eq!(admitted(&limits, &on_plan("k", "b"), noon(), 9), 1);
}

/// Two quotas for one tenant: of every algorithm, with limits and windows that differ.
fn pairs() -> Vec<[Quota; 2]> {
    let mut pairs = Vec::new();
    for one in ALGORITHMS {
        for other in ALGORITHMS {
            pairs.push([quota(100, 3_600_000, one), quota(5, 3_600_000, other)]);
            pairs.push([quota(100, 86_400_000, one), quota(5, 3_600_000, other)]);
            pairs.push([quota(100, 3_600_000, one), quota(5, 86_400_000, other)]);
            pairs.push([quota(100, 86_400_000, one), quota(100, 3_600_000, other)]);
        }
    }
    pairs
}

/// At most the sum where the quotas differ, and where they don't one of them.
fn bound([one, other]: [Quota; 2]) -> u64 {
    if one == other { one.limit() } else { one.limit() + other.limit() }
}

fn alternate(limits: [&Limits; 2], callers: [&Principal; 2]) -> u64 {
    let turn = |n: usize| admitted(limits[n % 2], callers[n % 2], noon(), 1 + n as u64 % 3);
    (0..300).map(turn).sum()
}

#[test]
fn alternating_two_plans_admits_at_most_the_sum() {
    for pair in pairs() {
        let limits = limits([Limit::per_tenant(pair[0]).plan("other", pair[1])]);
        // Keys, and a token, of which no directory told the plan, in the table.
        let (plain, other) = (key("a", "acme"), on_plan("b", "other"));
        assert_eq!(alternate([&limits, &limits], [&plain, &other]), bound(pair), "{pair:?}");
        let token = token(Some("acme"));
        assert_eq!(alternate([&limits, &limits], [&token, &other]), 0, "the same counts");
    }
}

#[test]
fn alternating_two_gates_with_clones_of_a_limit_admits_at_most_the_sum() {
    for pair in pairs() {
        for sharing in [Limit::per_tenant, Limit::per_key, Limit::per_address] {
            let limit = sharing(pair[0]);
            let other = limit.clone().plan("mine", pair[1]);
            let (one, two) = (limits([limit.clone()]), limits([other.clone()]));
            let caller = on_plan("k", "mine");
            let total = alternate([&one, &two], [&caller, &caller]);
            assert_eq!(total, bound(pair), "one record: {pair:?}");

            let several = |limit| limits([limit, Limit::by(hour(1), |_| None)]);
            let gates = [&several(limit), &several(other)];
            assert_eq!(alternate(gates, [&caller, &caller]), 0, "the same counts");
        }
    }
}

#[test]
fn alternating_key_quotas_admits_at_most_the_sum() {
    for pair in pairs() {
        let limits = limits([Limit::per_key(hour(1)).prefer_key_quota()]);
        let with =
            |quota| Principal::of_key(Arc::new(record("k", Tenant::new("acme")).with_quota(quota)));
        let (one, other) = (with(pair[0]), with(pair[1]));
        assert_eq!(alternate([&limits, &limits], [&one, &other]), bound(pair), "{pair:?}");
    }
}

#[test]
fn a_keys_own_quota_wins_only_when_preferred() {
    let own = || {
        let record = record("own", Tenant::new("acme")).with_quota(hour(5));
        Principal::of_key(Arc::new(record))
    };
    assert_eq!(admitted(&limits([Limit::per_key(hour(2))]), &own(), noon(), 9), 2);
    let preferring = limits([Limit::per_key(hour(2)).prefer_key_quota()]);
    assert_eq!(admitted(&preferring, &own(), noon(), 9), 5);
    assert_eq!(admitted(&preferring, &key("plain", "acme"), noon(), 9), 2);
}

#[test]
fn a_key_with_its_own_quota_takes_nothing_from_its_tenant() {
    let limits = limits([Limit::per_tenant(hour(2)).prefer_key_quota()]);
    let own = record("own", Tenant::new("acme")).with_quota(hour(5));
    assert_eq!(admitted(&limits, &Principal::of_key(Arc::new(own)), noon(), 9), 5);
    assert_eq!(admitted(&limits, &key("plain", "acme"), noon(), 9), 2);
}

#[test]
fn a_cost_takes_so_many_at_once() {
    let limit = Limit::per_key(hour(10));
    let (plain, dear) = (limits([limit.clone()]), limits([limit.cost(4)]));
    let caller = key("k", "acme");
    assert_eq!(take(&dear, &caller, noon()).remaining(), [6]);
    assert_eq!(take(&plain, &caller, noon()).remaining(), [5], "clones share the count");
    assert_eq!(take(&dear, &caller, noon()).remaining(), [1]);
    let denied = take(&dear, &caller, noon());
    assert_eq!(denied.remaining(), [1], "without the cost");
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(3_600)));
    assert!(take(&plain, &caller, noon()).is_admitted());
}

#[test]
fn a_cost_of_nothing_is_never_refused() {
    let limit = Limit::per_key(hour(1));
    let (plain, free) = (limits([limit.clone()]), limits([limit.cost(0)]));
    let caller = key("k", "acme");
    assert_eq!(admitted(&plain, &caller, noon(), 3), 1);
    assert_eq!(take(&free, &caller, noon()).remaining(), [0]);
    assert_eq!(admitted(&free, &caller, noon(), 3), 3);
}

#[test]
fn the_request_may_tell_its_cost() {
    let weigh = |caller: &Caller<'_>| caller.principal().subject().len() as u64;
    let limits = limits([Limit::per_tenant(hour(10)).cost_by(weigh)]);
    assert_eq!(take(&limits, &key("four", "acme"), noon()).remaining(), [6]);
    let never = take(&limits, &key("more than ten", "acme"), noon());
    assert!(!never.is_admitted());
    assert_eq!((never.remaining(), never.retry_after()), (vec![6], None));
}

#[test]
fn all_limits_count_or_none() {
    let limits = limits([
        Limit::per_tenant(hour(10)),
        Limit::per_key(hour(2)),
        Limit::per_address(Quota::per_day(3).unwrap()),
    ]);
    let (one, two) = (key("k1", "acme"), key("k2", "acme"));
    assert_eq!(take(&limits, &one, noon()).remaining(), [9, 1, 2]);
    assert_eq!(take(&limits, &one, noon()).remaining(), [8, 0, 1]);
    let denied = take(&limits, &one, noon());
    assert_eq!(denied.remaining(), [8, 0, 1], "in the order of the limits, nothing taken");
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(3_600)));
    assert_eq!(take(&limits, &two, noon()).remaining(), [7, 1, 0]);
    let denied = take(&limits, &two, noon());
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(86_400)));
    let denied = take(&limits, &one, noon());
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(86_400)), "the longest of them");
}

#[test]
fn never_outranks_later() {
    let limits = limits([Limit::per_tenant(hour(1)), Limit::per_key(hour(5)).cost_by(|_| 6)]);
    let denied = take(&limits, &key("k", "acme"), noon());
    assert_eq!((denied.remaining(), denied.retry_after()), (vec![1, 5], None));
}

#[test]
fn a_wait_is_never_zero_seconds() {
    let limits = limits([Limit::per_key(Quota::per_second(1).unwrap())]);
    take(&limits, &key("k", "acme"), noon());
    let late = at(NOON + SECOND - 1);
    let wait = take(&limits, &key("k", "acme"), late).retry_after().unwrap();
    assert_eq!(wait, Duration::from_nanos(1));
    let rejection = crate::Rejection::new(crate::RejectionKind::RateLimited).with_retry_after(wait);
    assert_eq!(rejection.retry_after_secs(), Some(1));
}

#[test]
fn a_record_that_moves_to_another_tenant_is_counted_there() {
    let limits = limits([Limit::per_tenant(hour(1))]);
    let mut shared = Arc::new(record("k", Tenant::new("acme")));
    assert_eq!(admitted(&limits, &Principal::of_key(shared.clone()), noon(), 3), 1);
    let moved = std::mem::replace(&mut shared, Arc::new(record("x", Tenant::new("acme"))));
    let moved = Arc::try_unwrap(moved).unwrap().with_tenant(Tenant::new("globex"));
    assert_eq!(admitted(&limits, &Principal::of_key(Arc::new(moved)), noon(), 3), 1);
    assert_eq!(admitted(&limits, &key("y", "globex"), noon(), 3), 0);
}

#[test]
fn more_than_two_limits_are_counted_each_by_itself() {
    let all = |index: u64| Limit::per_key(hour(index + 2)).name(format!("limit {index}")).unwrap();
    let limits = limits((0..8).map(all));
    let caller = key("k", "acme");
    assert_eq!(take(&limits, &caller, noon()).remaining(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(take(&limits, &caller, noon()).remaining(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(!take(&limits, &caller, noon()).is_admitted());
    assert_eq!(take(&limits, &key("k", "acme"), noon()).remaining(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn who_had_to_make_room_and_holds_a_place_finds_the_one_that_counts() {
    let limits = limits([Limit::per_key(hour(10)).capacity(1).unwrap()]);
    let held = key("held", "acme");
    assert_eq!(take(&limits, &held, noon()).remaining(), [9]);
    take(&limits, &key("other", "acme"), noon());
    assert_eq!(take(&limits, &held, noon()).remaining(), [9], "the count was dropped for room");
    assert_eq!(take(&limits, &held, noon()).remaining(), [8]);

    take(&limits, &key("other", "acme"), noon());
    let twin = key("held", "acme");
    assert_eq!(take(&limits, &twin, noon()).remaining(), [9]);
    assert_eq!(take(&limits, &held, noon()).remaining(), [8], "it is not counted apart");
    assert_eq!(take(&limits, &twin, noon()).remaining(), [7]);
}

#[test]
fn several_limits_count_all_or_none_when_one_had_to_make_room() {
    let limits =
        limits([Limit::per_key(hour(10)).capacity(1).unwrap(), Limit::per_tenant(hour(100))]);
    let held = key("held", "acme");
    assert_eq!(take(&limits, &held, noon()).remaining(), [9, 99]);
    assert_eq!(take(&limits, &key("other", "acme"), noon()).remaining(), [9, 98]);
    assert_eq!(take(&limits, &held, noon()).remaining(), [9, 97]);
    assert_eq!(take(&limits, &held, noon()).remaining(), [8, 96]);
}

#[test]
fn a_poisoned_table_lets_nobody_in_and_counts_nothing() {
    let tenant = Limit::per_tenant(hour(5));
    let per_key = Limit::per_key(hour(5));
    let both = limits([tenant.clone(), per_key.clone()]);
    per_key.table().poison();

    let (caller, head) = (key("k", "acme"), head());
    let nowhere = nowhere();
    let head = (&head).into();
    let asking = Caller::new(&caller, &head, &nowhere);
    let error = try_take(&both, &asking, noon()).err().unwrap();
    assert_eq!(error.to_string(), "a rate limit's table was left locked by a panic");
    assert!(try_take(&limits([per_key]), &asking, noon()).is_err());
    assert_eq!(take(&limits([tenant]), &caller, noon()).remaining(), [4]);
}

fn refused(all: impl IntoIterator<Item = Limit>) -> String {
    Limits::new(all).unwrap_err().to_string()
}

#[test]
fn what_can_never_work_is_refused_at_start() {
    let limit = || Limit::per_key(hour(10));
    assert!(refused([limit().cost(11)]).contains("cost of a limit \"11\""));
    assert!(refused([limit().plan("small", hour(2)).cost(3)]).contains("above one of its quotas"));
    assert!(Limits::new([limit().cost(10)]).is_ok());
    assert!(refused([limit(), limit()]).contains("Limit::name"));
    let one = limit();
    let clone = one.clone().cost(2).name("other").unwrap();
    assert!(refused([one.clone(), clone.clone()]).contains("shares its counters"));
    assert!(Limits::new([one, clone.capacity(5).unwrap()]).is_ok());
    let nine = (0..9).map(|n| limit().name(n.to_string()).unwrap());
    assert!(refused(nine).contains("at most 8"));
}

#[test]
fn debug_shows_no_head() {
    let mut head = head();
    head.headers.insert("authorization", "Bearer sk_live_secret".parse().unwrap());
    let caller = key("k", "acme");
    let shown = format!("{:?}", Caller::new(&caller, &(&head).into(), &nowhere()));
    assert!(shown.contains("acme") && !shown.contains("secret"), "{shown}");
}

#[test]
fn one_text_for_a_key_and_its_tenant_is_two_owners() {
    let limits = limits([Limit::per_tenant(hour(3)).prefer_key_quota()]);
    let shared = record("same", Tenant::new("same"));
    let alone = Principal::of_key(Arc::new(shared.clone().with_quota(hour(3))));
    assert_eq!(admitted(&limits, &alone, noon(), 5), 3);
    assert_eq!(admitted(&limits, &Principal::of_key(Arc::new(shared)), noon(), 5), 3);
}

#[test]
fn a_record_is_counted_for_whom_it_names_and_by_the_digest_that_it_has() {
    let (tenants, keys) = (limits([Limit::per_tenant(hour(3))]), limits([Limit::per_key(hour(3))]));
    let is_used_up = |limits: &Limits, record: &KeyRecord| {
        admitted(limits, &Principal::of_key(Arc::new(record.clone())), noon(), 3) == 0
    };
    let one = record("k", Tenant::new("acme"));
    assert!(!is_used_up(&tenants, &one) && is_used_up(&tenants, &one));
    assert!(!is_used_up(&keys, &one) && is_used_up(&keys, &one));

    let renamed = one.clone().with_tenant(Tenant::new("other"));
    assert!(!is_used_up(&tenants, &renamed), "not for the tenant that it had");
    assert!(is_used_up(&keys, &renamed), "it is the same key");
    let renewed = one.with_digest(KeyDigest::of("under another pepper"));
    assert!(!is_used_up(&keys, &renewed), "as `Limit` says");
    assert!(is_used_up(&tenants, &renewed), "of the same tenant");
}
