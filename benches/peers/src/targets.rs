//! What is asked of keygate, and whether it holds.

use crate::cases::{
    ANNOUNCED, BY_HAND_LIMITED, FLOOR, GATE, GOVERNOR, JWT_AUTHORIZER, KEY, KEY_ONLY, LIMIT,
    MISTYPED, NONE, OVER, SCOPE, UNKNOWN, first, forged, seen,
};
use crate::report::{Results, Row};

/// One number that is asked for.
pub(crate) struct Target {
    what: String,
    asked: String,
    measured: String,
    pub(crate) holds: bool,
}

impl Target {
    /// Nothing, not even a measure that failed, is below a bound by accident: NaN is not.
    pub(crate) fn at_most(what: impl Into<String>, bound: f64, measured: f64) -> Self {
        let (asked, seen) = (format!("≤ {}", short(bound)), short(measured));
        Self { what: what.into(), asked, measured: seen, holds: measured <= bound }
    }

    pub(crate) fn at_least(what: impl Into<String>, bound: f64, measured: f64) -> Self {
        let (asked, seen) = (format!("≥ {}", short(bound)), short(measured));
        Self { what: what.into(), asked, measured: seen, holds: measured >= bound }
    }

    pub(crate) fn less(what: impl Into<String>, bound: f64, measured: f64) -> Self {
        let (asked, seen) = (format!("< {}", short(bound)), short(measured));
        Self { what: what.into(), asked, measured: seen, holds: measured < bound }
    }
}

fn short(number: f64) -> String {
    if number != 0.0 && number.abs() < 0.1 {
        format!("1/{:.0}", 1.0 / number)
    } else if number.fract() == 0.0 || number.abs() >= 100.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Prints all, and last how many hold.
pub(crate) fn print(targets: &[Target]) {
    println!("\n| target | asked | measured | |\n| --- | ---: | ---: | --- |");
    for Target { what, asked, measured, holds } in targets {
        let verdict = if *holds { "holds" } else { "**missed**" };
        println!("| {what} | {asked} | {measured} | {verdict} |");
    }
    let held = targets.iter().filter(|target| target.holds).count();
    println!("\n{held} of {} targets hold", targets.len());
}

/// Those of one request at a time.
pub(crate) fn of(results: &Results) -> Vec<Target> {
    let mut targets = keys(results);
    targets.extend(tokens(results));
    targets.extend(refusals(results));
    targets.extend(forgeries(results));
    targets
}

fn keys(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    for what in [KEY, ANNOUNCED] {
        let (floor, gate) = (results.row(what, FLOOR), results.row(what, GATE));
        let beyond = (gate.allocations() - floor.allocations()) as f64;
        targets.push(Target::at_most(
            format!("{what}: time, of the floor's"),
            1.25,
            gate.of(floor),
        ));
        targets.push(Target::at_most(
            format!("{what}: allocations beyond the floor's"),
            0.0,
            beyond,
        ));
        let ratio = instructions(gate) / instructions(floor);
        targets.push(Target::at_most(format!("{what}: instructions, of the floor's"), 1.3, ratio));
    }
    let gate = results.row(KEY, GATE);
    let by_hand = gate.of(results.row(KEY, BY_HAND_LIMITED));
    targets.push(Target::at_most(format!("{KEY}: time, of {BY_HAND_LIMITED}"), 0.5, by_hand));
    let governor = results.row(LIMIT, GOVERNOR);
    let limit = gate.beyond_of(results.row(KEY_ONLY, GATE), governor);
    targets.push(Target::at_most("a limit check, record at hand: time, of governor's", 0.5, limit));
    targets
}

fn instructions(row: Row<'_>) -> f64 {
    row.instructions().unwrap_or(f64::NAN)
}

/// An algorithm, and the most that a token seen before and one first seen may take, of
/// jwt-authorizer's time.
const TOKENS: [(&str, f64, f64); 4] = [
    ("HS256", 1.0 / 14.0, 0.4),
    ("RS256", 1.0 / 100.0, 0.75),
    ("ES256", 1.0 / 200.0, 0.95),
    ("EdDSA", 1.0 / 200.0, 0.95),
];

fn tokens(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    for (algorithm, bound_seen, bound_first) in TOKENS {
        let peer = results.row(&first(algorithm), JWT_AUTHORIZER);
        for (what, bound, bound_peer) in
            [(seen(algorithm), 1.5, bound_seen), (first(algorithm), 1.15, bound_first)]
        {
            let (floor, gate) = (results.row(&what, FLOOR), results.row(&what, GATE));
            targets.push(Target::at_most(
                format!("{what}: time, of the floor's"),
                bound,
                gate.of(floor),
            ));
            let of_peer = gate.of(peer);
            targets.push(Target::at_most(
                format!("{what}: time, of jwt-authorizer's"),
                bound_peer,
                of_peer,
            ));
        }
    }
    targets
}

/// Beside a success of the same gate, which says as much about limits as the refusal does.
fn refusals(results: &Results) -> Vec<Target> {
    let refused =
        [(NONE, KEY), (UNKNOWN, KEY), (MISTYPED, KEY), (SCOPE, ANNOUNCED), (OVER, ANNOUNCED)];
    let pairs = refused.map(|(what, success)| (what, results.row(success, GATE)));
    pairs.into_iter().flat_map(|(what, success)| refusal(results, what, success)).collect()
}

fn forgeries(results: &Results) -> Vec<Target> {
    let algorithms = TOKENS.map(|(algorithm, ..)| algorithm);
    let of = |algorithm| {
        let success = results.row(&first(algorithm), GATE);
        refusal(results, &forged(algorithm), success)
    };
    algorithms.into_iter().flat_map(of).collect()
}

/// What the reason takes that a gate leaves in the extensions of its refusal, for layers outside of it: the
/// map, its table, and the reason. The floor's response has none.
const REASON: i64 = 3;

/// What a response needs is what the floor's takes, with the same headers, and the reason.
fn refusal(results: &Results, what: &str, success: Row<'_>) -> [Target; 2] {
    let (floor, gate) = (results.row(what, FLOOR), results.row(what, GATE));
    let beyond = (gate.allocations() - floor.allocations() - REASON) as f64;
    [
        Target::at_most(format!("{what}: time, of letting in"), 1.0, gate.whole_of(success)),
        Target::at_most(
            format!("{what}: allocations beyond the response's and its reason's"),
            0.0,
            beyond,
        ),
    ]
}
