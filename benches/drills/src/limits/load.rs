//! Requests at an even rate, and what came of each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::fleet::{Answer, Nodes};
use super::gate::Gate;

/// Who send at the same time.
pub(crate) const SENDERS: usize = 12;
/// Who is behind by more than this leaves out what should have been sent.
const BEHIND: Duration = Duration::from_millis(100);

/// One request. Times are nanoseconds since the epoch, by the clock of this machine, which is Redis's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) sent: u64,
    pub(crate) took: Duration,
    pub(crate) answer: Answer,
}

/// Requests that are being sent to a gate.
pub(crate) struct Stream {
    shared: Arc<Shared>,
    senders: JoinSet<()>,
}

struct Shared {
    gate: Gate,
    path: String,
    nodes: Nodes,
    begun: Instant,
    next: AtomicU64,
    is_over: AtomicBool,
    samples: Mutex<Vec<Sample>>,
}

/// What a window has let in, and how many asked for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    pub(crate) admitted: u64,
    pub(crate) requests: u64,
}

impl Stream {
    pub(crate) fn start(gate: Gate, nodes: &Nodes) -> Self {
        let shared = Arc::new(Shared {
            gate,
            path: format!("/{}", gate.name()),
            nodes: nodes.clone(),
            begun: Instant::now(),
            next: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            samples: Mutex::default(),
        });
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            senders.spawn(send(Arc::clone(&shared)));
        }
        Self { shared, senders }
    }

    pub(crate) fn gate(&self) -> Gate {
        self.shared.gate
    }

    /// What has come of the requests that were sent in this time.
    pub(crate) fn samples(&self, time: Range<u64>) -> Vec<Sample> {
        let all = self.shared.samples.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|sample| time.contains(&sample.sent)).copied().collect()
    }

    pub(crate) async fn stop(self) -> Vec<Sample> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.senders.join_all().await;
        std::mem::take(&mut self.shared.samples.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn send(shared: Arc<Shared>) {
    let Shared { gate, path, nodes, begun, next, .. } = &*shared;
    while !shared.is_over.load(Ordering::Relaxed) {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let due = *begun + Duration::from_secs_f64(n as f64 / gate.rate());
        if due.elapsed() > BEHIND {
            let now = begun.elapsed().as_secs_f64() * gate.rate();
            next.fetch_max(now as u64, Ordering::Relaxed);
            continue;
        }
        sleep_until(due).await;
        let (sent, start) = (now(), Instant::now());
        let passed = (sent as f64 / 1e9 / gate.window as f64).fract();
        let answer = nodes.ask(gate.load.node(n, passed), path).await;
        let sample = Sample { sent, took: start.elapsed(), answer };
        shared.samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }
}

/// Nanoseconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Waits for the start of a window of so many seconds that is at least `after` away, and tells it.
pub(crate) async fn boundary(window: u64, after: Duration) -> u64 {
    let length = window * 1_000_000_000;
    let start = (now() + after.as_nanos() as u64).div_ceil(length) * length;
    until(start).await;
    start
}

pub(crate) async fn until(time: u64) {
    sleep_until(Instant::now() + Duration::from_nanos(time.saturating_sub(now()))).await;
}

/// Windows by the second in which they end, as the nodes have said.
pub(crate) fn windows(samples: &[Sample]) -> BTreeMap<u64, Window> {
    let mut all = BTreeMap::<u64, Window>::new();
    for sample in samples {
        let (end, admitted) = match sample.answer {
            Answer::In(end) => (end, 1),
            Answer::Limited(end) => (end, 0),
            Answer::Away | Answer::Lost => continue,
        };
        let window = all.entry(end).or_default();
        window.admitted += admitted;
        window.requests += 1;
    }
    all
}

/// How many were let in on a window that was over when they were sent, by more than clocks that are
/// read one after the other differ.
pub(crate) fn too_late(samples: &[Sample]) -> u64 {
    const LATER: u64 = 2_000_000;
    let is_late = |sample: &&Sample| match sample.answer {
        Answer::In(end) => sample.sent > end * 1_000_000_000 + LATER,
        _ => false,
    };
    samples.iter().filter(is_late).count() as u64
}
