//! What is given back in memory.

use proptest::prelude::*;

use crate::limit::Quota;
use crate::limit::algorithm::{Answer, State, decide};
use crate::limit::undo::give_back;
use std::time::Duration;

fn quotas() -> [Quota; 3] {
    let quota = Quota::new(100, Duration::from_secs(60)).unwrap();
    [quota, quota.sliding(), quota.gcra()]
}

fn take(quota: &Quota, state: State, now: u64, cost: u64) -> State {
    let (state, decision) = decide(quota, state, now, cost);
    assert_eq!(decision.answer, Answer::Admitted);
    state
}

#[test]
fn at_once_it_is_as_if_nothing_was_taken() {
    for quota in quotas() {
        let before = take(&quota, State::default(), super::START, 40);
        let after = take(&quota, before, super::START, 50);
        assert_eq!(give_back(&quota, after, super::START, super::START, 50), before);
    }
}

#[test]
fn a_window_does_not_get_what_was_taken_of_the_one_before() {
    let [fixed, sliding, _] = quotas();
    let later = super::START + 60 * super::SECOND;
    for (quota, left) in [(fixed, 70), (sliding, 70)] {
        let state = take(&quota, State::default(), super::START, 50);
        let state = take(&quota, state, later, 30);
        let state = give_back(&quota, state, later, super::START, 50);
        assert_eq!(decide(&quota, state, later, 0).1.remaining, left, "{quota:?}");
    }
}

proptest! {
    /// Whatever else was taken before and after, and however late it comes.
    #[test]
    fn never_more_is_left_than_if_it_had_not_been_taken(
        which in 0..3_usize,
        others in prop::collection::vec((0..20_u64, 0..20 * super::SECOND), 0..10),
        cost in 1..60_u64,
        at in 0..10_usize,
    ) {
        let quota = quotas()[which];
        let (mut with, mut without) = (State::default(), State::default());
        let (mut now, mut taken) = (super::START, None);
        for (index, (other, step)) in others.into_iter().enumerate() {
            if index == at {
                let (state, decision) = decide(&quota, with, now, cost);
                with = state;
                taken = (decision.answer == Answer::Admitted).then_some(now);
            }
            // What the others get beside the cost, they would have got without it.
            let (state, decision) = decide(&quota, with, now, other);
            with = state;
            if decision.answer == Answer::Admitted {
                without = decide(&quota, without, now, other).0;
            }
            now += step;
        }
        if let Some(taken) = taken {
            with = give_back(&quota, with, now, taken, cost);
        }
        let left = |state| decide(&quota, state, now, 0).1.remaining;
        prop_assert!(left(with) <= left(without));
    }
}
