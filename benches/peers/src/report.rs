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
    bare: &'a Cost,
}

impl Results {
    pub(crate) fn new(cases: Vec<Case>, costs: Vec<Cost>) -> Self {
        Self { cases, costs }
    }

    /// The bare services are the first.
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.cases.iter().zip(&self.costs).map(|(case, cost)| {
            let bare = self.cases.iter().position(|bare| bare.who == case.bare);
            Row { case, cost, bare: &self.costs[bare.unwrap_or_default()] }
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
    /// A bare service shows what it takes itself.
    fn is_bare(self) -> bool {
        std::ptr::eq(self.bare, self.cost)
    }

    /// Nanoseconds in each round, beyond the bare service's.
    fn added(self) -> impl Iterator<Item = f64> {
        let share = if self.is_bare() { 0.0 } else { 1.0 };
        let rounds = self.cost.nanos.iter().zip(&self.bare.nanos);
        rounds.map(move |(nanos, bare)| nanos - share * bare)
    }

    pub(crate) fn nanos(self) -> f64 {
        median(self.added())
    }

    /// The median of each round's ratio of what both add.
    pub(crate) fn of(self, other: Self) -> f64 {
        median(self.added().zip(other.added()).map(|(this, other)| this / other))
    }

    /// The same with nothing taken off.
    pub(crate) fn whole_of(self, other: Self) -> f64 {
        let rounds = self.cost.nanos.iter().zip(&other.cost.nanos);
        median(rounds.map(|(this, other)| this / other))
    }

    /// What this one adds to `without`, of what `other` adds.
    pub(crate) fn beyond_of(self, without: Self, other: Self) -> f64 {
        let beyond = self.added().zip(without.added()).map(|(with, without)| with - without);
        median(beyond) / other.nanos()
    }

    pub(crate) fn allocations(self) -> i64 {
        self.cost.allocations - if self.is_bare() { 0 } else { self.bare.allocations }
    }

    pub(crate) fn instructions(self) -> Option<f64> {
        let bare = if self.is_bare() { 0.0 } else { self.bare.instructions? };
        Some(self.cost.instructions? - bare)
    }
}
