//! The stores on SQLite and PostgreSQL beyond the contract: what survives a restart, a kill, a lock,
//! a server that is away, and a row that somebody else wrote.
//!
//! Some tests start this program again as another process; see [`child`].
#![allow(clippy::unwrap_used)]

mod alike;
#[path = "../g_tateth/api.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod api;
mod child;
mod durable;
mod feed;
mod g_tateth;
mod nodes;
mod postgres;
#[path = "../g_tateth/restart.rs"]
mod restart;
mod sqlite;
#[path = "../common/stores.rs"]
mod stores;

use libtest_mimic::{Arguments, Trial};
use stores::{Place, Services, where_there_is_a_server};

fn main() {
    if child::is_one() {
        return child::run();
    }
    let services = Services::new();
    let mut trials = on_both(&services);
    trials.extend(sqlite::trials(&services));
    trials.extend(postgres::trials(&services));
    trials.extend(feed::trials(&services));
    trials.extend(nodes::trials());
    trials.extend(g_tateth::trials(&services));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    services.end();
    conclusion.exit();
}

/// Tests that ask the same of both databases.
fn on_both(services: &Services) -> Vec<Trial> {
    let tests = alike::TESTS.iter().chain(durable::TESTS);
    tests
        .flat_map(|(name, test)| {
            [on_sqlite(services, name, *test), on_postgres(services, name, *test)]
        })
        .collect()
}

type Test = fn(Place);

fn on_sqlite(services: &Services, name: &str, test: Test) -> Trial {
    let services = services.clone();
    trial(format!("sqlite::{name}"), move || test(services.sqlite()))
}

fn on_postgres(services: &Services, name: &str, test: Test) -> Trial {
    let services = services.clone();
    let test = move || test(wait(services.postgres()));
    where_there_is_a_server(trial(format!("postgres::{name}"), test), false)
}

fn trial(name: String, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// Runs `future` on a runtime of its own.
fn wait<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap().block_on(future)
}
