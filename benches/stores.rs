//! What a lookup adds to a request, on each store, with a cache in front of it and without.
//!
//! ```text
//! cargo bench --bench stores --all-features
//! ```
//!
//! One Markdown table, in about three minutes. Keys are asked for in an order that no prefetcher guesses;
//! a cache holds all of them. Latency is of one who asks alone, throughput of 16 who ask at once on
//! two threads. PostgreSQL is a private server on loopback, without which its rows are left out.

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use keygate::store::{Cached, Change, Commit, KeyAdmin, KeyStore, MemoryStore};
use keygate::store::{PostgresStore, SqliteStore};
use keygate::{KeyDigest, KeyRecord, ScopeSet, Tenant};
use support::Postgres;
use tokio::runtime::{Builder, Runtime};

type Shared = Arc<dyn KeyStore>;

const ASKING: usize = 16;
/// In how many turns, each so long, a number is measured; throughput is their median.
const TURNS: usize = 5;
const TIME: Duration = Duration::from_millis(600);
const HOUR: Duration = Duration::from_secs(3600);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["row", store, keys] => row(store, keys.parse().expect("a number"), TIME),
        // `cargo test --benches` asks whether it runs, not how fast.
        _ if !arguments.contains(&"--bench") => row("SQLite", 100, TIME / 100),
        _ => table(),
    }
}

/// Each row is a process of its own, whose memory is nobody else's.
fn table() {
    println!("{}\n", machine());
    println!(
        "| keys | store | lookups/s | p50 | p99 | cached: lookups/s | p50 | p99 | bytes a key |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let this = std::env::current_exe().expect("a running program has a path");
    for keys in ["10000", "1000000"] {
        for store in ["memory", "SQLite", "PostgreSQL"] {
            let status = Command::new(&this).args(["row", store, keys]).status();
            assert!(status.expect("it starts").success(), "{store} with {keys} keys failed");
        }
    }
}

fn row(name: &str, keys: usize, time: Duration) {
    let builder = &mut Builder::new_multi_thread();
    let runtime = &builder.worker_threads(2).enable_all().build().expect("a runtime");
    let bench = Bench { runtime, digests: (0..keys).map(digest).collect(), time };
    let folder = Folder::new();
    match (name, Postgres::programs()) {
        ("memory", _) => bench.row(name, bench.memory()),
        ("SQLite", _) => bench.row(name, bench.sqlite(&folder)),
        (_, Err(why)) => println!("| {keys} | {name} | {why} | | | | | | |"),
        (_, Ok(_)) => {
            let server = Postgres::start();
            bench.row(name, bench.postgres(&server));
        }
    }
}

struct Bench<'r> {
    runtime: &'r Runtime,
    digests: Arc<[KeyDigest]>,
    /// How long a turn is.
    time: Duration,
}

// ---- Stores -------------------------------------------------------------------------------------

fn digest(number: usize) -> KeyDigest {
    KeyDigest::of(&id(number))
}

fn id(number: usize) -> String {
    format!("key_{number}")
}

fn record(number: usize) -> KeyRecord {
    KeyRecord::new(&*id(number), digest(number), Tenant::new("acme"))
        .with_name("billing job")
        .with_access(ScopeSet::new(["read:customers"]).expect("a scope"))
}

impl Bench<'_> {
    fn memory(&self) -> Shared {
        let store = MemoryStore::new();
        self.load(&store, 0..self.digests.len());
        Arc::new(store)
    }

    fn sqlite(&self, folder: &Folder) -> Shared {
        let store = self.runtime.block_on(SqliteStore::open(folder.0.join("keys.db")));
        let store = store.expect("a file");
        // In the order of the table: a page is filled once.
        let mut numbers: Vec<_> = (0..self.digests.len()).collect();
        numbers.sort_unstable_by_key(|number| *self.digests[*number].as_bytes());
        self.load(&store, numbers);
        Arc::new(store)
    }

    /// The server itself makes all keys but one, after its likeness.
    fn postgres(&self, server: &Postgres) -> Shared {
        let url = server.url();
        self.runtime.block_on(async {
            let store = PostgresStore::connect(&url).await.expect("a server");
            store.insert(record(0)).await.expect("a new key");
            let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
            let (client, connection) = connected.expect("a server");
            tokio::spawn(connection);
            client.batch_execute(&more_keys(self.digests.len())).await.expect("new keys");
            client.batch_execute("VACUUM ANALYZE keygate_keys").await.expect("a table");
            Arc::new(store) as Shared
        })
    }

    fn load(&self, store: &impl KeyAdmin, numbers: impl IntoIterator<Item = usize>) {
        let mut changes = numbers.into_iter().map(|number| Change::Insert(record(number)));
        loop {
            let thousand: Vec<_> = changes.by_ref().take(1000).collect();
            if thousand.is_empty() {
                return;
            }
            let commit = Commit::new(thousand, Vec::new());
            self.runtime.block_on(store.commit(commit)).expect("new keys");
        }
    }
}

fn more_keys(keys: usize) -> String {
    const SAME: &str = "tenant, display, name, environment, access, created, expires, status, \
         networks, quota, rotation, deprecated, successor, revision";
    format!(
        "INSERT INTO keygate_keys (digest, id, {SAME}) \
         SELECT sha256(convert_to('key_' || n, 'UTF8')), 'key_' || n, {SAME} \
         FROM keygate_keys, generate_series(1, {keys} - 1) n WHERE id = 'key_0'"
    )
}

// ---- Measuring ----------------------------------------------------------------------------------

/// What was seen of one store.
#[derive(Default)]
struct Measured {
    per_second: Vec<f64>,
    times: Vec<Duration>,
}

impl Bench<'_> {
    fn row(&self, name: &str, store: Shared) {
        let keys = self.digests.len();
        // Threads and connections have their memory before.
        self.many(&store);
        let before = resident();
        let cached = Cached::new(store.clone()).capacity(keys * 2).fresh_for(HOUR);
        let cached: Shared = Arc::new(cached);
        self.fill(&cached);
        let bytes = resident().saturating_sub(before) / keys;
        let [store, cached] = self.measure([store, cached]);
        println!("| {keys} | {name} | {store} | {cached} | {bytes} |");
    }

    /// By turns, so that a machine that is busy for a while is so for both.
    fn measure(&self, stores: [Shared; 2]) -> [Measured; 2] {
        let mut measured = <[Measured; 2]>::default();
        for _ in 0..TURNS {
            for (store, measured) in stores.iter().zip(&mut measured) {
                measured.times.extend(self.alone(store));
                measured.per_second.push(self.many(store));
            }
        }
        for measured in &mut measured {
            measured.times.sort_unstable();
            measured.per_second.sort_by(f64::total_cmp);
        }
        measured
    }

    /// Every key is asked for once, and is kept from then on.
    fn fill(&self, cached: &Shared) {
        let next = Arc::new(AtomicUsize::new(0));
        self.at_once(|_| {
            let (cached, digests, next) = (cached.clone(), self.digests.clone(), next.clone());
            async move {
                while let Some(digest) = digests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    look(&*cached, digest).await;
                }
            }
        });
    }

    fn alone(&self, store: &Shared) -> Vec<Duration> {
        let (store, digests, time) = (store.clone(), self.digests.clone(), self.time);
        let clock = clocks_own();
        let asking = async move {
            let (mut order, mut times) = (Order::from(1), Vec::new());
            let end = Instant::now() + time;
            while times.len() < 400_000 {
                let digest = order.next(&digests);
                let start = Instant::now();
                if start > end {
                    break;
                }
                look(&*store, digest).await;
                times.push(start.elapsed().saturating_sub(clock));
            }
            times
        };
        self.runtime.block_on(self.runtime.spawn(asking)).expect("no panic")
    }

    fn many(&self, store: &Shared) -> f64 {
        let asked = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        self.at_once(|number| {
            let (store, digests, asked) = (store.clone(), self.digests.clone(), asked.clone());
            let end = start + self.time;
            async move {
                let mut order = Order::from(number);
                while Instant::now() < end {
                    for _ in 0..32 {
                        look(&*store, order.next(&digests)).await;
                    }
                    asked.fetch_add(32, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            }
        });
        asked.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
    }

    fn at_once<F: Future<Output = ()> + Send + 'static>(&self, task: impl Fn(usize) -> F) {
        let tasks: Vec<_> = (0..ASKING).map(|number| self.runtime.spawn(task(number))).collect();
        for task in tasks {
            self.runtime.block_on(task).expect("no panic");
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_hundred = |share: usize| nice(self.times[(self.times.len() - 1) * share / 100]);
        let per_second = self.per_second[self.per_second.len() / 2] / 1e3;
        write!(f, "{per_second:.0} k | {} | {}", of_hundred(50), of_hundred(99))
    }
}

/// Asks as the gate does.
async fn look(store: &dyn KeyStore, digest: &KeyDigest) {
    let found = match store.peek(digest) {
        Some(found) => found,
        None => store.find(digest).await,
    };
    let record = found.expect("an answer").expect("a key");
    black_box(record.revision());
}

/// A walk that seems random.
struct Order(usize);

impl Order {
    fn from(number: usize) -> Self {
        Self(number * 1_234_577)
    }

    fn next<'d>(&mut self, digests: &'d [KeyDigest]) -> &'d KeyDigest {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        &digests[(self.0 >> 33) % digests.len()]
    }
}

/// What it takes to look at the clock.
fn clocks_own() -> Duration {
    let mut times: Vec<_> = (0..1001).map(|_| Instant::now().elapsed()).collect();
    times.sort_unstable();
    times[500]
}

fn nice(time: Duration) -> String {
    match time.as_nanos() {
        nanos @ ..1_000 => format!("{nanos} ns"),
        nanos @ ..100_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        nanos => format!("{} µs", nanos / 1_000),
    }
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores, {}", model.map_or("of an unknown model", |(_, name)| name))
}

/// A temporary folder, removed in the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("keygate-bench-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
