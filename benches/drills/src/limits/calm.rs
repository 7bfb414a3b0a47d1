//! Windows while all is well: what they let in, and how often Redis is asked.

use std::time::Duration;

use tokio::task::JoinSet;

use super::gate::{Gate, LOADS, MODES, Mode, WINDOWS, calm, spare};
use super::load::{Stream, Window, boundary, now, too_late, until, windows};
use super::{Nodes, Trial};
use crate::Failure;
use crate::report::Table;

/// Whole windows that are looked at, of 1, 10 and 60 seconds.
const SEEN: [u64; 3] = [8, 3, 2];
/// A load that asks for less than this many hundredths of a limit may leave some of it unused.
const ENOUGH: u64 = 125;
/// Requests for each round trip of a leased limit, where there are so many requests in a window.
const REQUESTS: u64 = 50;
const HOT: u64 = 2_500;

/// What was seen of one gate.
struct Seen {
    gate: Gate,
    windows: Vec<Window>,
    trips: u64,
    too_late: u64,
    /// Requests that were not answered with a decision.
    failed: u64,
}

impl Trial {
    /// All windows of a minute side by side, those of ten seconds by load, the others one by one.
    pub(crate) async fn while_calm(&mut self) -> Result<(), Failure> {
        let mut tasks = JoinSet::new();
        for (place, window) in WINDOWS.into_iter().enumerate() {
            tasks.spawn(all_of(self.fleet.nodes.clone(), window, SEEN[place]));
        }
        let mut seen: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        seen.sort_by_key(|Seen { gate, .. }| (gate.mode, gate.window, gate.load));
        let spare = watch(self.fleet.nodes.clone(), spare(), SEEN[0]).await;
        let mut table = Table::new([
            "mode",
            "load",
            "window",
            "limit",
            "bound",
            "windows",
            "asked for",
            "admitted",
            "one trip for",
        ]);
        for seen in seen.iter().chain([&spare]) {
            let bound = seen.gate.limit + self.fleet.overshoot(&seen.gate)?;
            table.row(seen.cells(bound));
        }
        table.print("Four processes, one Redis");
        self.report.never("slices spent on windows that were over", spare.too_late);
        self.judge(&seen)
    }

    fn judge(&mut self, all: &[Seen]) -> Result<(), Failure> {
        let of = |mode| all.iter().filter(move |seen| seen.gate.mode == mode);
        for mode in MODES {
            let (mut most, mut above) = (0.0_f64, 0);
            for seen in of(mode) {
                let bound = seen.gate.limit + self.fleet.overshoot(&seen.gate)?;
                above +=
                    seen.windows.iter().filter(|window| window.admitted > bound).count() as u64;
                most = most.max(seen.most() as f64 / seen.gate.limit as f64 * 100.0);
            }
            let promised =
                format!("{mode:?}: windows above the bound (at most {most:.1} % of a limit)");
            self.report.never(&promised, above);
        }
        let (mut least, mut busy) = (100.0_f64, true);
        for seen in of(Mode::Leased) {
            let used = seen.busy().map(|window| window.admitted).min();
            busy &= used.is_some();
            let used = used.unwrap_or_default() as f64 / seen.gate.limit as f64 * 100.0;
            least = least.min(used);
        }
        self.report.promise("leased uses 99 %", format!("{least:.1} %"), busy && least >= 99.0);
        let hot =
            of(Mode::Leased).filter(|seen| seen.requests() >= HOT * seen.windows.len() as u64);
        let ratios: Vec<_> = hot.map(|seen| seen.requests() / seen.trips.max(1)).collect();
        let worst = ratios.iter().copied().min().unwrap_or(0);
        let judged = ratios.len();
        let promised = format!(
            "leased: one round trip for {REQUESTS} requests of a hot tenant (in {judged} of 9 trials \
             with {HOT} a window)"
        );
        self.report.promise(promised, worst, worst >= REQUESTS);
        self.report.never("failures while Redis is there", all.iter().map(|s| s.failed).sum());
        self.report.never("trials without a busy window", idle(all));
        Ok(())
    }
}

fn idle(all: &[Seen]) -> u64 {
    all.iter().filter(|seen| seen.busy().next().is_none()).count() as u64
}

async fn all_of(nodes: Nodes, window: (u64, u64, u64), seen: u64) -> Vec<Seen> {
    let together = match window.0 {
        60.. => LOADS.len() * MODES.len(),
        10.. => MODES.len(),
        _ => 1,
    };
    let each = LOADS.into_iter().flat_map(|load| MODES.map(|mode| calm(mode, load, window)));
    let gates: Vec<_> = each.collect();
    let mut all = Vec::new();
    for gates in gates.chunks(together) {
        let mut tasks = JoinSet::new();
        for gate in gates {
            tasks.spawn(watch(nodes.clone(), *gate, seen));
        }
        all.extend(tasks.join_all().await);
    }
    all
}

/// The nodes know nothing of the load in the window in which it begins, which is not looked at.
async fn watch(nodes: Nodes, gate: Gate, count: u64) -> Seen {
    let length = gate.window * 1_000_000_000;
    let stream = Stream::start(gate, &nodes);
    let start = boundary(gate.window, Duration::from_secs(1)).await;
    let before = nodes.trips(&gate).await;
    let end = start + count * length;
    until(end).await;
    let trips = nodes.trips(&gate).await - before;
    // What was sent before the end is answered before the stream stops.
    let samples = stream.stop().await;
    debug_assert!(now() >= end);
    let whole = start / 1_000_000_000 + 1..=end / 1_000_000_000;
    let seen = windows(&samples).into_iter().filter(|(end, _)| whole.contains(end));
    let decided: u64 = windows(&samples).values().map(|window| window.requests).sum();
    Seen {
        gate,
        windows: seen.map(|(_, window)| window).collect(),
        trips,
        too_late: too_late(&samples),
        failed: samples.len() as u64 - decided,
    }
}

impl Seen {
    fn requests(&self) -> u64 {
        self.windows.iter().map(|window| window.requests).sum()
    }

    fn most(&self) -> u64 {
        self.windows.iter().map(|window| window.admitted).max().unwrap_or(0)
    }

    /// Windows in which enough was asked for: a busy machine may leave too little time to send it.
    fn busy(&self) -> impl Iterator<Item = &Window> {
        let enough = self.gate.limit * ENOUGH / 100;
        self.windows.iter().filter(move |window| window.requests >= enough)
    }

    fn cells(&self, bound: u64) -> [String; 9] {
        let Gate { mode, load, limit, window, .. } = self.gate;
        let all = self.windows.iter().map(|window| window.admitted).min();
        let least = self.busy().map(|window| window.admitted).min().or(all).unwrap_or(0);
        [
            format!("{mode:?}"),
            format!("{load:?}"),
            format!("{window} s"),
            limit.to_string(),
            bound.to_string(),
            self.windows.len().to_string(),
            (self.requests() / (self.windows.len() as u64).max(1)).to_string(),
            format!("{least} to {}", self.most()),
            format!("{:.1}", self.requests() as f64 / self.trips.max(1) as f64),
        ]
    }
}
