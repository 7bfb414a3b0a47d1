//! How much of a limit four nodes can use, and how many round trips that takes.

use super::*;

const NODES: usize = 4;
/// A round trip.
const TRIP: u64 = MILLI;

struct Node {
    slice: Slice,
    flight: Option<(Question, u64)>,
    waiting: u64,
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

/// `demand` requests in each of `windows` windows, evenly in time, spread by `load`.
fn run(terms: Terms, demand: u64, windows: u64, load: Load) -> Sums {
    let (_, window) = bounds(terms);
    let (mut server, mut sums) = (Server::default(), Sums::default());
    let mut nodes: Vec<Node> =
        (0..NODES).map(|_| Node { slice: Slice::default(), flight: None, waiting: 0 }).collect();
    for n in 0..demand * windows {
        let at = START + n * window / demand;
        for node in &mut nodes {
            node.land(terms, at, &mut server, &mut sums);
            node.settle(terms, at);
        }
        sums.requests += 1;
        nodes[load(n % demand, demand)].request(terms, at, &mut sums);
    }
    sums
}

impl Node {
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

    fn settle(&mut self, terms: Terms, at: u64) {
        if self.flight.is_none()
            && let Some(question) = self.slice.settle(terms, at - START)
        {
            self.flight = Some((question, at));
        }
    }
}

/// All loads and windows, with demands of 1.25, 3 and 10 times the limit.
fn runs(limit: u64) -> impl Iterator<Item = Sums> {
    let windows = [SECOND, 10 * SECOND, 60 * SECOND];
    let demands = [limit * 5 / 4, limit * 3, limit * 10];
    let each = windows.into_iter().flat_map(move |w| demands.map(|demand| (w, demand)));
    each.flat_map(move |(window, demand)| {
        [even as Load, skewed, bursting].map(|load| run(leased(limit, window), demand, 3, load))
    })
}

#[test]
fn four_uneven_nodes_use_ninety_nine_of_a_hundred_and_never_more() {
    for limit in [400, 1_000, 10_000] {
        for sums in runs(limit) {
            let windows: Vec<_> = sums.admitted.into_values().collect();
            assert_eq!(windows.len(), 3);
            let used = limit * 99 / 100..=limit;
            assert!(windows.iter().all(|window| used.contains(window)), "{windows:?} of {limit}");
        }
    }
}

/// The figures of the module's documentation.
#[test]
fn a_round_trip_is_for_many_requests() {
    for (limit, least) in [(1_000, 8), (10_000, 70)] {
        for Sums { requests, trips, .. } in runs(limit) {
            assert!(requests >= trips * least, "{trips} for {requests} under {limit}");
        }
    }
}
