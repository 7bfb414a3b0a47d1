//! What was measured, as a table, and what is asked of it.

use crate::cases::{FLOOR, GATE};
use crate::harness::{Case, Cost, median};

pub(crate) struct Results {
    cases: Vec<Case>,
    costs: Vec<Cost>,
}

/// A case and what it costs.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    case: &'a Case,
    cost: &'a Cost,
    /// `None` for what stands by itself, without a request.
    bare: Option<&'a Cost>,
}

impl Results {
    pub(crate) fn new(cases: Vec<Case>, costs: Vec<Cost>) -> Self {
        Self { cases, costs }
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.cases.iter().zip(&self.costs).map(|(case, cost)| {
            let bare = self.cases.iter().position(|bare| bare.who == case.bare);
            Row { case, cost, bare: bare.map(|at| &self.costs[at]) }
        })
    }

    fn find(&self, what: &str, who: &str) -> Option<Row<'_>> {
        self.rows().find(|row| row.case.what == what && row.case.who == who)
    }

    /// # Panics
    ///
    /// For what was not measured.
    pub(crate) fn row(&self, what: &str, who: &str) -> Row<'_> {
        self.find(what, who).unwrap_or_else(|| panic!("{what}, {who}: not measured"))
    }

    pub(crate) fn print(&self) {
        println!("| request | by | ns added | × floor | allocations added | instructions added |");
        println!("| --- | --- | ---: | ---: | ---: | ---: |");
        for row in self.rows() {
            let floor = self.find(&row.case.what, FLOOR).filter(|_| row.case.who != FLOOR);
            let floor = floor.map(|floor| format!("{:.2}", row.of(floor))).unwrap_or_default();
            let who = if row.case.who == GATE { "**keygate**" } else { row.case.who };
            let instructions = row.instructions().map(|count| format!("{count:.0}"));
            println!(
                "| {} | {who} | {:.0} | {floor} | {} | {} |",
                row.case.what,
                row.nanos(),
                row.allocations(),
                instructions.unwrap_or_default(),
            );
        }
    }
}

impl Row<'_> {
    /// Added to the bare service, or what a bare service takes itself.
    fn added(self) -> impl Iterator<Item = f64> {
        let bare = self.bare.filter(|bare| !std::ptr::eq(*bare, self.cost));
        let bare = move |round: usize| bare.map_or(0.0, |bare| bare.nanos[round]);
        self.cost.nanos.iter().enumerate().map(move |(round, nanos)| nanos - bare(round))
    }

    pub(crate) fn nanos(self) -> f64 {
        median(self.added())
    }

    /// The median of each round's ratio of what both add.
    pub(crate) fn of(self, other: Row<'_>) -> f64 {
        median(self.added().zip(other.added()).map(|(this, other)| this / other))
    }

    /// The same with nothing taken off.
    pub(crate) fn whole_of(self, other: Row<'_>) -> f64 {
        let rounds = self.cost.nanos.iter().zip(&other.cost.nanos);
        median(rounds.map(|(this, other)| this / other))
    }

    /// What this one adds to `without`, of what `other` takes.
    pub(crate) fn beyond_of(self, without: Row<'_>, other: Row<'_>) -> f64 {
        let beyond = self.added().zip(without.added()).map(|(with, without)| with - without);
        median(beyond.zip(other.added()).map(|(beyond, other)| beyond / other))
    }

    pub(crate) fn allocations(self) -> i64 {
        let bare = self.bare.filter(|bare| !std::ptr::eq(*bare, self.cost));
        self.cost.allocations - bare.map_or(0, |bare| bare.allocations)
    }

    pub(crate) fn instructions(self) -> Option<f64> {
        let bare = self.bare.filter(|bare| !std::ptr::eq(*bare, self.cost));
        let bare = bare.map_or(Some(0.0), |bare| bare.instructions)?;
        Some(self.cost.instructions? - bare)
    }
}
