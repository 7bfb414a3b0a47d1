//! Two threads at once, beside one alone.

use std::sync::Barrier;
use std::time::Instant;

use http::header::HeaderValue;
use keygate::render::RateLimitHeaders;

use crate::cases::tokens::gate as jwt_gate;
use crate::harness::median;
use crate::service::{Requests, bearer, step};
use crate::targets::Target;
use crate::tokens::Issuer;
use crate::world::{MUCH, NEEDED, World};

const ROUNDS: usize = 30;
/// Requests of a thread in a round.
const TIMES: usize = 100_000;

/// Makes what one thread does again and again; the number tells the threads apart.
type Work<'a> = dyn Fn(usize) -> Box<dyn FnMut()> + Sync + 'a;

/// What the machine itself gives is shown beside: neighbours take from both alike.
pub(crate) fn run() -> Vec<Target> {
    let world = World::new(MUCH);
    let key_gate = world.limited(NEEDED, MUCH, RateLimitHeaders::off());
    let issuer = Issuer::new("HS256");
    let tokens: Vec<_> = (0..64).map(|index| bearer(&issuer.token(index))).collect();
    let token_gate = jwt_gate(&issuer, None);
    let by_key = |requests| Box::new(step(key_gate.clone(), requests, 200)) as Box<dyn FnMut()>;
    let by_token = |requests| Box::new(step(token_gate.clone(), requests, 200)) as Box<dyn FnMut()>;
    println!("\n| two threads, of one thread's requests | |\n| --- | ---: |");
    let row = |name: &str, work: &Work<'_>| {
        let scale = scale(work);
        println!("| {name} | {scale:.2} |");
        scale
    };
    row("nothing shared: arithmetic", &|_| Box::new(arithmetic));
    let spread = row("keys, spread", &|thread| by_key(half(&world.known, thread)));
    row("keys, one hot", &|_| by_key(Requests::new(&world.known[..1])));
    row("JWTs seen before, spread", &|thread| by_token(half(&tokens, thread)));
    row("JWTs seen before, one hot", &|_| by_token(Requests::new(&tokens[..1])));
    vec![Target::at_least("two threads on spread keys, of one thread", 1.8, spread)]
}

fn half(all: &[HeaderValue], thread: usize) -> Requests {
    let middle = all.len() / 2;
    Requests::new(if thread == 0 { &all[..middle] } else { &all[middle..] })
}

/// About as long as a request.
fn arithmetic() {
    let mut state = 1_u64;
    for _ in 0..250 {
        state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Each round runs one thread and then two, so that a noisy moment is in both.
fn scale(work: &Work<'_>) -> f64 {
    median((0..ROUNDS).map(|_| 2.0 * nanos(work, 1) / nanos(work, 2)))
}

/// From when all begin to when the last is done.
fn nanos(work: &Work<'_>, threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let run = |thread| {
        let mut step = work(thread);
        (0..TIMES / 10).for_each(|_| step());
        barrier.wait();
        let start = Instant::now();
        (0..TIMES).for_each(|_| step());
        (start, Instant::now())
    };
    let times: Vec<_> = std::thread::scope(|scope| {
        let run = &run;
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
    });
    let start = times.iter().map(|(start, _)| *start).min();
    let end = times.iter().map(|(_, end)| *end).max();
    start.zip(end).map_or(f64::NAN, |(start, end)| (end - start).as_nanos() as f64)
}
