//! What a gate adds to a request, against what a good engineer writes by hand for one service.
//!
//! ```text
//! cargo bench --bench gate                                  the table
//! cargo bench --bench gate -- --check                       fails when a target is missed
//! cargo bench --bench gate -- --only 'gate: key' 20000      one case, for callgrind
//! ```
//!
//! Times are medians of interleaved rounds; ratios are medians of each round's own ratio.

#[path = "gate/cases.rs"]
mod cases;
#[path = "gate/floor.rs"]
mod floor;
#[path = "gate/floor_jwt.rs"]
mod floor_jwt;
#[path = "gate/harness.rs"]
mod harness;

use std::process::ExitCode;

use harness::{Case, Rounds};

#[global_allocator]
static COUNTING: support::Counting = support::Counting;

/// The most that a gate may add to a request, of what the floor adds.
const SLOWEST: f64 = 1.5;
/// The most that it may allocate beyond the floor.
const MORE_ALLOCATIONS: u64 = 1;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let mut cases = cases::all();
    if let Some(at) = arguments.iter().position(|argument| argument == "--only") {
        return only(&mut cases, &arguments[at + 1..]);
    }
    // `cargo test --benches` asks whether it runs, not how fast.
    let (rounds, times) = if has("--bench") { (400, 500) } else { (3, 5) };
    let allocations: Vec<u64> = cases.iter_mut().map(Case::allocations).collect();
    let measured = Rounds::run(&mut cases, rounds, times);
    let rows = Row::all(&cases, &allocations, &measured);
    print(&rows);
    let missed = rows.iter().filter(|row| row.misses()).count();
    if has("--check") && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn only(cases: &mut [Case], arguments: &[String]) -> ExitCode {
    let [name, rest @ ..] = arguments else { return ExitCode::FAILURE };
    let times = rest.first().and_then(|times| times.parse().ok()).unwrap_or(1);
    match cases.iter_mut().find(|case| case.name == name.as_str()) {
        Some(case) => case.repeat(times),
        None => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// A gate's case beside its floor's.
struct Row {
    name: &'static str,
    floor_nanos: f64,
    gate_nanos: f64,
    ratio: f64,
    floor_allocations: i64,
    gate_allocations: i64,
    is_refusal: bool,
    slower_than_success: bool,
}

impl Row {
    fn all(cases: &[Case], allocations: &[u64], measured: &Rounds) -> Vec<Self> {
        let find = |name: String| cases.iter().position(|case| case.name == name);
        let bare = |name: &str| usize::from(name.contains("warm"));
        let success = find("gate: key, headers".to_owned()).unwrap_or_default();
        let gates = cases.iter().enumerate();
        let named = gates.filter_map(|(at, case)| Some((at, case.name.strip_prefix("gate: ")?)));
        let row = |(gate, name): (usize, &'static str)| {
            let floor = find(format!("floor: {name}"))?;
            let bare = bare(name);
            let added = |case: usize| measured.median(|round| round[case] - round[bare]);
            let allocated = |case: usize| allocations[case] as i64 - allocations[bare] as i64;
            let is_refusal = !name.starts_with("key") && !name.starts_with("JWT");
            Some(Self {
                name,
                floor_nanos: added(floor),
                gate_nanos: added(gate),
                ratio: measured
                    .median(|round| (round[gate] - round[bare]) / (round[floor] - round[bare])),
                floor_allocations: allocated(floor),
                gate_allocations: allocated(gate),
                is_refusal,
                slower_than_success: is_refusal
                    && measured.median(|round| round[gate] / round[success]) > 1.05,
            })
        };
        named.filter_map(row).collect()
    }

    /// What is promised is said of requests with keys. What "warm" leaves out, the extensions' map, both
    /// allocate: the same difference is a larger share of less there, which is shown and not held.
    fn misses(&self) -> bool {
        let is_held = self.name.starts_with("key") && !self.name.contains("warm");
        let allocates = self.gate_allocations - self.floor_allocations > MORE_ALLOCATIONS as i64;
        is_held && (self.ratio > SLOWEST || allocates)
    }

    fn note(&self) -> &'static str {
        match (self.misses(), self.slower_than_success) {
            (_, true) => "slower than letting in",
            (true, _) => "missed",
            (false, _) if self.is_refusal => "refused",
            (false, _) => "",
        }
    }
}

fn print(rows: &[Row]) {
    println!(
        "| request | floor, ns added | gate, ns added | ratio | floor, allocations | gate | |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | --- |");
    for row in rows {
        let Row { name, floor_nanos, gate_nanos, ratio, .. } = row;
        let (floor, gate, note) = (row.floor_allocations, row.gate_allocations, row.note());
        println!(
            "| {name} | {floor_nanos:.0} | {gate_nanos:.0} | {ratio:.2} | {floor} | {gate} | {note} |"
        );
    }
}
