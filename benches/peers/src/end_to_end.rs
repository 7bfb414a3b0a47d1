//! End to end over loopback: axum bare, and axum behind the full gate.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use keygate::render::RateLimitHeaders;
use tower::util::MapRequestLayer;

use crate::by_hand::in_front_of;
use crate::harness::median;
use crate::load::{Load, Protocol};
use crate::targets::Target;
use crate::world::{MUCH, NEEDED, World, per_key};

const ROUNDS: usize = 15;
const SERVED: [&str; 5] = [
    "axum",
    "axum, a layer that does nothing",
    "axum, keygate",
    "axum, keygate, rate-limit headers",
    "axum, `from_fn`, DashMap, tower_governor",
];
type Servers = [Server; SERVED.len()];

/// A server on a thread of its own, so that one processor is left to whoever asks.
struct Server {
    address: SocketAddr,
    /// Where the kernel tells how long its thread has run (proc(5)).
    schedstat: PathBuf,
}

impl Server {
    fn start(app: Router) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
                let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
                let schedstat = PathBuf::from("/proc").join(thread).join("schedstat");
                let _ = sender.send(Self { address: listener.local_addr()?, schedstat });
                axum::serve(listener, app).await
            })
        });
        receiver.recv().map_err(std::io::Error::other)
    }

    /// Nanoseconds.
    fn processor(&self) -> f64 {
        let stat = std::fs::read_to_string(&self.schedstat).unwrap_or_default();
        stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(f64::NAN)
    }
}

fn servers(world: &World) -> std::io::Result<Servers> {
    let bare = || Router::new().route("/orders", get(|| async { "hello" }));
    let gate = |headers| {
        let layer = world.unlimited(NEEDED).limit(per_key(MUCH)).expect("a limit");
        bare().layer(layer.rate_limit_headers(headers))
    };
    Ok([
        Server::start(bare())?,
        Server::start(bare().layer(MapRequestLayer::new(|request: Request| request)))?,
        Server::start(gate(RateLimitHeaders::off()))?,
        Server::start(gate(RateLimitHeaders::x()))?,
        Server::start(in_front_of(bare(), world))?,
    ])
}

pub(crate) fn run() -> Vec<Target> {
    let world = World::new(MUCH);
    let (Ok(servers), Some(key)) = (servers(&world), world.known[0].to_str().ok()) else {
        return vec![Target::at_least("end to end", 1.0, f64::NAN)];
    };
    println!("\n| end to end | asked by | requests a second | server's µs a request | of bare |");
    println!("| --- | --- | ---: | ---: | ---: |");
    let [off, x] = protocol(&servers, key, Protocol::Http1);
    protocol(&servers, key, Protocol::Http2);
    vec![
        Target::at_least("HTTP/1.1, headers off: requests a busy second, of bare", 0.95, off),
        Target::at_least("HTTP/1.1, rate-limit headers: requests a busy second, of bare", 0.92, x),
    ]
}

/// What is left of the bare service's requests behind either gate, in as much time of the server's
/// thread: on a machine of its own that is requests a second, and neighbours don't change it.
fn protocol(servers: &Servers, key: &str, protocol: Protocol) -> [f64; 2] {
    let load = Load::new(protocol, key);
    let rounds: Vec<_> = (0..ROUNDS).map(|round| one_round(servers, &load, round)).collect();
    let of_bare = |server: usize| median(rounds.iter().map(|round| round[0].1 / round[server].1));
    for (server, name) in SERVED.iter().enumerate() {
        let rate = median(rounds.iter().map(|round| round[server].0));
        let processor = median(rounds.iter().map(|round| round[server].1));
        let (protocol, by, of_bare) = (load.protocol(), load.by(), of_bare(server));
        println!("| {protocol}, {name} | {by} | {rate:.0} | {processor:.2} | {of_bare:.3} |");
    }
    [of_bare(2), of_bare(3)]
}

/// Of each server, requests a second, and what one takes of the server's thread in microseconds.
fn one_round(servers: &Servers, load: &Load, round: usize) -> [(f64, f64); SERVED.len()] {
    let mut measured = [(f64::NAN, f64::NAN); SERVED.len()];
    for step in 0..servers.len() {
        let at = (round + step) % servers.len();
        let before = servers[at].processor();
        let done = load.run(servers[at].address).unwrap_or_else(|error| {
            eprintln!("{}: {error}", load.by());
            (f64::NAN, f64::NAN)
        });
        let busy = servers[at].processor() - before;
        measured[at] = (done.0, busy / 1_000.0 / done.1);
    }
    measured
}
