//! Interleaved rounds, in one thread and in two: every case a little in each round, so that a noisy
//! moment is noisy for all.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

use crate::Target;
use crate::cases::{
    self, Case, GOVERNOR, GOVERNOR_TEXT, HAND_GCRA, HAND_WINDOW, NONE, TABLE_GCRA, TABLE_WINDOW,
};
use crate::world::World;

const ROUNDS: usize = 60;
const TIMES: u32 = 3_000;
/// Of governor's time, for the same: a key that is at hand with the caller's record, and a text, of which
/// governor has to be given an owned one.
const BOUNDS: [(&str, &str, f64); 4] = [
    (HAND_WINDOW, GOVERNOR, 0.5),
    (HAND_GCRA, GOVERNOR, 0.5),
    (TABLE_WINDOW, GOVERNOR_TEXT, 1.0),
    (TABLE_GCRA, GOVERNOR_TEXT, 1.0),
];

/// What one request took, in one round.
#[derive(Clone, Copy, Default)]
struct Cost {
    nanos: f64,
    cycles: f64,
}

pub(crate) fn run(identities: usize) -> Vec<Target> {
    let world = World::new(identities);
    let cases = cases::all(&world);
    let mut requests = world.requests(1);
    for identity in 0..identities {
        let head = requests.of(identity);
        cases.iter().for_each(|case| case.step(head));
    }
    let run = |threads| report(identities, threads, &cases, &measure(&world, &cases, threads));
    [1, 2].into_iter().flat_map(run).collect()
}

/// By case, by round: the mean of the threads.
fn measure(world: &World, cases: &[Case], threads: u32) -> Vec<Vec<Cost>> {
    let barrier = Barrier::new(threads as usize);
    let measured: Vec<Vec<Vec<Cost>>> = thread::scope(|scope| {
        let seeds = 2..2 + u64::from(threads);
        let barrier = &barrier;
        let one = |seed| scope.spawn(move || alone(world, cases, barrier, seed));
        let running: Vec<_> = seeds.map(one).collect();
        running.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    let mean = |of: &dyn Fn(&Vec<Vec<Cost>>) -> f64| {
        measured.iter().map(of).sum::<f64>() / f64::from(threads)
    };
    let cost = |case: usize, round: usize| Cost {
        nanos: mean(&|one| one[case][round].nanos),
        cycles: mean(&|one| one[case][round].cycles),
    };
    (0..cases.len()).map(|case| (0..ROUNDS).map(|round| cost(case, round)).collect()).collect()
}

/// Each round begins with another case, so that none always follows the same one.
fn alone(world: &World, cases: &[Case], barrier: &Barrier, seed: u64) -> Vec<Vec<Cost>> {
    let mut requests = world.requests(seed);
    let mut counter = Builder::new(Hardware::CPU_CYCLES).build().ok();
    let mut costs = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for round in 0..ROUNDS {
        for step in 0..cases.len() {
            let index = (round + step) % cases.len();
            let mut repeat = |times| (0..times).for_each(|_| cases[index].step(requests.next()));
            repeat(TIMES / 4);
            barrier.wait();
            costs[index].push(cost(&mut counter, || repeat(TIMES)));
        }
    }
    costs
}

fn cost(counter: &mut Option<Counter>, work: impl FnOnce()) -> Cost {
    let begun = counter.as_mut().is_some_and(|it| it.reset().is_ok() && it.enable().is_ok());
    let start = Instant::now();
    work();
    let nanos = start.elapsed().as_nanos() as f64 / f64::from(TIMES);
    let counted = counter.as_mut().filter(|_| begun).and_then(|counter| {
        counter.disable().ok()?;
        counter.read().ok()
    });
    // Nanoseconds stand in for what can't be counted.
    Cost { nanos, cycles: counted.map_or(nanos, |cycles| cycles as f64 / f64::from(TIMES)) }
}

fn report(identities: usize, threads: u32, cases: &[Case], costs: &[Vec<Cost>]) -> Vec<Target> {
    println!(
        "\n| {identities} identities, {threads} threads | ns added | cycles added | × governor |"
    );
    println!("| --- | ---: | ---: | ---: |");
    let of =
        |name| cases.iter().position(|case| case.name == name).map_or(&costs[0], |at| &costs[at]);
    let added = |this: &[Cost], pick: fn(&Cost) -> f64| {
        median(this.iter().zip(of(NONE)).map(|(this, none)| pick(this) - pick(none)))
    };
    let (nanos, cycles): (fn(&Cost) -> f64, fn(&Cost) -> f64) =
        (|cost| cost.nanos, |cost| cost.cycles);
    let governor = added(of(GOVERNOR), cycles);
    for (case, cost) in cases.iter().zip(costs).filter(|(case, _)| case.name != NONE) {
        let ratio = added(cost, cycles) / governor;
        let (nanos, cycles) = (added(cost, nanos), added(cost, cycles));
        println!("| {} | {nanos:.1} | {cycles:.0} | {ratio:.2} |", case.name);
    }
    let target = |(name, other, most)| Target {
        what: format!(
            "{name}, {identities} identities, {threads} threads: of the cycles of {other}"
        ),
        most,
        measured: added(of(name), cycles) / added(of(other), cycles),
    };
    BOUNDS.map(target).into()
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
