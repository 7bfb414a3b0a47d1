//! Limits that many nodes share, on a real Redis server.
#![allow(clippy::unwrap_used)]

mod cluster;
#[cfg(all(feature = "axum", feature = "postgres", feature = "sqlite"))]
mod copies;
mod exact;
mod failing;
mod faults;
mod feed;
mod leased;
mod node;
mod nodes;
mod proxy;
mod reserved;
mod running;
mod scripts;

use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};
use support::Redis;

/// A test, given the URL of a server that others use too.
type Shared = fn(&str);
/// A test that starts a server of its own, to do it harm.
type Private = fn();

fn main() {
    let services = Services::default();
    let shared = [
        exact::TESTS,
        scripts::TESTS,
        leased::TESTS,
        nodes::TESTS,
        reserved::TESTS,
        running::TESTS,
        failing::TESTS,
    ];
    let mut trials: Vec<_> = shared
        .into_iter()
        .flatten()
        .map(|(name, test)| on_shared(&services, name, *test))
        .collect();
    let private = [
        faults::TESTS,
        cluster::TESTS,
        feed::TESTS,
        reserved::FAULTS,
        running::FAULTS,
        failing::FAULTS,
    ];
    let private = private.into_iter().flatten();
    trials.extend(private.map(|(name, test)| on_private(name, *test)));
    #[cfg(all(feature = "axum", feature = "postgres", feature = "sqlite"))]
    trials.extend(copies::TESTS.iter().map(|(name, test)| on_private(name, *test)));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    services.end();
    conclusion.exit();
}

/// The server that tests share while they run.
#[derive(Clone, Default)]
struct Services(Arc<Mutex<Option<Redis>>>);

impl Services {
    fn url(&self) -> String {
        match std::env::var("REDIS_URL") {
            Ok(url) if Redis::program().is_err() => url,
            _ => self.server().get_or_insert_with(Redis::start).url(),
        }
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Redis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arguments of tests are never dropped by themselves.
    fn end(&self) {
        drop(self.server().take());
    }
}

fn on_shared(services: &Services, name: &str, test: Shared) -> Trial {
    let services = services.clone();
    let trial = Trial::test(name, move || {
        test(&services.url());
        Ok(())
    });
    where_there_is_a_server(trial, std::env::var_os("REDIS_URL").is_some())
}

fn on_private(name: &str, test: Private) -> Trial {
    let trial = Trial::test(name, move || {
        test();
        Ok(())
    });
    where_there_is_a_server(trial, false)
}

/// `trial`, shown as ignored with the reason where its server is missing.
fn where_there_is_a_server(trial: Trial, is_given: bool) -> Trial {
    match Redis::program() {
        Err(why) if !is_given && !support::services_required() => {
            trial.with_kind(why).with_ignored_flag(true)
        }
        _ => trial,
    }
}

/// Runs `future` on a runtime whose time it may stop: then what takes no time by tokio's clock takes
/// none, however busy the machine is.
fn wait_on_one_thread<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Runs `future` on a runtime of its own.
fn wait<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap().block_on(future)
}
