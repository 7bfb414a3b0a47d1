//! A slice, step by step.

use super::*;
use crate::limit::algorithm::Answer;

const LIMIT: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

fn asked(slice: &mut Slice, terms: Terms, asked: u64, now: u64, reply: Reply) {
    let question = slice.question(terms, asked, 1);
    slice.learn(terms, question, reply, asked, now);
}

/// A reply with `left` nanoseconds of the window 7 to go.
fn reply(left: u64, used: u64, lent: u64) -> Reply {
    Reply { number: 7, left: left / 1_000, used, lent }
}

/// The last moment at which a clock that lags by 10 ms still says `now`.
const LAG: u64 = 10 * MILLI;

#[test]
fn a_slice_is_over_when_its_window_is_however_late_the_answer_and_the_clock_are() {
    let terms = leased(LIMIT, MINUTE);
    for late in [0, MILLI, SECOND, 9 * SECOND] {
        let mut slice = Slice::default();
        asked(&mut slice, terms, SECOND, SECOND + late, reply(10 * SECOND, 100, 100));
        // The window ends 10 s after the server's answer, which was after the question.
        let end = SECOND + 10 * SECOND;
        let said = end - LAG;
        assert_eq!(slice.look(terms, said, 1), Look::Ask, "the clock lags, and it is over");
        assert!(matches!(slice.look(terms, end - 30 * MILLI, 1), Look::Fits(_)));
    }
}

#[test]
fn a_slice_that_comes_when_it_is_over_is_not_spent() {
    let terms = leased(LIMIT, MINUTE);
    let mut slice = Slice::default();
    asked(&mut slice, terms, SECOND, 20 * SECOND, reply(10 * SECOND, 100, 100));
    assert_eq!(slice.look(terms, 20 * SECOND, 1), Look::Ask);
}

#[test]
fn what_is_used_up_is_refused_until_the_window_is_surely_over() {
    let terms = leased(LIMIT, MINUTE);
    let mut slice = Slice::default();
    asked(&mut slice, terms, SECOND, 2 * SECOND, reply(10 * SECOND, LIMIT, 0));
    let Look::Refused(Answer::After(wait)) = slice.look(terms, 2 * SECOND, 1) else { panic!() };
    assert!(wait >= 10 * SECOND, "the answer may have come at once");
    assert!(wait <= 10 * SECOND + 20 * MILLI);
}

#[test]
fn who_is_refused_often_asks_again_and_who_waits_long_does_too() {
    let terms = leased(LIMIT, MINUTE);
    let used_up = || {
        let mut slice = Slice::default();
        asked(&mut slice, terms, 0, 0, reply(MINUTE, LIMIT, 0));
        slice
    };
    let mut often = used_up();
    let looks = (0..10_000_u64).map(|n| often.look(terms, n * MILLI, 1));
    assert_eq!(looks.take_while(|look| matches!(look, Look::Refused(_))).count(), 3_750);
    assert_eq!(used_up().look(terms, MINUTE / 8, 1), Look::Ask);
}

#[test]
fn a_cost_above_the_limit_is_never_admitted() {
    for terms in [leased(LIMIT, MINUTE), ahead(LIMIT, MINUTE, 10)] {
        let mut slice = Slice::default();
        assert_eq!(slice.look(terms, 0, LIMIT + 1), Look::Alone, "the server says where it stands");
        asked(&mut slice, terms, 0, 0, reply(MINUTE, 10, 0));
        assert_eq!(slice.look(terms, 0, LIMIT + 1), Look::Refused(Answer::Never));
        assert_eq!(slice.look(terms, 0, u64::MAX), Look::Refused(Answer::Never));
    }
}

#[test]
fn ahead_of_the_server_a_node_goes_a_batch_and_no_further() {
    let terms = ahead(LIMIT, MINUTE, 10);
    let mut slice = Slice::default();
    assert_eq!(slice.look(terms, 0, 1), Look::Ask);
    asked(&mut slice, terms, 0, 0, reply(MINUTE, 10, 0));
    for n in 1..=10 {
        assert_eq!(slice.look(terms, 0, 1), Look::Fits(n >= 5), "{n}");
        slice.take(terms, 0, 1);
    }
    assert_eq!(slice.look(terms, 0, 1), Look::Ask);
    assert_eq!(slice.look(terms, 0, 11), Look::Alone);
    let question = slice.question(terms, 0, 1);
    assert_eq!(question.spent, 10);
    slice.learn(terms, question, reply(MINUTE, 20, 0), 0, 0);
    assert_eq!(slice.look(terms, 0, 1), Look::Fits(false));
}

#[test]
fn a_question_whose_answer_is_lost_is_told_again() {
    let terms = ahead(LIMIT, MINUTE, 10);
    let mut slice = Slice::default();
    asked(&mut slice, terms, 0, 0, reply(MINUTE, 10, 0));
    slice.take(terms, 0, 4);
    assert_eq!(slice.question(terms, 0, 0).spent, 4);
    assert_eq!(slice.question(terms, 0, 0).spent, 4);
}

#[test]
fn what_is_given_back_is_not_spent() {
    let terms = leased(LIMIT, MINUTE);
    let mut slice = Slice::default();
    asked(&mut slice, terms, 0, 0, reply(MINUTE, 100, 50));
    assert_eq!(slice.settle(terms, SECOND), None, "it was lent a second ago");
    let question = slice.settle(terms, 3 * SECOND).unwrap();
    assert_eq!((question.back, question.of, question.want), (50, 7, 0));
    assert_eq!(slice.look(terms, 3 * SECOND, 1), Look::Ask);
    assert_eq!(slice.settle(terms, 3 * SECOND), None);
}

#[test]
fn what_has_nothing_and_is_idle_is_forgotten() {
    let day = 86_400 * SECOND;
    for terms in [leased(LIMIT, day), ahead(LIMIT, day, 10)] {
        let mut slice = Slice::default();
        asked(&mut slice, terms, 0, 0, reply(day, 100, 0));
        assert!(!slice.is_over(59 * SECOND));
        assert!(slice.is_over(60 * SECOND));
    }
    let (mut lent, mut spent) = (Slice::default(), Slice::default());
    let terms = leased(LIMIT, day);
    asked(&mut lent, terms, 0, 0, reply(day, 100, 50));
    assert!(!lent.is_over(3_600 * SECOND) && lent.is_over(day + SECOND));
    let terms = ahead(LIMIT, day, 10);
    asked(&mut spent, terms, 0, 0, reply(day, 100, 0));
    spent.take(terms, 0, 1);
    assert!(!spent.is_over(2 * day), "it is yet to be told");
}

#[test]
fn slices_fit_the_rate_at_which_they_are_used() {
    let terms = leased(100_000, 24 * SECOND);
    let mut slice = Slice::default();
    let mut server = Server::default();
    let mut now = 0;
    // 1,000 in a second, of which each slice is to last one.
    for _ in 0..5_000 {
        if slice.look(terms, now, 1) == Look::Ask {
            let question = slice.question(terms, now, 1);
            let reply = server.answer(terms, question, START / 24 * 24 + now);
            slice.learn(terms, question, reply, now, now);
        }
        slice.take(terms, now, 1);
        now += MILLI;
    }
    let want = slice.question(terms, now, 1).want;
    assert!((900..=1_100).contains(&want), "{want}");
}

#[test]
fn a_slot_stays_within_what_is_said_of_it() {
    // Its key's name and its identity are at most 200 bytes and 66, its place in the table 16.
    let slot = size_of::<crate::limit::redis::slot::Slot>() + 16 + 200 + 66 + 16;
    assert!(slot <= 600, "{slot}");
}

/// Tells the server what a node has spent and given back, and takes in the answer.
fn tell(slice: &mut Slice, terms: Terms, server: &mut super::Server) {
    let question = slice.question(terms, 0, 0);
    let reply = server.answer(terms, question, super::START);
    slice.learn(terms, question, reply, 0, 0);
}

#[test]
fn what_went_beyond_the_limit_is_not_granted_once_more_by_what_comes_back() {
    let (terms, mut server) = (ahead(20, MINUTE, 10), super::Server::default());
    let mut nodes = [Slice::default(), Slice::default()];
    let mut spent = 0;
    for round in 0..50 {
        for slice in &mut nodes {
            tell(slice, terms, &mut server);
        }
        for slice in &mut nodes {
            while matches!(slice.look(terms, 0, 1), Look::Fits(_)) {
                slice.take(terms, 0, 1);
                spent += 1;
            }
        }
        assert!(spent <= 20 + 2 * 10, "{spent} after {round} rounds");
        for slice in &mut nodes {
            tell(slice, terms, &mut server);
            let number = slice.number().unwrap();
            slice.refund(terms, number, 5);
            spent -= 5;
        }
    }
}

#[test]
fn a_rest_is_set_against_what_was_not_told_yet() {
    let terms = ahead(LIMIT, MINUTE, 100);
    let mut slice = Slice::default();
    asked(&mut slice, terms, 0, 0, reply(MINUTE, 10, 0));
    slice.take(terms, 0, 40);
    slice.refund(terms, 7, 30);
    let question = slice.question(terms, 0, 0);
    assert_eq!((question.spent, question.back), (10, 0));
    slice.refund(terms, 7, 4);
    slice.learn(terms, question, reply(MINUTE, 20, 0), 0, 0);
    let question = slice.question(terms, 0, 0);
    assert_eq!((question.spent, question.back, question.of), (0, 4, 7));
    assert_eq!(slice.question(terms, 0, 0).back, 0, "it is told once");
    slice.refund(terms, 6, 4);
    assert_eq!(slice.question(terms, 0, 0).back, 0, "not of another window");
}

#[test]
fn what_was_spent_besides_is_taken_of_the_slice_and_the_rest_is_for_the_server() {
    let terms = leased(LIMIT, MINUTE);
    let mut slice = Slice::default();
    assert_eq!(slice.take_up_to(terms, 0, 9), 9, "it has nothing");
    asked(&mut slice, terms, 0, 0, reply(MINUTE, 50, 50));
    assert_eq!(slice.take_up_to(terms, 0, 30), 0);
    assert_eq!(slice.take_up_to(terms, 0, 30), 10);
    slice.refund(terms, 7, 20);
    assert_eq!(slice.take_up_to(terms, MINUTE, 5), 5, "its window is over");
    let terms = ahead(LIMIT, MINUTE, 10);
    let mut slice = Slice::default();
    asked(&mut slice, terms, 0, 0, reply(MINUTE, LIMIT - 15, 0));
    assert_eq!(slice.take_up_to(terms, 0, 1_000), 0);
    assert_eq!(slice.question(terms, 0, 0).spent, 15, "no more than there is");
}
