//! Whole gates against a model of them: several limits, callers, costs and plans at once.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::limit::algorithm::{Answer, State, decide};
use crate::limit::cell::Counter;
use crate::limit::identity::Identity;
use crate::limit::table::Table;

/// One limit as a map that is never too small and has no shards.
#[derive(Default)]
struct Plain(HashMap<String, State>);

impl Plain {
    fn ask(&self, who: &str, quota: &Quota, now: u64, cost: u64) -> (State, Answer, u64) {
        let state = self.0.get(who).copied().unwrap_or_default();
        let (state, decision) = decide(quota, state, now, cost);
        (state, decision.answer, decision.remaining)
    }
}

/// All or none, by asking first and keeping then.
fn expect(
    plain: &mut [Plain; 2],
    who: [&str; 2],
    quotas: &[Quota; 2],
    now: u64,
    cost: u64,
) -> (bool, Vec<u64>) {
    let asks = |cost, plain: &[Plain; 2]| {
        [0, 1].map(|index| plain[index].ask(who[index], &quotas[index], now, cost))
    };
    let admitted = asks(cost, plain).iter().all(|(_, answer, _)| *answer == Answer::Admitted);
    let taken = asks(if admitted { cost } else { 0 }, plain);
    for (index, (state, ..)) in taken.iter().enumerate() {
        plain[index].0.insert(who[index].to_owned(), *state);
    }
    (admitted, taken.iter().map(|(.., remaining)| *remaining).collect())
}

fn any_quota() -> impl Strategy<Value = Quota> {
    (1..30_u64, 100..5_000_u64, prop::sample::select(ALGORITHMS.to_vec()))
        .prop_map(|(limit, millis, algorithm)| quota(limit, millis, algorithm))
}

fn any_window() -> impl Strategy<Value = Quota> {
    let month = (1..30_u64).prop_map(|limit| Quota::per_calendar_month(limit).unwrap());
    prop_oneof![4 => any_quota(), 1 => month]
}

proptest! {
    #[test]
    fn a_gate_counts_as_the_model_does(
        quotas in [any_quota(), any_quota()],
        calls in prop::collection::vec((0..SECOND, 0..4_usize, 0..12_u64), 1..80),
    ) {
        let weigh = |caller: &Caller<'_>| caller.head().headers.len() as u64;
        let limits = limits([
            Limit::per_tenant(quotas[0]).cost_by(weigh),
            Limit::per_key(quotas[1]).cost_by(weigh),
        ]);
        let names = [["acme", "k0"], ["acme", "k1"], ["globex", "k2"], ["globex", "k3"]];
        let callers = names.map(|[tenant, id]| key(id, tenant));
        let (mut plain, mut now) = ([Plain::default(), Plain::default()], NOON);
        for (step, who, cost) in calls {
            now += step;
            let mut head = head();
            for _ in 0..cost {
                head.headers.append("x-cost", http::HeaderValue::from_static("1"));
            }
            let verdict = try_take(&limits, &Caller::new(&callers[who], &(&head).into(), &nowhere()), at(now)).unwrap();
            let (admitted, remaining) = expect(&mut plain, names[who], &quotas, now, cost);
            prop_assert_eq!(verdict.is_admitted(), admitted);
            prop_assert_eq!(verdict.remaining(), remaining);
        }
    }

    #[test]
    fn each_quota_of_a_caller_counts_as_if_it_were_alone(
        quotas in [any_quota(), any_quota()],
        by_key in any::<bool>(),
        calls in prop::collection::vec((0..SECOND, 0..2_usize), 1..80),
    ) {
        prop_assume!(quotas[0] != quotas[1]);
        let sharing = if by_key { Limit::per_key } else { Limit::per_address };
        let limit = sharing(quotas[0]);
        let other = limit.clone().plan("other", quotas[1]);
        let gates = [limits([limit]), limits([other])];
        let tenant = Tenant::new("acme").with_plan("other");
        let caller = Principal::of_key(Arc::new(record("k", tenant)));
        let (mut plain, mut now) = ([Plain::default(), Plain::default()], NOON);
        for (step, which) in calls {
            now += step / 4;
            let (state, answer, remaining) = plain[which].ask("k", &quotas[which], now, 1);
            plain[which].0.insert("k".to_owned(), state);
            let verdict = take(&gates[which], &caller, at(now));
            prop_assert_eq!(verdict.is_admitted(), answer == Answer::Admitted);
            prop_assert_eq!(verdict.remaining(), [remaining]);
        }
    }

    #[test]
    fn a_plain_limit_counts_as_one_that_might_look_at_more_of_the_request(
        quota in any_window(),
        by_key in any::<bool>(),
        cost in 0..4_u64,
        calls in prop::collection::vec((0..SECOND, any::<bool>(), 0..2_usize), 1..80),
    ) {
        let cost = cost.min(quota.limit());
        let sharing = if by_key { Limit::per_key } else { Limit::per_tenant };
        let gates = [
            limits([sharing(quota).cost(cost)]),
            limits([sharing(quota).cost_by(move |_| cost)]),
        ];
        let callers = [key("k0", "acme"), key("k1", "acme")];
        let mut now = NOON;
        for (step, back, who) in calls {
            now = if back { now - step / 8 } else { now + step / 4 };
            let [plain, asking] = gates.each_ref().map(|gate| take(gate, &callers[who], at(now)));
            prop_assert_eq!(plain.is_admitted(), asking.is_admitted());
            prop_assert_eq!(plain.retry_after(), asking.retry_after());
            prop_assert_eq!(plain.standings, asking.standings);
        }
    }

    #[test]
    fn a_refused_request_is_let_in_after_the_wait_it_was_told(
        quotas in [any_quota(), any_quota()],
        calls in prop::collection::vec(0..SECOND / 10, 1..80),
    ) {
        let limits = limits([Limit::per_tenant(quotas[0]), Limit::per_key(quotas[1])]);
        let (caller, mut now) = (key("k", "acme"), NOON);
        for step in calls {
            now += step;
            if let Some(wait) = take(&limits, &caller, at(now)).retry_after() {
                let due = at(now).saturating_add(wait);
                let early = due.saturating_sub(Duration::from_nanos(1));
                prop_assert!(!take(&limits, &caller, early).is_admitted());
                prop_assert!(take(&limits, &caller, due).is_admitted());
                now = due.as_nanos();
            }
        }
    }

    #[test]
    fn a_client_that_waits_for_as_many_seconds_as_it_was_told_is_let_in(
        quotas in prop::collection::vec(any_window(), 1..6),
        calls in prop::collection::vec((0..2 * SECOND, 0..12_u64), 1..60),
    ) {
        let weigh = |caller: &Caller<'_>| caller.head().headers.len() as u64;
        let named = |(n, quota): (usize, &Quota)| {
            let limit = [Limit::per_tenant, Limit::per_key, Limit::per_address][n % 3](*quota);
            // Some weigh what they count, for some each request is the same.
            let limit = if n % 2 == 0 { limit.cost_by(weigh) } else { limit };
            limit.name(n.to_string()).unwrap()
        };
        let limits = limits(quotas.iter().enumerate().map(named));
        let (caller, mut now) = (key("k", "acme"), at(NOON));
        for (step, cost) in calls {
            now = now.saturating_add(Duration::from_nanos(step));
            let mut head = head();
            for _ in 0..cost {
                head.headers.append("x-cost", http::HeaderValue::from_static("1"));
            }
            let call = |now| try_take(&limits, &Caller::new(&caller, &(&head).into(), &nowhere()), now).unwrap();
            let first = call(now);
            let Some(wait) = first.retry_after() else { continue };
            let told = crate::Rejection::new(crate::RejectionKind::RateLimited).with_retry_after(wait);
            let secs = told.retry_after_secs().unwrap();
            now = now.saturating_add(Duration::from_secs(secs));
            let again = call(now);
            prop_assert!(again.is_admitted(), "after {secs} s for {wait:?}: {quotas:?}");
            // What the headers said of a window's end is true, too.
            for (before, after) in first.standings.as_slice().iter().zip(again.standings.as_slice()) {
                prop_assert!(before.remaining <= before.limit && after.remaining <= after.limit);
                prop_assert!(before.reset >= at(NOON));
            }
        }
    }

    #[test]
    fn a_table_never_outgrows_its_capacity_nor_counts_too_much(
        capacity in 1..200_usize,
        calls in prop::collection::vec((0..400_u64, 0..SECOND), 1..600),
    ) {
        let quota = quota(50, 3_600_000, Algorithm::FixedWindow);
        let (table, mut counts, mut now) = (Table::new(capacity as u32), HashMap::new(), NOON);
        for (who, step) in calls {
            now += step / 1_000;
            let take = |mut counter: Counter<'_>| counter.take(&quota, at(now), 1);
            let decision = table.count(&Identity::Key(&who.to_string()), &quota, at(now), take).unwrap();
            let count = counts.entry(who).or_insert(0_u64);
            *count = (*count + 1).min(quota.limit());
            prop_assert!(quota.limit() - decision.remaining <= *count);
            prop_assert!(table.len() <= capacity);
            if counts.len() <= capacity.min(64) {
                let exact = quota.limit() - decision.remaining;
                prop_assert_eq!(exact, counts[&who], "nobody was dropped yet");
            }
        }
    }
}
