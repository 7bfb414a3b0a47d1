//! Reserved, settled later: never more than was taken comes back, and never into another window.

use proptest::prelude::*;

use super::*;
use crate::limit::Reservation;
use crate::limit::algorithm::{Answer, State, decide};
use crate::limit::undo::give_back;
use crate::{Clock, ManualClock};

/// A gate with one limit, and the time.
struct Desk {
    limits: Limits,
    clock: Arc<ManualClock>,
    caller: Principal,
}

impl Desk {
    fn new(all: impl IntoIterator<Item = Limit>) -> Self {
        let clock = Arc::new(ManualClock::new(noon()));
        Self { limits: limits(all), clock, caller: key("k", "acme") }
    }

    fn reserve(&self) -> Option<Reservation> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        match take(&self.limits, &self.caller, self.clock.now()).verdict {
            Verdict::Reserved(holds) => Some(Reservation::new(*holds, &clock)),
            Verdict::Admitted | Verdict::After(_) | Verdict::Never => None,
        }
    }

    /// What is left, which a reservation that is dropped at once tells.
    fn left(&self) -> Vec<u64> {
        let taken = take(&self.limits, &self.caller, self.clock.now());
        let left = taken.remaining();
        if let Verdict::Reserved(holds) = taken.verdict {
            let clock: Arc<dyn Clock> = self.clock.clone();
            let estimate = Reservation::new(*holds, &clock).estimate();
            return left.iter().map(|left| left + estimate).collect();
        }
        left
    }

    fn wait(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }
}

fn tokens(limit: u64, algorithm: Algorithm, estimate: u64) -> Limit {
    Limit::per_tenant(quota(limit, 60_000, algorithm)).cost(estimate).settle_later()
}

fn desk(limit: u64, estimate: u64) -> Desk {
    Desk::new([tokens(limit, Algorithm::FixedWindow, estimate)])
}

#[test]
fn what_is_committed_is_paid_and_the_rest_is_back() {
    for algorithm in ALGORITHMS {
        let desk = Desk::new([tokens(100, algorithm, 40)]);
        let reservation = desk.reserve().unwrap();
        assert_eq!(reservation.estimate(), 40);
        reservation.commit(15);
        assert_eq!(desk.left(), [85], "{algorithm:?}");
    }
}

#[test]
fn a_request_that_is_dropped_has_cost_nothing() {
    for algorithm in ALGORITHMS {
        let desk = Desk::new([tokens(100, algorithm, 40)]);
        drop(desk.reserve().unwrap());
        assert_eq!(desk.left(), [100], "{algorithm:?}");
    }
}

#[test]
fn an_estimate_counts_for_as_long_as_it_is_held() {
    let desk = desk(100, 40);
    let held = [desk.reserve().unwrap(), desk.reserve().unwrap()];
    assert!(desk.reserve().is_none(), "80 of 100 are held");
    drop(held);
    assert!(desk.reserve().is_some());
}

#[test]
fn a_stream_that_is_cut_off_pays_for_what_it_has_sent() {
    let desk = desk(100, 40);
    let reservation = desk.reserve().unwrap();
    let in_the_body = reservation.clone();
    drop(reservation);
    in_the_body.spend(7);
    in_the_body.spend(4);
    assert_eq!(desk.left(), [60], "it is not at its end");
    drop(in_the_body);
    assert_eq!(desk.left(), [89]);
}

#[test]
fn what_was_spent_beyond_the_estimate_is_taken_too_and_no_further_than_to_nothing() {
    for algorithm in ALGORITHMS {
        let desk = Desk::new([tokens(100, algorithm, 10)]);
        desk.reserve().unwrap().commit(30);
        assert_eq!(desk.left(), [70], "{algorithm:?}");
        let reservation = desk.reserve().unwrap();
        reservation.spend(u64::MAX);
        reservation.spend(u64::MAX);
        drop(reservation);
        assert_eq!(desk.left(), [0], "{algorithm:?}");
        assert!(desk.reserve().is_none());
    }
}

#[test]
fn only_the_first_commit_counts() {
    let desk = desk(100, 40);
    let reservation = desk.reserve().unwrap();
    let clone = reservation.clone();
    reservation.commit(10);
    assert_eq!(desk.left(), [90], "at once, whoever else holds it");
    clone.spend(50);
    clone.clone().commit(99);
    drop(clone);
    assert_eq!(desk.left(), [90]);
}

#[test]
fn no_rest_is_given_into_the_next_window() {
    let desk = desk(100, 40);
    let reservation = desk.reserve().unwrap();
    desk.wait(60);
    desk.reserve().unwrap().commit(30);
    drop(reservation);
    assert_eq!(desk.left(), [70], "the 30 of this window stay");
}

#[test]
fn what_is_missing_is_taken_from_the_window_in_which_it_is_known() {
    let desk = desk(100, 40);
    let reservation = desk.reserve().unwrap();
    desk.wait(60);
    reservation.commit(65);
    assert_eq!(desk.left(), [75]);
}

#[test]
fn a_month_that_is_over_gets_nothing_back() {
    let monthly = Limit::per_key(Quota::per_calendar_month(10).unwrap()).cost(4).settle_later();
    let desk = Desk::new([monthly]);
    let (early, late) = (desk.reserve().unwrap(), desk.reserve().unwrap());
    desk.wait(3 * 86_400);
    drop(early);
    assert_eq!(desk.left(), [6], "it is the same month");
    desk.wait(31 * 86_400);
    drop(late);
    assert_eq!(desk.left(), [10]);
}

#[test]
fn a_clock_that_was_set_far_back_gives_nothing_back_twice() {
    let desk = desk(100, 40);
    let reservation = desk.reserve().unwrap();
    desk.clock.set(at(NOON - 10_000 * SECOND));
    desk.reserve().unwrap().commit(30);
    drop(reservation);
    assert!(desk.left()[0] <= 70, "{:?}", desk.left());
}

#[test]
fn several_limits_are_settled_alike_and_others_not_at_all() {
    let desk = Desk::new([
        tokens(100, Algorithm::FixedWindow, 40).name("minute").unwrap(),
        tokens(1_000, Algorithm::Gcra, 50).name("bucket").unwrap(),
        Limit::per_key(Quota::per_hour(9).unwrap()),
    ]);
    let reservation = desk.reserve().unwrap();
    assert_eq!(reservation.estimate(), 50, "the larger of both");
    reservation.commit(5);
    let after = take(&desk.limits, &desk.caller, noon());
    assert_eq!(after.remaining(), [100 - 5 - 40, 1_000 - 5 - 50, 7]);
}

#[test]
fn a_denied_request_holds_nothing() {
    let desk = Desk::new([
        tokens(100, Algorithm::FixedWindow, 40),
        Limit::per_key(Quota::per_hour(1).unwrap()),
    ]);
    desk.reserve().unwrap().commit(0);
    assert!(desk.reserve().is_none());
    assert_eq!(take(&desk.limits, &desk.caller, noon()).remaining(), [100, 0]);
}

#[test]
fn an_outer_gate_is_settled_with_the_inner_one() {
    let (outer, inner) = (desk(100, 40), desk(100, 10));
    let both = inner.reserve().unwrap().within(outer.reserve());
    both.commit(5);
    assert_eq!((outer.left(), inner.left()), (vec![95], vec![95]));
    let both = inner.reserve().unwrap().within(outer.reserve());
    both.spend(3);
    drop(both);
    assert_eq!((outer.left(), inner.left()), (vec![92], vec![92]));
}

#[test]
fn a_rest_goes_to_the_counter_that_it_was_taken_from() {
    let limit = Limit::by(quota(100, 60_000, Algorithm::FixedWindow), |caller| {
        Some(caller.principal().subject().into())
    });
    let limit = limit.capacity(1).unwrap().cost(40).settle_later();
    let desk = Desk::new([limit.clone()]);
    let reservation = desk.reserve().unwrap();
    take(&desk.limits, &key("other", "acme"), noon());
    // A new counter, which knows nothing of the 40.
    desk.reserve().unwrap().commit(90);
    reservation.commit(0);
    assert_eq!(take(&desk.limits, &desk.caller, noon()).remaining(), [10]);
    // What is missing is taken from the one that counts now.
    let desk = Desk::new([limit.capacity(1).unwrap()]);
    let reservation = desk.reserve().unwrap();
    take(&desk.limits, &key("other", "acme"), noon());
    reservation.commit(70);
    assert_eq!(take(&desk.limits, &desk.caller, noon()).remaining(), [30]);
}

#[test]
fn a_rest_comes_back_to_a_key_beside_which_another_tenancy_of_the_slot_is_remembered() {
    let limit = tokens(100, Algorithm::FixedWindow, 40).capacity(1).unwrap();
    let desk = Desk::new([limit]);
    drop(desk.reserve().unwrap());
    // The tenant loses the only slot, and comes back to it by another of its keys.
    take(&desk.limits, &key("other", "other"), noon());
    take(&desk.limits, &key("k2", "acme"), noon());
    for _ in 0..3 {
        desk.reserve().unwrap().commit(1);
    }
    assert_eq!(desk.left(), [100 - 40 - 3], "the other key's request is under way");
}

#[test]
fn a_poisoned_table_is_owed_nothing() {
    let limit = tokens(100, Algorithm::FixedWindow, 40).capacity(1).unwrap();
    let desk = Desk::new([limit.clone()]);
    let held = [desk.reserve().unwrap(), desk.reserve().unwrap()];
    take(&desk.limits, &key("other", "other"), noon());
    limit.table().poison();
    let [one, other] = held;
    one.commit(70);
    drop(other);
}

#[test]
fn threads_settle_to_the_exact_sum() {
    let desk = desk(100_000, 7);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..1_000 {
                    let reservation = desk.reserve().unwrap();
                    match n % 3 {
                        0 => reservation.commit(2),
                        1 => reservation.spend(9),
                        _ => {}
                    }
                }
            });
        }
    });
    assert_eq!(desk.left(), [100_000 - 4 * (334 * 2 + 333 * 9)]);
}

fn any_quota() -> impl Strategy<Value = Quota> {
    let month = (1..60_u64).prop_map(|limit| Quota::per_calendar_month(limit).unwrap());
    let others = (1..60_u64, 100..5_000_u64, prop::sample::select(ALGORITHMS.to_vec()))
        .prop_map(|(limit, millis, algorithm)| quota(limit, millis, algorithm));
    prop_oneof![4 => others, 1 => month]
}

/// One that was taken: when, how much, and for how many steps it is held.
type Taken = (u64, u64, usize);

proptest! {
    #[test]
    fn giving_back_is_as_if_it_had_not_been_taken_and_never_more(
        quota in any_quota(),
        steps in prop::collection::vec((0..1_200_u64, 0..30_u64, 0..5_usize), 1..60),
    ) {
        let is_exact = !matches!(quota.algorithm(), Algorithm::Gcra);
        let (mut state, mut now) = (State::default(), NOON);
        let mut log: Vec<Taken> = Vec::new();
        for (step, cost, keep) in steps {
            now += quota.nanos() / 1_000 * step;
            let due: Vec<_> = log.iter().position(|(.., keep)| *keep == 0).into_iter().collect();
            for index in due {
                let (taken, cost, _) = log.remove(index);
                state = give_back(&quota, state, now, taken, cost);
            }
            log.iter_mut().for_each(|(.., keep)| *keep = keep.saturating_sub(1));
            let room = decide(&quota, state, now, 0).1.remaining;
            let (next, decision) = decide(&quota, state, now, cost);
            state = next;
            // The others as if there had never been more.
            let mut alone = State::default();
            for (taken, cost, _) in &log {
                alone = decide(&quota, alone, *taken, *cost).0;
            }
            let (_, expected) = decide(&quota, alone, now, cost);
            prop_assert!(decision.remaining <= quota.limit());
            if is_exact {
                prop_assert_eq!(decision, expected);
            } else {
                prop_assert!(room <= decide(&quota, alone, now, 0).1.remaining);
            }
            if decision.answer == Answer::Admitted && cost > 0 {
                log.push((now, cost, keep));
            }
        }
    }

    #[test]
    fn no_give_back_panics_or_gives_too_much(
        quota in any_quota(),
        last in any::<u64>(), used in any::<u64>(), past in any::<u64>(),
        now in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)],
        taken in any::<u64>(), cost in any::<u64>(),
    ) {
        let state = State { last, used: used >> 24, past: past >> 8 };
        let before = decide(&quota, state, now, 0).1.remaining;
        let after = decide(&quota, give_back(&quota, state, now, taken, cost), now, 0).1.remaining;
        prop_assert!(before <= after && after <= quota.limit());
        prop_assert!(after - before <= cost);
    }
}
