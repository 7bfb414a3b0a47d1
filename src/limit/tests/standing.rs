//! Which of several standings a client must watch.

use super::*;
use crate::limit::{LimitName, Standing, Standings};

fn standing(name: &str, remaining: u64, reset: u64) -> Standing {
    Standing {
        name: name.into(),
        limit: 100,
        window: Duration::from_secs(60),
        remaining,
        reset: after(reset),
        reset_after: Duration::from_secs(reset),
    }
}

fn tightest(all: impl IntoIterator<Item = Standing>) -> Option<LimitName> {
    let mut standings = Standings::default();
    all.into_iter().for_each(|one| standings.push(one));
    standings.tightest().map(|one| one.name.clone())
}

#[test]
fn the_tightest_has_the_least_left() {
    assert_eq!(tightest([]), None);
    assert_eq!(tightest([standing("a", 5, 1)]).as_deref(), Some("a"));
    let all = [standing("a", 5, 1), standing("b", 2, 1), standing("c", 9, 1)];
    assert_eq!(tightest(all).as_deref(), Some("b"));
}

#[test]
fn of_equals_the_tightest_is_full_again_last() {
    let all = [standing("a", 0, 1), standing("b", 0, 60), standing("c", 0, 30)];
    assert_eq!(tightest(all).as_deref(), Some("b"));
}

#[test]
fn they_stay_in_the_order_of_the_limits() {
    let mut standings = Standings::from(standing("z", 1, 1));
    standings.push(standing("a", 2, 1));
    standings.push(standing("m", 0, 1));
    let names: Vec<_> = standings.as_slice().iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
}
