//! Nodes in any order of what can happen: requests, answers that come late or never, clocks that are
//! not set alike and lag, and slices given back.

use proptest::prelude::*;

use super::*;

/// What happens next, to which node.
#[derive(Clone, Copy, Debug)]
enum Event {
    Request {
        node: usize,
        cost: u64,
    },
    /// The server answers what a node has asked.
    Answer {
        node: usize,
    },
    /// The answer arrives.
    Arrive {
        node: usize,
    },
    /// Question or answer is lost: the node gives up waiting.
    Lose {
        node: usize,
    },
    GiveBack {
        node: usize,
    },
    /// What was taken for the last request that was admitted is given back.
    Restore {
        node: usize,
    },
    /// A request that was admitted some time ago has spent so much, or more than it has reserved.
    Settle {
        node: usize,
        which: usize,
        cost: u64,
    },
    Pass {
        nanos: u64,
    },
    /// The window is over in so long.
    Brink {
        nanos: u64,
    },
    /// A node's clock lags by so much from now on.
    Lag {
        node: usize,
        lag: u64,
    },
}

struct Node {
    slice: Slice,
    /// What its monotonic clock is ahead of the server's, so that no two agree.
    ahead: u64,
    /// By how much that lags: a millisecond at most.
    lag: u64,
    /// By one part in so many it is slow: in 2,000 at most.
    slow: u64,
    /// What it said last; it never goes back.
    said: u64,
    flight: Option<Flight>,
    waiting: u64,
    last: Option<(u64, u64)>,
    held: Vec<Held>,
}

/// What was admitted: in the server's window, and as the node had it.
struct Held {
    window: u64,
    number: u64,
    cost: u64,
}

struct Flight {
    question: Question,
    asked: u64,
    reply: Option<Reply>,
}

struct World {
    terms: Terms,
    now: u64,
    server: Server,
    nodes: Vec<Node>,
    /// Admitted in each of the server's windows.
    admitted: BTreeMap<u64, u64>,
    /// What each node has told last, and of which window.
    shown: Vec<Option<(u64, u64)>>,
}

impl World {
    fn new(terms: Terms, nodes: usize) -> Self {
        let node = |n: usize| Node {
            slice: Slice::default(),
            ahead: n as u64 * 977 * SECOND,
            lag: 0,
            slow: [2_000, 5_000, 100_000, u64::MAX][n % 4],
            said: 0,
            flight: None,
            waiting: 0,
            last: None,
            held: Vec::new(),
        };
        Self {
            terms,
            now: START,
            server: Server::default(),
            nodes: (0..nodes).map(node).collect(),
            admitted: BTreeMap::new(),
            shown: vec![None; nodes],
        }
    }

    fn clock(&mut self, node: usize) -> u64 {
        let node = &mut self.nodes[node];
        let passed = self.now - START;
        let says = passed - passed / node.slow + node.ahead + MILLI - node.lag;
        node.said = node.said.max(says);
        node.said
    }

    fn happens(&mut self, event: Event) {
        let count = self.nodes.len();
        match event {
            Event::Request { node, cost } => self.request(node % count, cost),
            Event::Answer { node } => self.answer(node % count),
            Event::Arrive { node } => self.arrive(node % count),
            Event::Lose { node } => self.nodes[node % count].flight = None,
            Event::GiveBack { node } => self.give_back(node % count),
            Event::Restore { node } => self.restore(node % count),
            Event::Settle { node, which, cost } => self.settle(node % count, which, cost),
            Event::Pass { nanos } => self.now += nanos,
            Event::Brink { nanos } => {
                let window = bounds(self.terms).1;
                self.now = self.now.max((self.now / window + 1) * window - nanos);
            }
            Event::Lag { node, lag } => self.nodes[node % count].lag = lag,
        }
    }

    fn request(&mut self, index: usize, cost: u64) {
        let (terms, now, window) = (self.terms, self.clock(index), self.now / bounds(self.terms).1);
        let node = &mut self.nodes[index];
        let look = node.slice.look(terms, now, cost);
        match look {
            Look::Fits(_) => {
                node.slice.take(terms, now, cost);
                node.last = node.slice.number().map(|number| (number, cost));
                node.held.extend(node.slice.number().map(|number| Held { window, number, cost }));
                *self.admitted.entry(window).or_default() += cost;
            }
            Look::Ask => node.waiting = node.waiting.saturating_add(cost).min(1_000),
            Look::Refused(_) | Look::Alone => {}
        }
        self.show(index, now);
        let node = &mut self.nodes[index];
        if matches!(look, Look::Ask | Look::Fits(true)) && node.flight.is_none() {
            let question = node.slice.question(terms, now, std::mem::take(&mut node.waiting));
            node.flight = Some(Flight { question, asked: now, reply: None });
        }
    }

    /// What a client is told to be left never grows inside a window.
    fn show(&mut self, index: usize, now: u64) {
        let node = &mut self.nodes[index];
        let Some((decision, end)) = node.slice.standing(self.terms, now) else { return };
        let told = (end.as_nanos(), decision.remaining);
        if let Some((before, least)) = self.shown[index].replace(told) {
            assert!(before != told.0 || told.1 <= least, "{told:?} after {least}");
        }
        assert!(decision.remaining <= bounds(self.terms).0);
    }

    fn answer(&mut self, index: usize) {
        let Some(flight) = &mut self.nodes[index].flight else { return };
        if flight.reply.is_none() {
            flight.reply = Some(self.server.answer(self.terms, flight.question, self.now));
        }
    }

    fn arrive(&mut self, index: usize) {
        let now = self.clock(index);
        let node = &mut self.nodes[index];
        let Some(Flight { question, asked, reply: Some(reply) }) = node.flight else { return };
        node.flight = None;
        node.slice.learn(self.terms, question, reply, asked, now);
    }

    fn give_back(&mut self, index: usize) {
        let now = self.clock(index);
        let node = &mut self.nodes[index];
        if node.flight.is_none()
            && let Some(question) = node.slice.give_back(self.terms, now)
        {
            node.flight = Some(Flight { question, asked: now, reply: None });
        }
    }

    /// The request was refused by another limit at once, and so was not admitted.
    fn restore(&mut self, index: usize) {
        let window = self.now / bounds(self.terms).1;
        let Some((number, cost)) = self.nodes[index].last.take() else { return };
        if let Some(admitted) = self.admitted.get_mut(&window)
            && number == window
            && *admitted >= cost
        {
            *admitted -= cost;
            self.nodes[index].held.pop();
            self.nodes[index].slice.restore(self.terms, number, cost);
        }
    }

    fn settle(&mut self, index: usize, which: usize, cost: u64) {
        let now = self.clock(index);
        let node = &mut self.nodes[index];
        if node.held.is_empty() {
            return;
        }
        let held = node.held.swap_remove(which % node.held.len());
        node.last = None;
        let Some(rest) = held.cost.checked_sub(cost) else {
            let (most, more) = (bounds(self.terms).0, cost - held.cost);
            let missing = node.slice.take_up_to(self.terms, now, more);
            assert!(missing <= more && more <= most.max(more));
            // What was spent beyond an estimate is nobody's promise: only what is taken counts.
            return;
        };
        *self.admitted.entry(held.window).or_default() -= rest;
        let is_now = node.slice.number() == Some(held.number);
        node.slice.refund(self.terms, held.number, rest);
        if let Some((_, least)) = self.shown[index].as_mut().filter(|_| is_now) {
            *least = least.saturating_add(rest);
        }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let node = 0..4_usize;
    prop_oneof![
        12 => (node.clone(), 0..6_u64).prop_map(|(node, cost)| Event::Request { node, cost }),
        5 => node.clone().prop_map(|node| Event::Answer { node }),
        5 => node.clone().prop_map(|node| Event::Arrive { node }),
        1 => node.clone().prop_map(|node| Event::Lose { node }),
        1 => node.clone().prop_map(|node| Event::GiveBack { node }),
        1 => node.clone().prop_map(|node| Event::Restore { node }),
        1 => (0..4 * MILLI).prop_map(|nanos| Event::Brink { nanos }),
        3 => (node.clone(), any::<usize>(), 0..8_u64)
            .prop_map(|(node, which, cost)| Event::Settle { node, which, cost }),
        2 => (node, 0..=MILLI).prop_map(|(node, lag)| Event::Lag { node, lag }),
        2 => (0..2 * MILLI).prop_map(|nanos| Event::Pass { nanos }),
        2 => (0..20 * MILLI).prop_map(|nanos| Event::Pass { nanos }),
        4 => (0..300 * MILLI).prop_map(|nanos| Event::Pass { nanos }),
        1 => (0..3 * SECOND).prop_map(|nanos| Event::Pass { nanos }),
    ]
}

fn any_window() -> impl Strategy<Value = u64> {
    prop_oneof![Just(SECOND), Just(7 * SECOND), Just(60 * SECOND)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn leases_never_exceed_the_limit(
        limit in prop_oneof![1..40_u64, 40..2_000_u64],
        window in any_window(),
        events in prop::collection::vec(any_event(), 1..600),
    ) {
        let mut world = World::new(leased(limit, window), 4);
        events.into_iter().for_each(|event| world.happens(event));
        for admitted in world.admitted.values() {
            prop_assert!(*admitted <= limit, "{admitted} of {limit}");
        }
    }

    #[test]
    fn who_counts_ahead_stays_within_its_bound(
        limit in prop_oneof![1..40_u64, 40..2_000_u64],
        window in any_window(),
        batch in 1..50_u64,
        nodes in 1..5_usize,
        events in prop::collection::vec(any_event(), 1..600),
    ) {
        let batch = batch.min(limit);
        let mut world = World::new(ahead(limit, window, batch), nodes);
        events.into_iter().for_each(|event| world.happens(event));
        for admitted in world.admitted.values() {
            prop_assert!(*admitted <= limit + nodes as u64 * batch, "{admitted} of {limit}");
        }
    }
}
