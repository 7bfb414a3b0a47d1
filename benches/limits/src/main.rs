//! What a limit adds to a request, beside what a check of governor adds, in one process and one run.
//!
//! ```text
//! cargo run --release --manifest-path benches/limits/Cargo.toml              prints all
//! … -- --check                    exits with 1 when a bound does not hold
//! … -- --grow                     memory from 1 to 10,000,000 identities, too
//! … -- only 'governor, keyed' 1 100000   one case, for a profiler
//! ```
//!
//! Each case is a whole request through an `Authenticator`: key, record, and then nothing, a limit of
//! keygate's, or a check of governor's by the same name; what it adds is told by rounds that are
//! interleaved. Cycles are the processor's own count for each thread outside the kernel, which
//! neighbours on a busy machine change little; where it can't be read, nanoseconds stand in. Leased
//! limits need a Redis server, which is started for them.

mod cases;
mod leased;
mod memory;
mod rounds;
mod world;

use std::process::ExitCode;

#[global_allocator]
static COUNTING: support::Counting = support::Counting;

const IDENTITIES: [usize; 3] = [1, 100_000, 1_000_000];

/// One number that is asked for.
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) most: f64,
    pub(crate) measured: f64,
}

impl Target {
    /// Nothing, not even a measure that failed, is below a bound by accident: NaN is not.
    fn holds(&self) -> bool {
        self.measured <= self.most
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["only", who, identities, times] = arguments[..] {
        return only(who, identities, times);
    }
    if arguments.iter().any(|argument| !["--check", "--grow"].contains(argument)) {
        eprintln!("--check, --grow, or only <case> <identities> <times>");
        return ExitCode::FAILURE;
    }
    let mut targets = Vec::new();
    for identities in IDENTITIES {
        targets.extend(rounds::run(identities));
    }
    targets.extend(memory::run(arguments.contains(&"--grow")));
    targets.extend(leased::run());
    print(&targets);
    let missed = arguments.contains(&"--check") && !targets.iter().all(Target::holds);
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn only(who: &str, identities: &str, times: &str) -> ExitCode {
    let (Ok(identities), Ok(times)) = (identities.parse(), times.parse()) else {
        return ExitCode::FAILURE;
    };
    let world = world::World::new(identities);
    let Some(case) = cases::all(&world).into_iter().find(|case| case.name == who) else {
        return ExitCode::FAILURE;
    };
    let mut requests = world.requests(1);
    (0..times).for_each(|_| case.step(requests.next()));
    ExitCode::SUCCESS
}

fn print(targets: &[Target]) {
    println!("\n| target | at most | measured | |\n| --- | ---: | ---: | --- |");
    for target in targets {
        let verdict = if target.holds() { "holds" } else { "**missed**" };
        println!("| {} | {} | {:.2} | {verdict} |", target.what, target.most, target.measured);
    }
    let held = targets.iter().filter(|target| target.holds()).count();
    println!("\n{held} of {} targets hold", targets.len());
}
