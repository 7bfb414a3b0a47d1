//! What a token costs: verified for the first time, beside `jsonwebtoken` and the least that can be
//! written by hand for one issuer; and seen before, through a gate, beside a cache by hand.
//!
//! `cargo bench --bench jwt`; with `-- --check` it fails where a bound below does not hold, and with
//! `-- --only 'first: keygate: HS256' 1000` it runs one case for a profiler.

#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has nothing to measure")]

#[path = "jwt/floor.rs"]
mod floor;
#[path = "gate/harness.rs"]
mod harness;
#[path = "jwt/seen.rs"]
mod seen;
#[path = "jwt/tokens.rs"]
mod tokens;

use std::hint::black_box;
use std::process::ExitCode;

use keygate::jwt::{JwtKey, JwtVerifier};
use keygate::{Clock, SystemClock};

use crate::floor::Floor;
use crate::harness::{Case, Rounds};
use crate::tokens::{AUDIENCE, Claims, ISSUER, Issuer};

#[global_allocator]
static COUNTING: support::Counting = support::Counting;

/// What a token may cost that is seen for the first time, in what it costs by hand.
const FIRST: f64 = 1.15;
/// What a token may cost that was seen before, in what it costs by hand.
const SEEN: f64 = 1.5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--only") {
        only(&arguments[at + 1..]);
        return ExitCode::SUCCESS;
    }
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    // `cargo test --benches` asks whether it runs, not how fast.
    let (rounds, times) = if is_bench { (200, 40) } else { (2, 2) };
    let rows = [first(rounds, times), seen::run(rounds, times * 10)].concat();
    match arguments.iter().any(|argument| argument == "--check") {
        true => check(&rows),
        false => ExitCode::SUCCESS,
    }
}

/// What one kind of token costs, beside what it costs by hand.
#[derive(Clone)]
struct Row {
    what: String,
    ratio: f64,
    bound: f64,
    /// Ours, less those by hand, which are the principal's and its place's.
    allocations: i64,
}

/// Judges every algorithm, in time and in allocations.
fn check(rows: &[Row]) -> ExitCode {
    let mut missed = 0;
    for Row { what, ratio, bound, allocations } in rows {
        let is_kept = ratio <= bound && *allocations <= 0;
        missed += usize::from(!is_kept);
        let word = if is_kept { "holds" } else { "MISSED" };
        println!("{word}: {what}: {ratio:.2} of {bound}, {allocations:+} allocations");
    }
    println!("{} of {} hold", rows.len() - missed, rows.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn only(arguments: &[String]) {
    let [name, times] = arguments else { panic!("--only <case> <times>") };
    for issuer in Issuer::NAMES.into_iter().filter(|own| name.ends_with(own)).map(Issuer::new) {
        for case in first_cases(&issuer).iter_mut().chain(&mut seen::cases(&issuer)) {
            if *name == format!("{}: {}", case.name, issuer.name) {
                case.repeat(times.parse().unwrap());
            }
        }
    }
}

/// By hand, by this crate without its memory, by `jsonwebtoken`.
fn first_cases(issuer: &Issuer) -> [Case; 3] {
    [by_hand(issuer), by_keygate(issuer), by_jsonwebtoken(issuer)]
}

fn first(rounds: usize, times: u32) -> Vec<Row> {
    let mut rows = Vec::new();
    println!("| first seen | by hand, ns | keygate, ns | ratio | jsonwebtoken, ns | allocations |");
    println!("| --- | ---: | ---: | ---: | ---: | --- |");
    for issuer in Issuer::NAMES.map(Issuer::new) {
        let mut cases = first_cases(&issuer);
        let allocations: Vec<_> = cases.iter_mut().map(Case::allocations).collect();
        let measured = Rounds::run(&mut cases, rounds, times);
        let nanos = |case: usize| measured.median(|round| round[case]);
        let ratio = measured.median(|round| round[1] / round[0]);
        println!(
            "| {} | {:.0} | {:.0} | {ratio:.2} | {:.0} | {}, {}, {} |",
            issuer.name,
            nanos(0),
            nanos(1),
            nanos(2),
            allocations[0],
            allocations[1],
            allocations[2],
        );
        rows.push(Row {
            what: format!("{}, first seen", issuer.name),
            ratio,
            bound: FIRST,
            allocations: allocations[1] as i64 - allocations[0] as i64,
        });
    }
    println!();
    rows
}

fn by_hand(issuer: &Issuer) -> Case {
    let (floor, token) = (Floor::new(issuer), issuer.token(0));
    Case::new("first: floor", move || drop(black_box(floor.verify(&token).unwrap())))
}

fn by_keygate(issuer: &Issuer) -> Case {
    let key = match issuer.secret() {
        Some(secret) => JwtKey::secret(issuer.algorithm, secret),
        None => JwtKey::der(issuer.algorithm, &issuer.public_key()),
    };
    let verifier =
        JwtVerifier::builder(ISSUER, AUDIENCE).key(key.unwrap()).cache(0).build().unwrap();
    let (clock, token) = (SystemClock::new(), issuer.token(0));
    Case::new("first: keygate", move || {
        drop(black_box(verifier.verify(&token, clock.now()).unwrap()))
    })
}

fn by_jsonwebtoken(issuer: &Issuer) -> Case {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    // Built with both of its backends, it has to be told which.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let public = issuer.public_key();
    let (algorithm, key) = match issuer.name {
        "HS256" => (Algorithm::HS256, DecodingKey::from_secret(issuer.secret().unwrap())),
        "RS256" => (Algorithm::RS256, DecodingKey::from_rsa_der(&public)),
        "PS256" => (Algorithm::PS256, DecodingKey::from_rsa_der(&public)),
        "ES256" => (Algorithm::ES256, DecodingKey::from_ec_der(&public)),
        _ => (Algorithm::EdDSA, DecodingKey::from_ed_der(&public)),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let token = issuer.token(0);
    Case::new("first: jsonwebtoken", move || {
        drop(black_box(decode::<Claims>(&token, &key, &validation).unwrap()));
    })
}
