//! How much of a limit four nodes can use, and how many round trips that takes.

use super::*;

const NODES: usize = 4;
/// A round trip.
const TRIP: u64 = MILLI;

/// The keeper looks so often what is idle.
const SWEEP: u64 = 100 * MILLI;
/// That are looked at.
const WINDOWS: usize = 4;

struct Node {
    slice: Slice,
    flight: Option<(Question, u64)>,
    waiting: u64,
    sweeps: u64,
}

#[derive(Default)]
struct Sums {
    admitted: BTreeMap<u64, u64>,
    requests: u64,
    trips: u64,
}

/// Which node gets the request number `n` of `all`.
type Load = fn(u64, u64) -> usize;

fn even(n: u64, _: u64) -> usize {
    (n % 4) as usize
}

/// 85, 10, 4 and 1 of a hundred.
fn skewed(n: u64, _: u64) -> usize {
    match n * 37 % 100 {
        0..85 => 0,
        85..95 => 1,
        95..99 => 2,
        _ => 3,
    }
}

/// One node after the other gets everything.
fn bursting(n: u64, all: u64) -> usize {
    (n * 10 / all % 4) as usize
}

/// `demand` requests in each window, evenly in time, spread by `load`. What is seen of the first
/// window is left out: the nodes know nothing of the load yet.
fn run(terms: Terms, demand: u64, load: Load) -> Sums {
    let (_, window) = bounds(terms);
    let (mut server, mut sums) = (Server::default(), Sums::default());
    let mut nodes: Vec<Node> = (0..NODES).map(|n| Node::new(n as u64)).collect();
    for n in 0..demand * (1 + WINDOWS as u64) {
        if n == demand {
            sums = Sums::default();
        }
        let at = START + n * window / demand;
        for node in &mut nodes {
            node.land(terms, at, &mut server, &mut sums);
            node.sweep(terms, at, &mut server, &mut sums);
        }
        sums.requests += 1;
        nodes[load(n % demand, demand)].request(terms, at, &mut sums);
    }
    sums
}

impl Node {
    fn new(n: u64) -> Self {
        let sweeps = START + n * 23 * MILLI;
        Self { slice: Slice::default(), flight: None, waiting: 0, sweeps }
    }

    fn request(&mut self, terms: Terms, at: u64, sums: &mut Sums) {
        let now = at - START;
        match self.slice.look(terms, now, 1) {
            Look::Fits(is_low) => {
                self.slice.take(terms, now, 1);
                *sums.admitted.entry(at / bounds(terms).1).or_default() += 1;
                if is_low && self.flight.is_none() {
                    self.flight = Some((self.slice.question(terms, now, 0), at));
                }
            }
            Look::Ask => {
                self.waiting += 1;
                if self.flight.is_none() {
                    self.flight = Some((self.slice.question(terms, now, self.waiting), at));
                }
            }
            Look::Refused(_) | Look::Alone => {}
        }
    }

    /// Those who wait for a flight look again when it lands.
    fn land(&mut self, terms: Terms, at: u64, server: &mut Server, sums: &mut Sums) {
        let Some((question, asked)) = self.flight.take_if(|(_, asked)| at >= *asked + TRIP) else {
            return;
        };
        sums.trips += 1;
        let reply = server.answer(terms, question, asked + TRIP / 2);
        self.slice.learn(terms, question, reply, asked - START, asked + TRIP - START);
        for _ in 0..std::mem::take(&mut self.waiting) {
            self.request(terms, at, sums);
        }
    }

    fn sweep(&mut self, terms: Terms, at: u64, server: &mut Server, sums: &mut Sums) {
        while self.sweeps <= at {
            if self.flight.is_none()
                && let Some(question) = self.slice.settle(terms, self.sweeps - START)
            {
                self.flight = Some((question, self.sweeps));
            }
            self.land(terms, at, server, sums);
            self.sweeps += SWEEP;
        }
    }
}

/// How much each load asks for is so many hundredths of the limit.
const DEMANDS: [u64; 4] = [125, 200, 300, 1_000];
const LOADS: [(&str, Load); 3] = [("even", even), ("skewed", skewed), ("bursting", bursting)];

/// All loads and windows, with at least so many requests in each.
fn runs(limit: u64, least: fn(&str) -> u64) -> impl Iterator<Item = (String, Sums)> {
    let windows = [SECOND, 10 * SECOND, 60 * SECOND];
    let demands = DEMANDS.map(|demand| limit * demand / 100);
    let each = windows.into_iter().flat_map(move |w| demands.map(|demand| (w, demand)));
    each.flat_map(move |(window, demand)| {
        LOADS.map(|(name, load)| {
            let demand = demand.max(least(name));
            let what = format!("{name}, {demand} in {} s under {limit}", window / SECOND);
            (what, run(leased(limit, window), demand, load))
        })
    })
}

#[test]
fn four_uneven_nodes_use_ninety_nine_of_a_hundred_and_never_more() {
    for limit in [100, 400, 1_000, 10_000] {
        for (what, sums) in runs(limit, |_| 1) {
            assert_eq!(sums.admitted.len(), WINDOWS, "{what}");
            let used = limit * 99 / 100..=limit;
            let is_used = |window: &u64| used.contains(window);
            assert!(sums.admitted.values().all(is_used), "{what}: {:?}", sums.admitted);
        }
    }
}

/// The promise of the module's documentation: 50 requests for each round trip, to whoever sends so
/// many in a window.
#[test]
fn a_round_trip_is_for_fifty_requests_of_a_hot_tenant() {
    let hot = |load: &str| if load == "bursting" { 2_500 } else { 1_500 };
    for limit in [1, 10, 50, 200, 500, 1_000, 2_000, 5_000] {
        for (what, Sums { requests, trips, .. }) in runs(limit, hot) {
            assert!(requests >= trips * 50, "{what}: {trips} for {requests}");
        }
    }
}

/// Below that it is what four nodes need to learn of a window, whatever its limit.
#[test]
fn what_a_small_limit_costs_is_bounded() {
    for limit in [1, 10, 100, 400, 1_000] {
        for (what, Sums { requests, trips, .. }) in runs(limit, |_| 1) {
            let most = if what.starts_with("bursting") { 50 } else { 35 };
            let often = requests / 1_000;
            assert!(trips <= most * WINDOWS as u64 + often, "{what}: {trips}");
        }
    }
}
