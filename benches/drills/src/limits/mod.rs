//! Limits that four processes share through one Redis: what windows let in while all is well, and
//! while Redis or a node is killed, frozen or slow.

mod calm;
mod faults;
mod fleet;
mod gate;
mod load;
mod node;
mod slow;

use std::process::ExitCode;
use std::time::Instant;

use self::fleet::{Fleet, Nodes};
pub(crate) use self::node::{NODE, node};
use crate::Failure;
use crate::report::{Report, seconds};

/// What the trials leave behind.
struct Trial {
    fleet: Fleet,
    report: Report,
}

/// All of it, or the named parts.
pub(crate) async fn drill(parts: &[&str]) -> Result<ExitCode, Failure> {
    let is_wanted = |part| parts.is_empty() || parts.contains(&part);
    let start = Instant::now();
    let mut trial = Trial { fleet: Fleet::start().await?, report: Report::default() };
    if is_wanted("windows") {
        eprintln!("windows of 1 s, 10 s and 60 s: three minutes");
        trial.while_calm().await?;
    }
    if is_wanted("faults") {
        eprintln!("faults: a minute and a half");
        trial.with_faults().await?;
    }
    let (ended, panics) = trial.fleet.casualties();
    trial.report.never("nodes ended", ended);
    trial.report.never("panics", panics);
    println!("\nthe drill took {}", seconds(start.elapsed()));
    Ok(trial.report.finish())
}
