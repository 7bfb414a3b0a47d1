//! What may be done for a request besides finding out whose it is.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, RateLimiter};
use http::request::Parts;
use keygate::{AuthLayer, Authenticator, KeyId, Limit, Quota};

use crate::world::{World, at_once};

/// A permit each nanosecond, and so many at once: nobody is refused, by either of the two.
const MUCH: u32 = 4_000_000_000;
const WINDOW: Duration = Duration::from_secs(4);

pub(crate) const NONE: &str = "no limit";
/// The least that can be done to count all requests exactly.
pub(crate) const NUMBER: &str = "one number, added to";
/// By the key's name, which is at hand with the record: nothing is copied, and the text is warm.
pub(crate) const GOVERNOR: &str = "governor, keyed";
/// By the same as a `String`, as most have it.
pub(crate) const GOVERNOR_TEXT: &str = "governor, keyed by `String`";
pub(crate) const GOVERNOR_DIRECT: &str = "governor, direct";
pub(crate) const HAND_WINDOW: &str = "at hand, fixed window";
pub(crate) const HAND_GCRA: &str = "at hand, GCRA";
pub(crate) const TABLE_WINDOW: &str = "by table, fixed window";
pub(crate) const TABLE_GCRA: &str = "by table, GCRA";

/// In a line of memory of its own.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// What a user does who has governor behind the gate.
enum Check {
    Nothing,
    Number(Line),
    Keyed(DefaultKeyedRateLimiter<KeyId>),
    Text(DefaultKeyedRateLimiter<String>),
    Direct(DefaultDirectRateLimiter),
}

/// One way to answer a request.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    gate: Authenticator,
    check: Check,
}

impl Case {
    #[inline(always)]
    pub(crate) fn step(&self, head: &Parts) {
        let outcome = at_once(self.gate.authenticate(head));
        let principal = outcome.verdict.as_ref().ok().and_then(Option::as_ref);
        let id = principal.and_then(|principal| principal.key_id()).expect("a good key");
        let passes = match &self.check {
            Check::Nothing => true,
            Check::Number(Line(number)) => number.fetch_add(1, Ordering::Relaxed) < u64::MAX,
            Check::Keyed(limiter) => limiter.check_key(id).is_ok(),
            Check::Text(limiter) => limiter.check_key(&id.as_str().to_owned()).is_ok(),
            Check::Direct(limiter) => limiter.check().is_ok(),
        };
        assert!(passes);
        std::hint::black_box(&outcome);
    }
}

pub(crate) fn all(world: &World) -> Vec<Case> {
    let gate = || AuthLayer::new(Arc::clone(&world.store));
    let with = |name, check| Case { name, gate: gate().into_authenticator(), check };
    let limited = |name, limit: Limit| {
        let limit = limit.capacity(2 * world.identities).expect("a capacity");
        let gate = gate().limit(limit).expect("a limit").into_authenticator();
        Case { name, gate, check: Check::Nothing }
    };
    vec![
        with(NONE, Check::Nothing),
        with(NUMBER, Check::Number(Line::default())),
        with(GOVERNOR, Check::Keyed(RateLimiter::keyed(theirs()))),
        with(GOVERNOR_TEXT, Check::Text(RateLimiter::keyed(theirs()))),
        with(GOVERNOR_DIRECT, Check::Direct(RateLimiter::direct(theirs()))),
        limited(HAND_WINDOW, Limit::per_key(ours())),
        limited(HAND_GCRA, Limit::per_key(ours().gcra())),
        limited(TABLE_WINDOW, by_table(ours())),
        limited(TABLE_GCRA, by_table(ours().gcra())),
    ]
}

pub(crate) fn ours() -> Quota {
    Quota::new(MUCH.into(), WINDOW).expect("a quota")
}

fn theirs() -> governor::Quota {
    let each = WINDOW / MUCH;
    let burst = NonZeroU32::new(MUCH).expect("not zero");
    governor::Quota::with_period(each).expect("a period").allow_burst(burst)
}

/// By a closure that gives the same name as a text.
pub(crate) fn by_table(quota: Quota) -> Limit {
    Limit::by(quota, |caller| Some(Cow::Borrowed(caller.principal().subject())))
}
