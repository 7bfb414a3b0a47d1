//! Tables, and what became of promises.

use std::process::ExitCode;
use std::time::Duration;

/// Rows under a header, each column as wide as its widest cell.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self(vec![header.map(str::to_owned).into()])
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.push(cells.into());
    }

    pub(crate) fn print(&self, title: &str) {
        println!("\n{title}\n");
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max();
        for row in &self.0 {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = width(column).unwrap_or(0);
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}

/// What was promised, and what was seen.
#[derive(Default)]
pub(crate) struct Report(Vec<Promise>);

struct Promise {
    promised: String,
    seen: String,
    kept: bool,
}

impl Report {
    pub(crate) fn promise(&mut self, promised: impl Into<String>, seen: impl ToString, kept: bool) {
        self.0.push(Promise { promised: promised.into(), seen: seen.to_string(), kept });
    }

    /// That something took no longer than `bound`.
    pub(crate) fn within(&mut self, promised: &str, bound: Duration, seen: Duration) {
        let promised = format!("{promised} within {}", seconds(bound));
        self.promise(promised, seconds(seen), seen <= bound);
    }

    /// That something never happened.
    pub(crate) fn never(&mut self, promised: &str, seen: u64) {
        self.promise(promised, seen, seen == 0);
    }

    /// Prints the last line.
    pub(crate) fn finish(self) -> ExitCode {
        let word = |kept| if kept { "kept" } else { "BROKEN" };
        let mut table = Table::new(["promised", "seen", ""]);
        for Promise { promised, seen, kept } in &self.0 {
            table.row([promised.clone(), seen.clone(), word(*kept).into()]);
        }
        table.print("Promises");
        let kept = !self.0.is_empty() && self.0.iter().all(|promise| promise.kept);
        let all = self.0.iter().map(|Promise { promised, seen, kept }| {
            format!("{promised}: {seen}{}", if *kept { "" } else { " (BROKEN)" })
        });
        println!("\n{}: {}", word(kept), all.collect::<Vec<_>>().join("; "));
        if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}
