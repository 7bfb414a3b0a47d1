//! Interleaved rounds, in one thread and in two: every case a little in each round, so that a noisy
//! moment is noisy for all.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

use crate::Target;
use crate::cases::{
    self, Case, GOVERNOR, GOVERNOR_TEXT, HAND_GCRA, HAND_WINDOW, NONE, NUMBER, TABLE_GCRA,
    TABLE_WINDOW,
};
use crate::world::World;

const ROUNDS: usize = 60;
const TIMES: u32 = 3_000;
/// How many measures of what two threads share are left out at most.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_secs(2);
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
    let run = |threads| {
        let costs = match threads {
            1 => measure(&world, &cases, threads),
            _ => measure_near(&world, &cases, threads),
        };
        report(identities, threads, &cases, &costs)
    };
    [1, 2].into_iter().flat_map(run).collect()
}

/// Two threads hand one caller's counter to each other. When the processors of a virtual machine happen
/// to lie far apart, which changes by the minute, that takes longer than all that is to be measured: a
/// bare number, the least that counts exactly, then adds more than half of a whole request, otherwise a
/// twentieth. Such a measure is taken again, for as long as that may help.
fn measure_near(world: &World, cases: &[Case], threads: u32) -> Vec<Vec<Cost>> {
    let mut left_out = 0;
    loop {
        let costs = measure(world, cases, threads);
        if is_near(&costs, cases) || left_out == TRIES {
            println!("\n{left_out} measures left out, the processors being far apart");
            return costs;
        }
        left_out += 1;
        thread::sleep(PAUSE);
    }
}

/// Judged by the number alone, so that it favours none of those that are compared.
fn is_near(costs: &[Vec<Cost>], cases: &[Case]) -> bool {
    let request = cases.iter().zip(costs).find(|(case, _)| case.name == NONE);
    let request = request.map_or(f64::NAN, |(_, costs)| median(costs.iter().map(|c| c.cycles)));
    added(costs, cases, NUMBER, |cost| cost.cycles) < request / 4.0
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

/// Each round begins with another case, and each other one goes backwards, so that none always follows the
/// same one.
fn alone(world: &World, cases: &[Case], barrier: &Barrier, seed: u64) -> Vec<Vec<Cost>> {
    let mut requests = world.requests(seed);
    let mut counter = Builder::new(Hardware::CPU_CYCLES).build().ok();
    let mut costs = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for round in 0..ROUNDS {
        for step in 0..cases.len() {
            let step = if round % 2 == 0 { step } else { cases.len() - 1 - step };
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
    let cycles = |name| added(costs, cases, name, |cost| cost.cycles);
    for name in cases.iter().map(|case| case.name).filter(|name| *name != NONE) {
        let nanos = added(costs, cases, name, |cost| cost.nanos);
        let ratio = cycles(name) / cycles(GOVERNOR);
        println!("| {name} | {nanos:.1} | {:.0} | {ratio:.2} |", cycles(name));
    }
    let target = |(name, other, most)| Target {
        what: format!(
            "{name}, {identities} identities, {threads} threads: of the cycles of {other}"
        ),
        most,
        measured: cycles(name) / cycles(other),
    };
    BOUNDS.map(target).into()
}

/// What the case of this name adds to none, at the median of the rounds.
fn added(costs: &[Vec<Cost>], cases: &[Case], name: &str, pick: fn(&Cost) -> f64) -> f64 {
    let of = |name| cases.iter().zip(costs).find(|(case, _)| case.name == name);
    let (Some((_, this)), Some((_, none))) = (of(name), of(NONE)) else { return f64::NAN };
    median(this.iter().zip(none).map(|(this, none)| pick(this) - pick(none)))
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
