//! keygate beside its peers and beside what is written by hand, in one process and one run.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml              everything
//! … -- costs                      what one request costs
//! … -- http                       end to end over loopback
//! … -- threads                    two threads at once
//! … -- memory                     bytes for each key, token and identity
//! … -- build                      crates and cold builds
//! … -- only 'JWT seen before, HS256' keygate 100000      one case, for a profiler
//! ```
//!
//! Prints Markdown. Last comes how many of the targets hold; the exit code is 1 unless all of them do.
//! Times are medians of interleaved rounds, ratios medians of each round's own ratio; instructions are
//! the processor's own count.

mod by_hand;
mod cases;
mod dependencies;
mod end_to_end;
#[path = "../../gate/floor.rs"]
mod floor;
mod harness;

mod instructions;
mod jwt_by_hand;
#[path = "../../jwt/floor.rs"]
mod jwt_floor;
mod jwt_peers;
mod load;
mod memory;
mod report;
mod service;
mod targets;
mod threads;
#[allow(dead_code, reason = "shared with a bench that measures more")]
#[path = "../../jwt/tokens.rs"]
mod tokens;
mod world;

use std::process::ExitCode;

use crate::report::Results;
use crate::targets::Target;

#[global_allocator]
static COUNTING: support::Counting = support::Counting;

const ROUNDS: usize = 300;
const PARTS: [&str; 5] = ["costs", "threads", "http", "memory", "build"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parts = match arguments[..] {
        ["only", what, who, times] => return only(what, who, times),
        [] => &PARTS[..],
        ref parts if parts.iter().all(|part| PARTS.contains(part)) => parts,
        _ => {
            eprintln!("{} or only <request> <by> <times>", PARTS.join(", "));
            return ExitCode::FAILURE;
        }
    };
    let targets: Vec<_> = parts.iter().flat_map(|name| part(name)).collect();
    targets::print(&targets);
    if targets.iter().all(|target| target.holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn part(name: &str) -> Vec<Target> {
    match name {
        "costs" => costs(),
        "threads" => threads::run(),
        "http" => end_to_end::run(),
        "build" => dependencies::run(),
        _ => {
            memory::run();
            Vec::new()
        }
    }
}

fn costs() -> Vec<Target> {
    let mut cases = cases::all();
    let costs = harness::measure(&mut cases, ROUNDS);
    let results = Results::new(cases, costs);
    results.print();
    if !cfg!(feature = "tower-rate-limiter") {
        println!("\ntower-rate-limiter needs Rust 1.96: `--features tower-rate-limiter` adds it.");
    }
    targets::of(&results)
}

fn only(what: &str, who: &str, times: &str) -> ExitCode {
    let mut cases = cases::all();
    let case = cases.iter_mut().find(|case| case.what == what && case.who == who);
    let (Some(case), Ok(times)) = (case, times.parse()) else { return ExitCode::FAILURE };
    case.repeat(times);
    ExitCode::SUCCESS
}
