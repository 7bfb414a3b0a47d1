//! Three nodes on one database, and keys that were issued.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use keygate::store::{Change, Commit, KeyAdmin, PostgresStore};
use keygate::{Environment, KeyFormat, KeyRecord, Tenant};
use support::{Client, Postgres, Proxy};

use super::node::NODE;
use super::watch::Revocation;
use crate::Failure;
use crate::process::{Folder, Process};

pub(crate) const NODES: usize = 3;

/// A key: what the database calls it, and what its holder has.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    token: String,
}

/// How a node sees a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    LetIn,
    Refused,
    Away,
}

/// A client of one node.
#[derive(Clone)]
pub(crate) struct Node(Client);

/// Where a node's cache stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) is_silent: bool,
    pub(crate) hits: u64,
    pub(crate) read_throughs: u64,
}

pub(crate) struct Fleet {
    pub(crate) nodes: [Node; NODES],
    /// What the feeds go through; all else goes straight to the server.
    pub(crate) proxy: Proxy,
    pub(crate) database: PostgresStore,
    unused: VecDeque<Key>,
    processes: [Process; NODES],
    pub(crate) postgres: Postgres,
    _folder: Folder,
}

impl Fleet {
    /// With so many keys.
    pub(crate) async fn start(keys: usize) -> Result<Self, Failure> {
        let (folder, postgres) = (Folder::new("revocation")?, Postgres::start());
        let url = postgres.url();
        let proxy = Proxy::to(postgres.address()).await?;
        let feed = postgres.url_by(proxy.address());
        let database = PostgresStore::connect(&url).await?;
        let unused = issue(&database, keys).await?;
        let start = |n: usize| {
            let errors = folder.file(&format!("node-{n}"));
            Process::start(NODE, &[("DATABASE_URL", &url), ("FEED_URL", &feed)], &errors)
        };
        let processes = [start(0)?, start(1)?, start(2)?];
        let nodes = processes.each_ref().map(|process| Node(process.server.client()));
        let fleet = Self { nodes, proxy, database, unused, processes, postgres, _folder: folder };
        fleet.is_heard(Duration::from_secs(10)).await.ok_or("the nodes do not hear their feeds")?;
        Ok(fleet)
    }

    /// Keys that nobody has used yet.
    pub(crate) fn keys(&mut self, count: usize) -> Vec<Key> {
        self.unused.drain(..count.min(self.unused.len())).collect()
    }

    /// Lets every node answer for every key from memory.
    pub(crate) async fn warm(&self, keys: &[Key]) -> u64 {
        let mut refused = 0;
        for key in keys {
            for node in &self.nodes {
                refused += u64::from(node.ask(key).await != Answer::LetIn);
            }
        }
        refused
    }

    /// How long it takes until all nodes hear their feeds; `None` if longer than `limit`.
    pub(crate) async fn is_heard(&self, limit: Duration) -> Option<Duration> {
        self.until(limit, |standing| !standing.is_silent).await
    }

    /// How long it takes until all nodes say that they read through.
    pub(crate) async fn is_silent(&self, limit: Duration) -> Option<Duration> {
        self.until(limit, |standing| standing.is_silent).await
    }

    /// How long it takes until all nodes let this key in and hear their feeds.
    pub(crate) async fn serves(&self, key: &Key, limit: Duration) -> Option<Duration> {
        let start = Instant::now();
        for node in &self.nodes {
            while node.ask(key).await != Answer::LetIn {
                if start.elapsed() > limit {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.is_heard(limit).await.map(|_| start.elapsed())
    }

    /// Revokes a key through one of the nodes; `None` when that does not say that it is done.
    pub(crate) async fn revoke(&self, n: usize, key: &Key) -> Option<Revocation> {
        let acknowledged = self.nodes[n % NODES].revoke(key).await?;
        Some(self.revocation(key, acknowledged))
    }

    pub(crate) fn revocation(&self, key: &Key, acknowledged: Instant) -> Revocation {
        Revocation { nodes: self.nodes.clone(), key: key.clone(), acknowledged }
    }

    async fn until(&self, limit: Duration, wanted: impl Fn(Standing) -> bool) -> Option<Duration> {
        let start = Instant::now();
        for node in &self.nodes {
            while !wanted(node.standing().await) {
                if start.elapsed() > limit {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Some(start.elapsed())
    }

    pub(crate) async fn standings(&self) -> [Standing; NODES] {
        let [a, b, c] = &self.nodes;
        [a.standing().await, b.standing().await, c.standing().await]
    }

    /// How many processes have ended, and how often one has panicked.
    pub(crate) fn casualties(&mut self) -> (u64, u64) {
        let health = self.processes.each_mut().map(Process::health);
        let ended = health.iter().filter(|(lives, _)| !lives).count();
        (ended as u64, health.iter().map(|(_, panics)| panics).sum())
    }
}

async fn issue(database: &PostgresStore, count: usize) -> Result<VecDeque<Key>, Failure> {
    let mut keys = VecDeque::with_capacity(count);
    let mut changes = Vec::with_capacity(count);
    for n in 0..count {
        let (id, token) = (format!("key_{n}"), KeyFormat::sk().generate(Environment::Live)?);
        let record = KeyRecord::new(id.as_str(), token.digest(), Tenant::new("acme"));
        changes.push(Change::Insert(record));
        keys.push_back(Key { id, token: token.reveal().to_owned() });
    }
    for chunk in changes.chunks(500) {
        database.commit(Commit::new(chunk.to_vec(), Vec::new())).await?;
    }
    Ok(keys)
}

impl Node {
    pub(crate) async fn ask(&self, key: &Key) -> Answer {
        match self.0.get("/").bearer(&key.token).send().await.status.as_u16() {
            200 => Answer::LetIn,
            401 => Answer::Refused,
            503 => Answer::Away,
            other => panic!("no status that a gate answers with: {other}"),
        }
    }

    /// When the node has said that it is done, if it has.
    pub(crate) async fn revoke(&self, key: &Key) -> Option<Instant> {
        let answer = self.0.post(&format!("/revoke/{}", key.id)).send().await;
        answer.status.is_success().then(Instant::now)
    }

    async fn standing(&self) -> Standing {
        let stats = self.0.get("/stats").send().await.json();
        let number = |name: &str| stats[name].as_u64().unwrap_or(0);
        Standing {
            is_silent: stats["silent"] == true,
            hits: number("hits"),
            read_throughs: number("read_throughs"),
        }
    }
}
