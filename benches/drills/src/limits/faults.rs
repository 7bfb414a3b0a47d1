//! Redis killed, frozen, restarted without what it knew, or slow; a node killed.

use std::time::Duration;

use tokio::task::block_in_place;

use super::Trial;
use super::fleet::Answer;
use super::gate::{Gate, Mode, NODES, Way, Without, faulty_by};
use super::load::{Sample, Stream, Window, boundary, now, too_late, until, windows};
use crate::Failure;
use crate::report::Table;

/// The nodes' patience with Redis, and by how much a request may take longer: there are more processes
/// than processors, of which one is taken for a while by whatever else the machine does.
const PATIENCE: Duration = Duration::from_millis(10);
const BUSY: Duration = Duration::from_millis(500);
/// Until all nodes ask Redis again: connecting again and asking whether it is there have pauses of up
/// to a second each.
const RECOVERED: Duration = Duration::from_secs(5);
/// How late a slow Redis answers.
const LATE: Duration = Duration::from_millis(200);
/// A slice is no more than this, where that lasts for a 24th of the window.
const SLICE: u64 = 256;
/// What a window lets in when all is well again, in hundredths: a node whose Redis is late once on a
/// busy machine may refuse for a while.
const AFTER: u64 = 90;
const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Frozen,
    Restarted,
    Slow,
    NodeKilled,
}

/// When what happened, in nanoseconds since the epoch.
struct Times {
    /// A window's start, before all.
    start: u64,
    broken: u64,
    mending: u64,
    /// From then on a whole window is looked at.
    well: u64,
    end: u64,
}

/// What came of the requests to one gate.
struct Seen {
    gate: Gate,
    during: Vec<Sample>,
    all: Vec<Sample>,
    bound: u64,
    overshoot: u64,
}

impl Trial {
    pub(crate) async fn with_faults(&mut self) -> Result<(), Failure> {
        let mut table = Table::new([
            "fault",
            "mode",
            "away",
            "asked",
            "let in",
            "429",
            "503",
            "lost",
            "p50",
            "p99",
            "max",
            "in a window",
            "bound",
            "after",
        ]);
        let streams: Vec<_> = self.streams(Way::Straight);
        for fault in [Fault::Killed, Fault::Frozen, Fault::Restarted] {
            self.fault(fault, &streams, &mut table).await?;
        }
        let slow = self.streams(Way::Proxy);
        self.fault(Fault::Slow, &slow, &mut table).await?;
        for stream in slow {
            stream.stop().await;
        }
        self.fault(Fault::NodeKilled, &streams, &mut table).await?;
        for stream in streams {
            stream.stop().await;
        }
        table.print("While something is broken (of a limit of 500 in 5 s)");
        Ok(())
    }

    fn streams(&self, way: Way) -> Vec<Stream> {
        faulty_by(way).map(|gate| Stream::start(gate, &self.fleet.nodes)).collect()
    }

    async fn fault(
        &mut self,
        fault: Fault,
        streams: &[Stream],
        table: &mut Table,
    ) -> Result<(), Failure> {
        let gates: Vec<_> = streams.iter().map(Stream::gate).collect();
        let start = boundary(gates[0].window, Duration::from_secs(1)).await;
        until(start + 2 * SECOND).await;
        block_in_place(|| self.break_it(fault));
        let broken = now();
        let lasts = if fault == Fault::NodeKilled { 3 } else { 5 };
        if fault != Fault::Restarted {
            until(start + (2 + lasts) * SECOND).await;
        }
        let mending = now();
        block_in_place(|| self.mend(fault));
        let recovery = self.fleet.nodes.are_back(&gates, 4 * RECOVERED).await;
        let well = boundary(gates[0].window, Duration::ZERO).await;
        let end = well + gates[0].window * SECOND;
        until(end + SECOND).await;
        let times = Times { start, broken, mending, well, end };
        let mut all = Vec::new();
        for stream in streams {
            all.push(self.seen(fault, stream, &times)?);
        }
        all.iter().for_each(|seen| table.row(seen.cells(fault, &times)));
        let recovery = recovery.unwrap_or(Duration::MAX);
        self.report.within(&format!("{}: nodes are back", fault.name()), RECOVERED, recovery);
        self.judge_all(fault, &all, &times);
        Ok(())
    }

    fn break_it(&mut self, fault: Fault) {
        match fault {
            Fault::Killed => self.fleet.redis.kill(),
            Fault::Frozen => self.fleet.redis.freeze(),
            Fault::Restarted => {
                self.fleet.redis.kill();
                self.fleet.redis.resume();
            }
            Fault::Slow => self.fleet.proxy.late_by(LATE),
            Fault::NodeKilled => self.fleet.kill(NODES - 1),
        }
    }

    fn mend(&mut self, fault: Fault) {
        match fault {
            Fault::Killed => self.fleet.redis.resume(),
            Fault::Frozen => self.fleet.redis.thaw(),
            Fault::Slow => self.fleet.proxy.late_by(Duration::ZERO),
            Fault::Restarted | Fault::NodeKilled => {}
        }
    }

    fn seen(&self, fault: Fault, stream: &Stream, times: &Times) -> Result<Seen, Failure> {
        let gate = stream.gate();
        let overshoot = self.fleet.overshoot(&gate)?;
        // One more limit where Redis forgets, and where nodes count by themselves.
        let forgets = matches!(fault, Fault::Killed | Fault::Restarted);
        let is_apart = gate.without == Without::Share && fault != Fault::NodeKilled;
        let times_over = if forgets || is_apart { 2 } else { 1 };
        Ok(Seen {
            gate,
            during: stream.samples(times.broken..times.mending),
            all: stream.samples(times.start..times.end),
            bound: times_over * (gate.limit + overshoot),
            overshoot,
        })
    }

    fn judge_all(&mut self, fault: Fault, all: &[Seen], times: &Times) {
        let name = fault.name();
        let mut never = |what: &str, count: u64| {
            self.report.never(&format!("{name}: {what}"), count);
        };
        let count = |what: fn(&Seen) -> u64| all.iter().map(what).sum();
        never("windows above the bound", count(Seen::above));
        never("let in on a window that was over", count(|seen| too_late(&seen.all)));
        never("503 where nodes have a share", count(Seen::away_with_share));
        never("windows below 90 % afterwards", all.iter().map(|seen| seen.is_less(times)).sum());
        match fault {
            Fault::Killed | Fault::Frozen | Fault::Slow => {
                never("let in by exact limits", count(|seen| seen.let_in_by(Mode::Exact)));
                never("beyond a batch of approximate limits", count(Seen::beyond_batch));
                if fault != Fault::Slow {
                    let anew = all.iter().map(|seen| seen.on_windows_begun(times)).sum();
                    never("let in by leased limits on later windows", anew);
                }
            }
            Fault::NodeKilled => {
                let lost = all.iter().map(|seen| seen.lost_more_than_a_slice(times)).sum();
                never("windows that lost more than a slice or a batch", lost);
            }
            Fault::Restarted => {}
        }
        let took: Vec<_> = all.iter().map(|seen| latencies(&seen.during)).collect();
        let p50 = took.iter().map(|took| took[0]).max().unwrap_or(Duration::MAX);
        let most = took.iter().map(|took| took[2]).max().unwrap_or(Duration::MAX);
        self.report.within(&format!("{name}: p50"), PATIENCE, p50);
        self.report.within(&format!("{name}: slowest"), PATIENCE + BUSY, most);
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Killed => "Redis killed",
            Self::Frozen => "Redis frozen",
            Self::Restarted => "Redis restarted",
            Self::Slow => "Redis slow",
            Self::NodeKilled => "node killed",
        }
    }
}

impl Seen {
    fn windows(&self) -> Vec<(u64, Window)> {
        windows(&self.all).into_iter().collect()
    }

    fn most(&self) -> u64 {
        self.windows().into_iter().map(|(_, window)| window.admitted).max().unwrap_or(0)
    }

    fn above(&self) -> u64 {
        self.windows().iter().filter(|(_, window)| window.admitted > self.bound).count() as u64
    }

    fn count(&self, what: impl Fn(&Answer) -> bool) -> u64 {
        self.during.iter().filter(|sample| what(&sample.answer)).count() as u64
    }

    fn let_in(&self) -> u64 {
        self.count(|answer| matches!(answer, Answer::In(_)))
    }

    fn is_refusing(&self, mode: Mode) -> bool {
        self.gate.mode == mode && self.gate.without == Without::Refuse
    }

    /// Who refuses without Redis.
    fn let_in_by(&self, mode: Mode) -> u64 {
        if self.is_refusing(mode) { self.let_in() } else { 0 }
    }

    fn beyond_batch(&self) -> u64 {
        self.let_in_by(Mode::Approximate).saturating_sub(self.overshoot)
    }

    /// A slice is of a window that Redis has seen.
    fn on_windows_begun(&self, times: &Times) -> u64 {
        let known = times.start / SECOND + self.gate.window;
        let is_later = |answer: &Answer| matches!(answer, Answer::In(end) if *end > known);
        if self.is_refusing(Mode::Leased) { self.count(is_later) } else { 0 }
    }

    fn away_with_share(&self) -> u64 {
        let is_away = |sample: &&Sample| sample.answer == Answer::Away;
        let away = self.all.iter().filter(is_away).count() as u64;
        if self.gate.without == Without::Share { away } else { 0 }
    }

    fn admitted_until(&self, end: u64) -> u64 {
        let windows = self.windows().into_iter();
        windows.filter(|(at, _)| *at == end / SECOND).map(|(_, window)| window.admitted).sum()
    }

    fn is_less(&self, times: &Times) -> u64 {
        u64::from(self.admitted_until(times.end) * 100 < self.gate.limit * AFTER)
    }

    /// Requests that were counted and not answered count as well.
    fn lost_more_than_a_slice(&self, times: &Times) -> u64 {
        let lost = self.count(|answer| *answer == Answer::Lost).min(super::load::SENDERS as u64);
        let slice = if self.gate.mode == Mode::Leased { SLICE } else { 0 };
        let least = (self.gate.limit - lost - slice) * AFTER / 100;
        u64::from(self.admitted_until(times.start + self.gate.window * SECOND) < least)
    }

    fn cells(&self, fault: Fault, times: &Times) -> [String; 14] {
        let millis = |took: Duration| format!("{:.1} ms", took.as_secs_f64() * 1_000.0);
        let [p50, p99, most] = latencies(&self.during).map(millis);
        [
            fault.name().to_owned(),
            format!("{:?}", self.gate.mode),
            format!("{:?}", self.gate.without),
            self.during.len().to_string(),
            self.let_in().to_string(),
            self.count(|answer| matches!(answer, Answer::Limited(_))).to_string(),
            self.count(|answer| *answer == Answer::Away).to_string(),
            self.count(|answer| *answer == Answer::Lost).to_string(),
            p50,
            p99,
            most,
            self.most().to_string(),
            self.bound.to_string(),
            self.admitted_until(times.end).to_string(),
        ]
    }
}

/// Half of them, 99 of a hundred, and all took no longer.
fn latencies(samples: &[Sample]) -> [Duration; 3] {
    let mut took: Vec<_> = samples.iter().map(|sample| sample.took).collect();
    took.sort_unstable();
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1)));
    [50, 99, 100].map(|share| at(share).copied().unwrap_or_default())
}
