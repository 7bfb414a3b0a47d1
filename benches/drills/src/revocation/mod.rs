//! A key that is revoked on one node is refused on all: while they hear each other, while they don't,
//! and while the database is gone.

mod cut;
mod fleet;
mod heard;
mod killed;
mod node;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use self::fleet::Fleet;
pub(crate) use self::node::{NODE, node};
use self::watch::{Tally, Times};
use crate::report::{Report, Table, seconds};

/// While the feed is heard.
const HEARD: Duration = Duration::from_secs(1);
/// Whatever becomes of it.
const ALWAYS: Duration = Duration::from_secs(5);
/// Until nodes that had lost a feed or a database serve as before.
const RECOVERED: Duration = Duration::from_secs(15);

/// Good keys that are in use all the time.
const IN_USE: usize = 200;

/// What the trials leave behind.
struct Trial {
    fleet: Fleet,
    good: Vec<fleet::Key>,
    times: Times,
    report: Report,
    /// What the crowds have seen, under a name.
    tallies: Vec<(&'static str, Tally)>,
    /// Requests that failed although the database was there.
    failed: u64,
}

pub(crate) async fn drill(revocations: usize) -> ExitCode {
    let start = Instant::now();
    let keys = IN_USE + revocations + cut::KEYS + killed::KEYS;
    let mut fleet = match Fleet::start(keys).await {
        Ok(fleet) => fleet,
        Err(error) => {
            eprintln!("drills: {error}");
            return ExitCode::FAILURE;
        }
    };
    let good = fleet.keys(IN_USE);
    let (times, report) = (Times::new(), Report::default());
    let mut trial = Trial { fleet, good, times, report, tallies: Vec::new(), failed: 0 };
    eprintln!("revocations while the feed is heard: {revocations}");
    trial.while_heard(revocations).await;
    eprintln!("the feed is cut");
    trial.while_cut().await;
    eprintln!("the database is killed");
    trial.while_killed().await;
    trial.finish(start.elapsed())
}

impl Trial {
    fn finish(mut self, took: Duration) -> ExitCode {
        self.times.print();
        let mut table = Table::new(["", "requests", "503", "wrong 401", "revoked and let in"]);
        for (name, tally) in &self.tallies {
            let Tally { requests, away, wrongly_refused, came_back } = tally;
            let counts = [requests, away, wrongly_refused, came_back].map(u64::to_string);
            let [requests, away, wrong, back] = counts;
            table.row([(*name).to_owned(), requests, away, wrong, back]);
        }
        table.print("Beside them, on all nodes");
        println!("\nthe drill took {}", seconds(took));
        let all = self.tallies.iter().fold(Tally::default(), |all, (_, tally)| all.and(*tally));
        let (ended, panics) = self.fleet.casualties();
        self.report.never("revoked keys let in again", all.came_back);
        self.report.never("good keys refused as bad", all.wrongly_refused);
        self.report.never("failures while the database is there", self.failed);
        self.report.never("nodes ended", ended);
        self.report.never("panics", panics);
        self.report.finish()
    }
}
