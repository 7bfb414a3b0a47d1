//! Four nodes and one Redis.

use std::sync::Arc;
use std::time::Duration;

use keygate::limit::redis::RedisCounters;
use keygate::{Environment, KeyFormat};
use support::{Client, Redis};
use tokio::time::{Instant, sleep};

use super::gate::{Gate, NODES};
use super::node::NODE;
use super::slow::Slow;
use crate::Failure;
use crate::process::{Folder, Process};

pub(crate) struct Fleet {
    pub(crate) nodes: Nodes,
    pub(crate) redis: Redis,
    pub(crate) proxy: Slow,
    processes: Vec<Process>,
    _folder: Folder,
}

/// A client of all nodes.
#[derive(Clone)]
pub(crate) struct Nodes {
    all: Arc<[Client]>,
    key: Arc<str>,
}

/// How a node has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Let in, or refused for its limit, in the window that ends in this second: the node says so.
    In(u64),
    Limited(u64),
    /// 503.
    Away,
    /// Not at all.
    Lost,
}

impl Fleet {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let (folder, redis) = (Folder::new("limits")?, Redis::start());
        let proxy = Slow::to(redis.address()).await?;
        let (straight, slow) = (redis.url(), format!("redis://{}/", proxy.address));
        let key = KeyFormat::sk().generate(Environment::Live)?.reveal().to_owned();
        let environment = [("REDIS_URL", &*straight), ("PROXY_URL", &slow), ("DRILL_KEY", &key)];
        let processes = (0..NODES)
            .map(|n| Process::start(NODE, &environment, &folder.file(&format!("node-{n}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let all = processes.iter().map(|process| process.server.client()).collect();
        let nodes = Nodes { all, key: key.into() };
        Ok(Self { nodes, redis, proxy, processes, _folder: folder })
    }

    /// Kills a node without warning.
    pub(crate) fn kill(&mut self, node: usize) {
        self.processes.remove(node).server.kill();
    }

    /// By how much the limit of `gate` may be exceeded.
    pub(crate) fn overshoot(&self, gate: &Gate) -> Result<u64, Failure> {
        Ok(gate.overshoot(&RedisCounters::open(&self.redis.url())?)?)
    }

    /// How many of the processes that were not killed have ended, and how often one has panicked.
    pub(crate) fn casualties(&mut self) -> (u64, u64) {
        let health: Vec<_> = self.processes.iter_mut().map(Process::health).collect();
        let ended = health.iter().filter(|(lives, _)| !lives).count();
        (ended as u64, health.iter().map(|(_, panics)| panics).sum())
    }
}

impl Nodes {
    pub(crate) async fn ask(&self, node: usize, path: &str) -> Answer {
        let Some(client) = self.all.get(node) else { return Answer::Lost };
        let sent = client.get(path).header("x-api-key", &*self.key).try_send().await;
        let Ok(answer) = sent else { return Answer::Lost };
        match answer.status.as_u16() {
            200 => Answer::In(answer.number("x-ratelimit-reset")),
            429 => Answer::Limited(answer.number("x-ratelimit-reset")),
            503 => Answer::Away,
            other => panic!("no status that a gate answers with: {other}"),
        }
    }

    /// How many round trips `gate` has taken on all nodes.
    pub(crate) async fn trips(&self, gate: &Gate) -> u64 {
        let mut trips = 0;
        for client in &*self.all {
            let answer = client.get(&format!("/stats/{}", gate.name())).send().await;
            trips += answer.json()["round_trips"].as_u64().unwrap_or(0);
        }
        trips
    }

    /// How long it takes until no node has given up Redis for `gates`; `None` if longer than `limit`.
    pub(crate) async fn are_back(&self, gates: &[Gate], limit: Duration) -> Option<Duration> {
        let begun = Instant::now();
        for gate in gates {
            for client in &*self.all {
                let path = format!("/stats/{}", gate.name());
                while is_away(client, &path).await {
                    if begun.elapsed() > limit {
                        return None;
                    }
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
        Some(begun.elapsed())
    }
}

/// A node that was killed has given up nothing.
async fn is_away(client: &Client, path: &str) -> bool {
    client.get(path).try_send().await.is_ok_and(|answer| answer.json()["is_away"] == true)
}
