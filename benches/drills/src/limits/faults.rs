//! Redis killed, frozen, restarted without what it knew, or slow; a node killed.

use std::time::Duration;

use tokio::task::block_in_place;

use super::Trial;
use super::fleet::Answer;
use super::gate::{Gate, Mode, NODES, WINDOW, Way, Without, faulty_by, in_memory};
use super::load::{Sample, Stream, Window, boundary, now, too_late, until, windows};
use crate::Failure;
use crate::report::Table;

/// The nodes' patience with Redis, and by how much a request may take longer than that and the slowest
/// of a limit in memory meanwhile: there are more processes than processors, and whatever else the
/// machine does takes one of them for a while, not always from both alike.
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
    mended: u64,
    /// Of the window that is looked at when all is well again.
    end: u64,
}

/// What was seen of all faults together, and with which of them something was not as it should be.
#[derive(Default)]
struct Sums {
    counts: Vec<(&'static str, u64, Vec<&'static str>)>,
    back: Duration,
    p50: Duration,
    slower: Duration,
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
        let beside = Stream::start(in_memory(), &self.fleet.nodes);
        let (mut sums, streams) = (Sums::default(), self.streams(Way::Straight));
        for fault in [Fault::Killed, Fault::Frozen, Fault::Restarted] {
            self.fault(fault, &streams, &beside, &mut table, &mut sums).await?;
        }
        let slow = self.streams(Way::Proxy);
        self.fault(Fault::Slow, &slow, &beside, &mut table, &mut sums).await?;
        self.fault(Fault::NodeKilled, &streams, &beside, &mut table, &mut sums).await?;
        for stream in slow.into_iter().chain(streams).chain([beside]) {
            stream.stop().await;
        }
        table.print("While something is broken (of a limit of 500 in 5 s)");
        self.judge_sums(sums);
        Ok(())
    }

    fn judge_sums(&mut self, sums: Sums) {
        for (what, count, faults) in sums.counts {
            let seen = [vec![count.to_string()], faults.into_iter().map(str::to_owned).collect()];
            self.report.promise(format!("faults: {what}"), seen.concat().join(", "), count == 0);
        }
        self.report.within("faults: nodes are back", RECOVERED, sums.back);
        self.report.within("faults: half of all requests", PATIENCE, sums.p50);
        self.report.within("faults: the slowest beside memory", PATIENCE + BUSY, sums.slower);
    }

    fn streams(&self, way: Way) -> Vec<Stream> {
        faulty_by(way).map(|gate| Stream::start(gate, &self.fleet.nodes)).collect()
    }

    /// Something breaks two seconds after a window has begun, and lasts into the next.
    async fn fault(
        &mut self,
        fault: Fault,
        streams: &[Stream],
        beside: &Stream,
        table: &mut Table,
        sums: &mut Sums,
    ) -> Result<(), Failure> {
        let gates: Vec<_> = streams.iter().map(Stream::gate).collect();
        let start = boundary(WINDOW, Duration::from_secs(1)).await;
        until(start + 2 * SECOND).await;
        let breaking = now();
        block_in_place(|| self.break_it(fault));
        let broken = if fault == Fault::Restarted { breaking } else { now() };
        let lasts = if fault == Fault::NodeKilled { WINDOW } else { WINDOW + 2 };
        until(start + lasts * SECOND).await;
        let mended = now();
        block_in_place(|| self.mend(fault));
        let recovery = self.fleet.nodes.are_back(&gates, 4 * RECOVERED).await;
        let end = boundary(WINDOW, Duration::ZERO).await + WINDOW * SECOND;
        // What was sent before the end is answered by then.
        until(end + SECOND).await;
        let times = Times { start, broken, mended, end };
        let seen = streams.iter().map(|stream| self.seen(fault, stream, &times));
        let all = seen.collect::<Result<Vec<_>, _>>()?;
        all.iter().for_each(|seen| table.row(seen.cells(fault, &times)));
        sums.back = sums.back.max(recovery.unwrap_or(Duration::MAX));
        sums.judge(fault, &all, &times);
        let beside = self.seen(fault, beside, &times)?;
        table.row(beside.cells(fault, &times));
        sums.compare(&all, &beside);
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
        // One more limit where Redis forgets, and where nodes count by themselves: a busy machine may
        // keep Redis from answering in time at any moment.
        let forgets = matches!(fault, Fault::Killed | Fault::Restarted);
        let times_over = if forgets || gate.without == Without::Share { 2 } else { 1 };
        Ok(Seen {
            gate,
            during: stream.samples(times.broken..times.mended),
            all: stream.samples(times.start..times.end),
            bound: times_over * (gate.limit + overshoot),
            overshoot,
        })
    }
}

impl Sums {
    fn judge(&mut self, fault: Fault, all: &[Seen], times: &Times) {
        let count = |what: fn(&Seen) -> u64| all.iter().map(what).sum();
        let count_by =
            |what: fn(&Seen, &Times) -> u64| all.iter().map(|seen| what(seen, times)).sum();
        let mut never = |what, count| self.never(what, count, fault);
        never("windows above the bound", count(Seen::above));
        never("slices spent on windows that were over", count(Seen::too_late));
        never("503 where nodes have a share", count(Seen::away_with_share));
        never("windows below 90 % afterwards", count_by(Seen::is_less));
        if matches!(fault, Fault::Killed | Fault::Frozen | Fault::Slow) {
            never(
                "let in without Redis by exact limits",
                count(|seen| seen.let_in_by(Mode::Exact)),
            );
        }
        if matches!(fault, Fault::Killed | Fault::Frozen) {
            never("by leased ones on later windows", count_by(Seen::on_later_windows));
            never("by approximate ones beyond a batch", count(Seen::beyond_a_batch));
        }
        if fault == Fault::NodeKilled {
            never("windows that lost more than a slice", count_by(Seen::lost_more_than_a_slice));
        }
    }

    fn compare(&mut self, all: &[Seen], beside: &Seen) {
        let [.., quiet] = latencies(&beside.during);
        for [p50, _, slowest] in all.iter().map(|seen| latencies(&seen.during)) {
            self.p50 = self.p50.max(p50);
            self.slower = self.slower.max(slowest.saturating_sub(quiet));
        }
    }

    fn never(&mut self, what: &'static str, count: u64, fault: Fault) {
        let place = self.counts.iter().position(|(other, ..)| *other == what);
        let place = place.unwrap_or_else(|| {
            self.counts.push((what, 0, Vec::new()));
            self.counts.len() - 1
        });
        if let Some((_, sum, faults)) = self.counts.get_mut(place).filter(|_| count > 0) {
            *sum += count;
            faults.push(fault.name());
        }
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

    /// Of leased limits: the others may take their time to notice.
    fn too_late(&self) -> u64 {
        if self.gate.mode == Mode::Leased { too_late(&self.all) } else { 0 }
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

    fn beyond_a_batch(&self) -> u64 {
        self.let_in_by(Mode::Approximate).saturating_sub(self.overshoot)
    }

    /// A slice is of a window that Redis has seen.
    fn on_later_windows(&self, times: &Times) -> u64 {
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
        let [mode, without] = match self.gate.way {
            Way::None => ["(in memory)".to_owned(), String::new()],
            _ => [format!("{:?}", self.gate.mode), format!("{:?}", self.gate.without)],
        };
        [
            fault.name().to_owned(),
            mode,
            without,
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
