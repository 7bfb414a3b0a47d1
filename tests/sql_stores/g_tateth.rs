//! The example `g_tateth` on PostgreSQL; `tests/g_tateth` holds the same on SQLite.

use libtest_mimic::Trial;

use crate::stores::{Services, where_there_is_a_server};
use crate::{restart, trial, wait};

type Test = fn(&str);

const TESTS: &[(&str, Test)] = &[
    ("keys_survive_a_restart", |url| wait(restart::keys_survive(url))),
    ("usage_survives_a_restart", |url| wait(restart::usage_survives(url))),
    ("a_suspension_survives_a_restart", |url| wait(restart::a_suspension_survives(url))),
    ("what_can_not_be_kept_is_refused", |url| wait(restart::what_can_not_be_kept_is_refused(url))),
];

pub(crate) fn trials(services: &Services) -> Vec<Trial> {
    let trials = TESTS.iter().map(|(name, test)| {
        let (services, test) = (services.clone(), *test);
        let test = move || test(&wait(services.postgres()).to_text());
        where_there_is_a_server(trial(format!("g_tateth::{name}"), test), false)
    });
    trials.collect()
}
