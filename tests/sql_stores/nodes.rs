//! Nodes that are processes of their own, on one server, with feeds that are cut: the bound that is
//! documented for a revocation. `benches/drills` does the same for longer and under load.

use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keygate::store::{Cached, KeyStore, PostgresFeed, PostgresStore};
use keygate::{KeyDigest, KeyFormat, KeyRecord, KeyStatus, Keys, Tenant, TenantId};
use libtest_mimic::Trial;
use support::{Network, Postgres, Proxy, wait_until};

use crate::child;
use crate::postgres::private_trials;
use crate::stores::{Place, postgres};
use crate::wait;

/// What `Cached` promises whatever becomes of the feed.
const BOUND: Duration = Duration::from_secs(5);
/// What it promises while the feed is heard.
const TOLD: Duration = Duration::from_secs(1);
const FEED: &str = "KEYGATE_TEST_FEED";
/// Revoked during one cut.
const KEYS: usize = 20;

type Test = fn(&mut Postgres);

const TESTS: &[(&str, Test)] =
    &[("a_revoked_key_is_let_in_nowhere_after_the_bound", a_revoked_key_is_let_in_nowhere)];

pub(crate) fn trials() -> Vec<Trial> {
    private_trials("nodes", TESTS)
}

/// A node as a process: answers each line with one.
pub(crate) async fn serve(url: &str) {
    let database = postgres(url).await.unwrap();
    let feed = PostgresFeed::new(&database, &std::env::var(FEED).unwrap()).unwrap();
    let store = Cached::new(database);
    tokio::spawn(store.follow(feed));
    for line in stdin().lines().map_while(Result::ok) {
        println!("{}", answer(&store, &line).await);
    }
}

async fn answer(store: &Cached<PostgresStore>, line: &str) -> &'static str {
    let (question, id) = line.split_once(' ').unwrap_or((line, ""));
    match question {
        "hears" => {
            if store.stats().feed_silent_for.is_none() {
                "yes"
            } else {
                "no"
            }
        }
        "revoke" => {
            let keys = Keys::new(store.clone(), KeyFormat::sk());
            keys.by("test").revoke(&TenantId::from("acme"), &id.into()).await.unwrap();
            "yes"
        }
        _ => {
            let digest = KeyDigest::of(id);
            let found = match store.peek(&digest) {
                Some(found) => found.unwrap(),
                None => store.find(&digest).await.unwrap(),
            };
            if found.unwrap().status() == KeyStatus::Active { "yes" } else { "no" }
        }
    }
}

/// The parent's end of a node. It ends when its input does.
struct Node {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Node {
    fn start(url: &str, feed: &str) -> Self {
        let mut command = child::command("node", &Place::Postgres(url.into()));
        let mut child = command.env(FEED, feed).stdin(Stdio::piped()).spawn().unwrap();
        let (questions, answers) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, questions, answers: BufReader::new(answers) }
    }

    fn says(&mut self, question: &str) -> bool {
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        match answer.trim_end() {
            "yes" => true,
            "no" => false,
            other => panic!("{question}: {other:?}"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

fn a_revoked_key_is_let_in_nowhere(server: &mut Postgres) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(Proxy::to(server.address())).unwrap();
    let (url, feed) = (server.url(), server.url_by(proxy.address()));
    wait(issue(&url));
    let mut nodes: [_; 3] = std::array::from_fn(|_| Node::start(&url, &feed));
    nodes.iter_mut().for_each(|node| wait_until("it hears", || node.says("hears")));
    let cuts = [("heard", Network::Whole), ("silent", Network::Silent), ("reset", Network::Reset)];
    for (name, network) in cuts {
        let ids: Vec<String> = (0..KEYS).map(|n| format!("{name}-{n}")).collect();
        for (id, node) in ids.iter().flat_map(|id| [(id, 0), (id, 1), (id, 2)]) {
            assert!(nodes[node].says(&format!("is {id}")));
        }
        proxy.set(network);
        let let_in = revoke(&mut nodes, &ids);
        assert!(let_in.iter().all(|longest| *longest <= BOUND), "{name}: {let_in:?}");
        if network == Network::Whole {
            // A machine that stops now and then is late with some of them.
            assert!(let_in[KEYS / 2] < TOLD, "{let_in:?}");
        } else {
            assert!(nodes.iter_mut().all(|node| !node.says("hears")), "the gauge says so");
        }
        proxy.set(Network::Whole);
        nodes.iter_mut().for_each(|node| wait_until("it hears", || node.says("hears")));
    }
}

async fn issue(url: &str) {
    let store = postgres(url).await.unwrap();
    let keys = Keys::new(store, KeyFormat::sk());
    for (name, n) in
        ["heard", "silent", "reset"].iter().flat_map(|name| (0..KEYS).map(move |n| (name, n)))
    {
        let id = format!("{name}-{n}");
        let record = KeyRecord::new(id.as_str(), KeyDigest::of(&id), Tenant::new("acme"));
        keys.by("test").import(record).await.unwrap();
    }
}

/// Revokes the keys one after the other on all nodes in turn, asking all of them all the time until
/// every node has refused every key; for each key the longest time after which it was let in, in
/// their order.
fn revoke(nodes: &mut [Node; 3], ids: &[String]) -> Vec<Duration> {
    let mut revoked: Vec<(&String, Instant, Duration)> = Vec::new();
    let start = Instant::now();
    loop {
        if let Some(id) = ids.get(revoked.len()).filter(|_| is_due(start, revoked.len())) {
            assert!(nodes[revoked.len() % 3].says(&format!("revoke {id}")));
            revoked.push((id, Instant::now(), Duration::ZERO));
        }
        let mut is_let_in = false;
        for (id, at, longest) in &mut revoked {
            for node in nodes.iter_mut() {
                let asked = at.elapsed();
                if node.says(&format!("is {id}")) {
                    (is_let_in, *longest) = (true, asked.max(*longest));
                }
            }
        }
        let is_too_long = revoked.iter().any(|(.., longest)| *longest > BOUND);
        if revoked.len() == ids.len() && !is_let_in || is_too_long {
            let mut let_in: Vec<_> = revoked.into_iter().map(|(.., longest)| longest).collect();
            let_in.sort();
            return let_in;
        }
        sleep(Duration::from_millis(5));
    }
}

/// A tenth of a second after the one before: the first keys are revoked just after the cut, when
/// nodes have just heard their feeds.
fn is_due(start: Instant, n: usize) -> bool {
    start.elapsed() >= Duration::from_millis(100) * n as u32
}
