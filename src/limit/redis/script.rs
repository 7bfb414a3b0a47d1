//! The scripts that the server runs.

use std::sync::{Arc, LazyLock};

use redis::{Cmd, Script};

use super::key::Key;
use super::slice::{Question, Reply};
use crate::limit::algorithm::State;
use crate::limit::quota::{Algorithm, Quota};

/// A script, with the clock and what it shares with others.
macro_rules! script {
    ($shared:literal, $file:literal) => {
        LazyLock::new(|| {
            Source::new(concat!(
                include_str!("scripts/time.lua"),
                include_str!($shared),
                include_str!($file)
            ))
        })
    };
}

static TAKE: LazyLock<Source> = script!("scripts/count.lua", "scripts/take.lua");
static SETTLE: LazyLock<Source> = script!("scripts/count.lua", "scripts/settle.lua");
static SLICE: LazyLock<Source> = script!("scripts/count.lua", "scripts/slice.lua");
static ENTER: LazyLock<Source> = script!("scripts/permit.lua", "scripts/enter.lua");
static RENEW: LazyLock<Source> = script!("scripts/permit.lua", "scripts/renew.lua");
static LEAVE: LazyLock<Source> = script!("scripts/permit.lua", "scripts/leave.lua");

struct Source {
    text: &'static str,
    script: Script,
}

impl Source {
    fn new(text: &'static str) -> Self {
        Self { text, script: Script::new(text) }
    }
}

/// What a script is asked: one of several, all of which take keys and numbers.
pub(super) struct Call {
    source: &'static Source,
    keys: Vec<Arc<str>>,
    numbers: Vec<u64>,
}

impl Call {
    /// Takes each cost from its count, or none of them.
    pub(super) fn take<'a>(all: impl IntoIterator<Item = (&'a Key, Quota, u64)>) -> Self {
        let mut call = Self::new(&TAKE);
        for (key, quota, cost) in all {
            call.push(key, &[number(quota.algorithm()), quota.limit(), micros(&quota), cost]);
        }
        call
    }

    /// Gives back what was not spent of what was taken, and takes what was spent besides.
    pub(super) fn settle<'a>(all: impl IntoIterator<Item = (&'a Key, Quota, Rest)>) -> Self {
        let mut call = Self::new(&SETTLE);
        for (key, quota, Rest { back, taken, more }) in all {
            let (algorithm, window) = (number(quota.algorithm()), micros(&quota));
            call.push(key, &[algorithm, quota.limit(), window, back, taken, more]);
        }
        call
    }

    /// Asks for slices, tells what was spent, and gives back.
    pub(super) fn slice<'a>(all: impl IntoIterator<Item = (&'a Key, Quota, Question)>) -> Self {
        let mut call = Self::new(&SLICE);
        for (key, quota, q) in all {
            let (limit, window) = (quota.limit(), micros(&quota));
            call.push(key, &[limit, window, q.spent, q.back, q.of, q.need, q.want, q.least]);
        }
        call
    }

    /// Lets a request run by all keys or by none.
    pub(super) fn enter<'a>(all: impl IntoIterator<Item = Entrance<'a>>) -> Self {
        let mut call = Self::new(&ENTER);
        for Entrance { key, limit, lease, node, number, ended } in all {
            call.push(key, &[limit, lease, node, number, ended.len() as u64]);
            call.numbers.extend(ended);
        }
        call
    }

    /// Lets permits go on: for each its lease, its node and its number.
    pub(super) fn renew<'a>(all: impl IntoIterator<Item = (&'a Key, u64, u64, u64)>) -> Self {
        let mut call = Self::new(&RENEW);
        for (key, lease, node, number) in all {
            call.push(key, &[lease, node, number]);
        }
        call
    }

    /// Ends permits: for each its node and its number.
    pub(super) fn leave<'a>(all: impl IntoIterator<Item = (&'a Key, u64, u64)>) -> Self {
        let mut call = Self::new(&LEAVE);
        for (key, node, number) in all {
            call.push(key, &[node, number]);
        }
        call
    }

    fn new(source: &'static Source) -> Self {
        Self { source, keys: Vec::new(), numbers: Vec::new() }
    }

    fn push(&mut self, key: &Key, numbers: &[u64]) {
        self.keys.push(Arc::clone(&key.name));
        self.numbers.extend_from_slice(numbers);
    }

    /// The call by the script's hash, which works once the server has the script.
    pub(super) fn by_hash(&self) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.source.script.get_hash());
        self.finish(command)
    }

    /// The call with the script itself, which the server keeps.
    pub(super) fn by_text(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.source.text);
        self.finish(command)
    }

    fn finish(&self, mut command: Cmd) -> Cmd {
        command.arg(self.keys.len());
        for key in &self.keys {
            command.arg(&**key);
        }
        command.arg(&self.numbers);
        command
    }
}

fn number(algorithm: Algorithm) -> u64 {
    match algorithm {
        Algorithm::FixedWindow => 0,
        Algorithm::SlidingWindow => 1,
        Algorithm::Gcra => 2,
        // The server knows no calendar: such a quota is refused before.
        Algorithm::CalendarMonth => u64::MAX,
    }
}

/// The server's clock counts microseconds. A window is a whole number of milliseconds.
fn micros(quota: &Quota) -> u64 {
    quota.nanos() / 1_000
}

/// What is to be settled of one count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    /// Not spent of what was taken, and when that was, by the server's time in microseconds.
    pub(super) back: u64,
    pub(super) taken: u64,
    /// Spent besides.
    pub(super) more: u64,
}

/// A permit that is asked for.
#[derive(Debug)]
pub(super) struct Entrance<'a> {
    pub(super) key: &'a Key,
    /// How many may run.
    pub(super) limit: u64,
    /// In microseconds.
    pub(super) lease: u64,
    pub(super) node: u64,
    pub(super) number: u64,
    /// The node's permits of this key that have ended, and of which the server may not know that.
    pub(super) ended: Vec<u64>,
}

/// What taking has come to.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) admitted: bool,
    /// The server's time in microseconds.
    pub(super) now: u64,
    pub(super) states: Vec<State>,
}

/// Of what [`Call::take`] has asked about `quotas`. `None` for an answer that makes no sense.
pub(super) fn taken(answer: &[u64], quotas: &[Quota]) -> Option<Taken> {
    let (admitted, now, states) = match answer {
        [admitted, now, states @ ..] if states.len() == quotas.len() * 3 => (admitted, now, states),
        _ => return None,
    };
    let states = states.chunks_exact(3).zip(quotas).map(|(state, quota)| state_of(state, quota));
    Some(Taken { admitted: *admitted == 1, now: *now, states: states.collect::<Option<_>>()? })
}

/// The same state in nanoseconds. GCRA's `past` is a part of a permit, in `1 / window`; that of a fixed
/// window, where in its window `last` is, is not sent.
fn state_of(state: &[u64], quota: &Quota) -> Option<State> {
    let &[last, used, past] = state else { return None };
    let last = last.checked_mul(1_000)?;
    let past = match quota.algorithm() {
        Algorithm::FixedWindow => last % quota.nanos(),
        Algorithm::Gcra => past.checked_mul(1_000)?,
        Algorithm::SlidingWindow | Algorithm::CalendarMonth => past,
    };
    Some(State { last, used, past })
}

/// Of what [`Call::slice`] has asked about `count` counts.
pub(super) fn replies(answer: &[u64], count: usize) -> Option<Vec<Reply>> {
    let [_now, replies @ ..] = answer else { return None };
    let reply = |reply: &[u64]| match reply {
        &[number, left, used, lent] => Some(Reply { number, left, used, lent }),
        _ => None,
    };
    let replies: Vec<_> = replies.chunks(4).map(reply).collect::<Option<_>>()?;
    (replies.len() == count).then_some(replies)
}
