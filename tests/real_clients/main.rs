//! Clients of other people that obey the headers: `Retry` of urllib3 on Python, and `ky` on Node.js. They
//! get through limits without a wasted request: whoever was refused is let in the next time.
//!
//! The libraries come from npm and PyPI; where they can't be had, or there is no Redis server, the
//! tests that need them are shown as ignored, with the reason. Time passes for real here: no client's
//! clock can be set.
#![allow(clippy::unwrap_used)]

mod lane;
#[cfg_attr(not(feature = "redis"), path = "not_shared.rs")]
mod shared;
#[path = "../common/wire.rs"]
mod wire;

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use keygate::render::Reset;
use keygate::{Limit, Quota};
use lane::Lane;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use support::{Node, Python, output, services_required};

/// How many requests come after each other, of which so many fit into the quota's window. It is no
/// whole number of seconds long, so that a wait that is not rounded up ends too early.
const CALLS: usize = 8;
const LIMIT: u64 = 2;
const WINDOW: Duration = Duration::from_millis(1_300);

/// A client, and how it is run.
#[derive(Clone, Copy)]
struct Client {
    name: &'static str,
    script: fn() -> Result<Command, String>,
}

const URLLIB3: Client = Client {
    name: "urllib3",
    script: || Ok(Python::with_packages()?.script(include_str!("calls.py"))),
};
const KY: Client =
    Client { name: "ky", script: || Ok(Node::with_packages()?.script(include_str!("calls.mjs"))) };

fn main() {
    let mut arguments = Arguments::from_args();
    // They wait most of the time.
    arguments.test_threads.get_or_insert(8);
    let mut trials = vec![
        trial(URLLIB3, "obeys Retry-After", || wait(get_through(URLLIB3, in_memory()))),
        trial(KY, "obeys Retry-After", || wait(get_through(KY, in_memory()))),
        trial(KY, "obeys X-RateLimit-Reset", || wait(get_through(KY, by_reset()))),
    ];
    let redis = shared::Server::default();
    trials.extend([URLLIB3, KY].into_iter().filter_map(|client| shared::trial(&redis, client)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    redis.end();
    conclusion.exit();
}

fn trial(
    client: Client,
    name: &str,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let trial = Trial::test(name, test);
    match (client.script)().err().filter(|_| !services_required()) {
        Some(why) => trial.with_kind(format!("{}: {why}", client.name)).with_ignored_flag(true),
        None => trial.with_kind(client.name),
    }
}

fn quota() -> Quota {
    Quota::new(LIMIT, WINDOW).unwrap()
}

/// Each algorithm, counted in this process.
fn in_memory() -> Vec<Lane> {
    let quotas = [("fixed", quota()), ("sliding", quota().sliding()), ("GCRA", quota().gcra())];
    quotas.map(|(name, quota)| Lane::new(name, Limit::per_key(quota))).into()
}

/// The same, where nothing says how long to wait but when the quota is back.
fn by_reset() -> Vec<Lane> {
    let all = |reset| in_memory().into_iter().map(move |lane| lane.without_retry_after(reset));
    all(Reset::UnixTime).chain(all(Reset::Delta)).collect()
}

/// Has the client go down all lanes at once, and judges what it and the gates have seen.
async fn get_through(client: Client, lanes: Vec<Lane>) -> Result<(), Failed> {
    let mut served = Vec::new();
    for lane in lanes {
        served.push(lane.serve().await);
    }
    let told = served
        .iter()
        .map(|lane| json!({ "name": lane.name, "url": lane.url, "key": lane.key, "calls": CALLS }));
    let mut script = (client.script)()?;
    script.arg(Value::from_iter(told).to_string());
    let lines = tokio::task::spawn_blocking(move || output(&mut script)).await??;
    let ended: HashMap<String, Vec<u16>> =
        lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    served.iter().try_for_each(|lane| {
        let (ended, seen) = (ended.get(&lane.name), lane.seen());
        match ended.is_some_and(|ended| *ended == [200; CALLS]) && wastes_nothing(&seen) {
            true => Ok(()),
            false => {
                Err(format!("{}: the client saw {ended:?}, the gate {seen:?}", lane.name).into())
            }
        }
    })
}

/// All calls were let in, some not at once, and whoever was refused was let in the next time.
fn wastes_nothing(seen: &[u16]) -> bool {
    let of = |status| seen.iter().filter(|seen| **seen == status).count();
    let twice = seen.windows(2).any(|pair| pair == [429, 429]);
    of(200) == CALLS && of(429) > 0 && of(200) + of(429) == seen.len() && !twice
}

/// Runs `future` on a runtime of its own.
fn wait<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap().block_on(future)
}
