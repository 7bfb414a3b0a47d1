//! Limits on a real Redis server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keygate::Limit;
use keygate::limit::redis::RedisCounters;
use libtest_mimic::Trial;
use support::{Redis, services_required};

use crate::lane::Lane;
use crate::{Client, get_through, quota, wait};

/// A busy machine is no outage.
const PATIENT: Duration = Duration::from_secs(5);

/// The server that the tests share while they run.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<Option<Redis>>>);

impl Server {
    fn url(&self) -> String {
        match std::env::var("REDIS_URL") {
            Ok(url) if Redis::program().is_err() => url,
            _ => self.running().get_or_insert_with(Redis::start).url(),
        }
    }

    /// Arguments of tests are never dropped by themselves.
    pub(crate) fn end(&self) {
        drop(self.running().take());
    }

    fn running(&self) -> MutexGuard<'_, Option<Redis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn trial(server: &Server, client: Client) -> Option<Trial> {
    let server = server.clone();
    let trial = crate::trial(client, "obeys Retry-After of limits on Redis", move || {
        wait(async move { get_through(client, lanes(&server.url(), client.name)).await })
    });
    Some(match Redis::program() {
        Err(why) if std::env::var_os("REDIS_URL").is_none() && !services_required() => {
            trial.with_kind(why).with_ignored_flag(true)
        }
        _ => trial,
    })
}

/// Each algorithm decided by the server, and windows of which the node decides a slice.
fn lanes(url: &str, client: &str) -> Vec<Lane> {
    let prefix = format!("clients-{}-{client}:", std::process::id());
    let redis = RedisCounters::at(url).unwrap().prefix(&prefix).unwrap();
    let redis = redis.patience(PATIENT).unwrap().start();
    let lane = |name: &str, quota, shared| {
        let limit = Limit::per_key(quota).name(name).unwrap();
        Lane::new(name, limit.shared(shared))
    };
    vec![
        lane("exact fixed", quota(), redis.exact()),
        lane("exact sliding", quota().sliding(), redis.exact()),
        lane("exact GCRA", quota().gcra(), redis.exact()),
        lane("leased fixed", quota(), redis.leased()),
        lane("approximate fixed", quota(), redis.approximate(1, 100).unwrap()),
    ]
}
