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

/// A clock that was right when it asked may be slow by so much 10 s later, and may have been read a
/// moment ago.
const LATE: u64 = 10 * SECOND / 2_000 + MILLI / 2;

#[test]
fn a_slice_is_over_when_its_window_is_however_late_the_answer_and_the_clock_are() {
    let terms = leased(LIMIT, MINUTE);
    for late in [0, MILLI, SECOND, 9 * SECOND] {
        let mut slice = Slice::default();
        asked(&mut slice, terms, SECOND, SECOND + late, reply(10 * SECOND, 100, 100));
        // The window ends 10 s after the server's answer, which was after the question.
        let end = SECOND + 10 * SECOND;
        let said = end - LATE;
        assert_eq!(slice.look(terms, said, 1), Look::Ask, "the clock is slow, and it is over");
        assert!(matches!(slice.look(terms, end - 7 * MILLI, 1), Look::Fits(_)));
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

/// A slice of a window of which nothing is left, as was just heard.
fn used_up(terms: Terms) -> Slice {
    let mut slice = Slice::default();
    asked(&mut slice, terms, 0, 0, reply(MINUTE, LIMIT, 0));
    slice
}

#[test]
fn who_has_asked_in_vain_asks_again_when_others_may_have_given_back() {
    let terms = leased(LIMIT, MINUTE);
    let mut slice = used_up(terms);
    let mut times = Vec::new();
    for second in 0..59 {
        let now = second * SECOND;
        if slice.look(terms, now, 1) == Look::Ask {
            times.push(second);
            let rest = MINUTE - now;
            asked(&mut slice, terms, now, now, reply(rest, LIMIT, 0));
        }
    }
    assert_eq!(times, [8, 23, 53], "after 7.5 s, and each time twice as long");
}

#[test]
fn what_others_gave_back_ends_the_pauses() {
    let terms = leased(LIMIT, MINUTE);
    let mut slice = used_up(terms);
    for _ in 0..3 {
        asked(&mut slice, terms, SECOND, SECOND, reply(59 * SECOND, LIMIT, 0));
    }
    asked(&mut slice, terms, SECOND, SECOND, reply(59 * SECOND, LIMIT, 1));
    slice.take(terms, SECOND, 1);
    assert!(matches!(slice.look(terms, 8 * SECOND, 1), Look::Refused(_)));
    assert_eq!(slice.look(terms, 9 * SECOND, 1), Look::Ask);
}

/// How many are refused before each of the questions of `seconds`, one after another `each`.
fn refusals(each: u64, seconds: u64) -> Vec<u64> {
    let terms = leased(LIMIT, MINUTE);
    let (mut slice, mut all, mut refused) = (used_up(terms), Vec::new(), 0);
    for now in (0..seconds * SECOND / each).map(|n| n * each) {
        if slice.look(terms, now, 1) == Look::Ask {
            all.push(std::mem::take(&mut refused));
            asked(&mut slice, terms, now, now, reply(MINUTE - now, LIMIT, 0));
        } else {
            refused += 1;
        }
    }
    all
}

#[test]
fn who_is_refused_often_asks_sooner() {
    assert_eq!(refusals(5 * MILLI, 22), [1_000; 4], "once for 1,000 refusals");
    // Not before a 24th of the window has passed, after which others may have given back.
    assert_eq!(refusals(MILLI, 11), [2_500, 2_499, 2_499, 2_499]);
}

#[test]
fn a_window_that_is_used_up_says_nothing_of_the_next() {
    let terms = leased(LIMIT, MINUTE);
    let mut slice = used_up(terms);
    for _ in 0..9 {
        asked(&mut slice, terms, 0, 0, reply(MINUTE, LIMIT, 0));
    }
    let next = Reply { number: 8, ..reply(MINUTE, LIMIT, 0) };
    asked(&mut slice, terms, MINUTE, MINUTE, next);
    assert_eq!(slice.look(terms, MINUTE * 9 / 8, 1), Look::Ask);
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
    let question = slice.settle(terms, 8 * SECOND).unwrap();
    assert_eq!((question.back, question.of, question.want), (50, 7, 0));
    assert_eq!(slice.look(terms, 8 * SECOND, 1), Look::Ask);
    assert_eq!(slice.settle(terms, 8 * SECOND), None);
}

#[test]
fn a_node_is_idle_when_five_expected_requests_have_not_come() {
    let terms = leased(LIMIT, MINUTE);
    let all = [(100, 2_500..2_600), (1_000, 5_000..7_600), (3_000, 7_500..7_600)];
    for (every, idle) in all.map(|(every, idle)| (every * MILLI, idle)) {
        let mut slice = Slice::default();
        asked(&mut slice, terms, 0, 0, reply(MINUTE, 100, 500));
        let mut now = 0;
        while now < 40 * SECOND {
            slice.take(terms, now, 1);
            now += every;
        }
        let last = now - every;
        let mut millis = (0..).step_by(100);
        let given = millis.find(|n| slice.settle(terms, last + n * MILLI).is_some()).unwrap();
        assert!(idle.contains(&given), "{given} for one in {every}");
    }
}

#[test]
fn the_smallest_slice_is_kept_for_longer() {
    let (day, hour) = (86_400 * SECOND, 3_600 * SECOND);
    let terms = leased(100_000, day);
    for (units, idle) in [(251, 30 * SECOND), (250, 3 * hour)] {
        let mut slice = Slice::default();
        asked(&mut slice, terms, 0, 0, reply(day, 1_000, units));
        assert_eq!(slice.settle(terms, idle - SECOND), None);
        assert_eq!(slice.settle(terms, idle).unwrap().back, units);
    }
    let mut small = Slice::default();
    asked(&mut small, leased(100, day), 0, 0, reply(day, 10, 1));
    let given = small.settle(leased(100, day), 30 * SECOND).unwrap();
    assert_eq!(given.back, 1, "one of 100 is more than a 400th");
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
    lent.take(terms, day - SECOND, 1);
    assert!(!lent.is_over(day + 3 * SECOND), "it tells what to expect of the next window");
    assert!(lent.is_over(day + 4 * SECOND));
    let terms = ahead(LIMIT, day, 10);
    asked(&mut spent, terms, 0, 0, reply(day, 100, 0));
    spent.take(terms, 0, 1);
    assert!(!spent.is_over(2 * day), "it is yet to be told");
}

/// What a node wants that was asked for `each` second's requests, and has given back what it had.
fn want(terms: Terms, each: u64, seconds: u64) -> u64 {
    let (mut slice, mut server) = (Slice::default(), Server::default());
    let (_, window) = bounds(terms);
    for now in (0..each * seconds).map(|n| n * SECOND / each) {
        if slice.look(terms, now, 1) == Look::Ask {
            let question = slice.question(terms, now, 1);
            let reply = server.answer(terms, question, START / window * window + now);
            slice.learn(terms, question, reply, now, now);
        }
        slice.take(terms, now, 1);
    }
    slice.give_back(terms, seconds * SECOND);
    slice.question(terms, seconds * SECOND, 1).want
}

#[test]
fn slices_fit_the_rate_at_which_they_are_used() {
    // What lasts for a 24th of the window.
    let many = want(leased(400_000, 24 * SECOND), 2_000, 12);
    assert!((1_600..=2_000).contains(&many), "{many}");
    // Where that is little, 256.
    assert_eq!(want(leased(100_000, 24 * SECOND), 100, 5), 256);
    // Three quarters of 120, which are expected in the other half of the window, less their root: at
    // most, since a rate is believed by and by.
    let few = want(leased(1_000, 24 * SECOND), 10, 12);
    assert!((58..=81).contains(&few), "{few}");
    let fewer = want(leased(1_000, 24 * SECOND), 10, 23);
    assert!((4..=5).contains(&fewer), "{fewer}");
    // As little as a node may have without knowing anything.
    assert_eq!(want(leased(100_000, 24 * SECOND), 1, 5), 250);
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
