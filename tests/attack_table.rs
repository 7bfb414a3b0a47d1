//! `attacks.md` names the tests that show each answer: they are there, and none of `attacks.rs` is left
//! out.

#![allow(clippy::unwrap_used)]

use std::fs::read_to_string;
use std::path::Path;

/// The lines of the tables, without their heads: the first cell, and the names of tests.
fn rows() -> Vec<(String, Vec<String>)> {
    let table = include_str!("attacks.md");
    let cells = |line: &'static str| -> Vec<_> {
        line.trim_matches('|').split(" | ").map(str::trim).collect()
    };
    let lines = table.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    lines
        .map(cells)
        .filter(|cells| cells.last() != Some(&"shown by"))
        .map(|cells| {
            let names = cells.last().unwrap().split('`').filter(|part| part.contains("::"));
            (cells[0].to_owned(), names.map(str::to_owned).collect())
        })
        .collect()
}

/// The text of `file`, a test or a path from the root.
fn source(file: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = if file.starts_with("src/") { root.to_owned() } else { root.join("tests") };
    read_to_string(place.join(file).with_extension("rs")).ok()
}

/// True when `source` has a function of this name that a test runner calls.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let is_it = |line: &&str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|line| line.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let Some(place) = lines.iter().position(is_it) else { return false };
    let before = lines[..place].iter().rev().take_while(|line| line.starts_with(['#', '/']));
    before.into_iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
}

#[test]
fn every_row_is_shown_by_tests_that_are_there() {
    let rows = rows();
    assert!(rows.len() > 80, "the tables were read: {}", rows.len());
    let missing: Vec<_> = rows
        .iter()
        .flat_map(|(row, tests)| tests.iter().map(move |test| (row, test)))
        .filter(|(_, test)| {
            let (file, name) = test.rsplit_once("::").unwrap();
            !source(file).is_some_and(|source| has_test(&source, name))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(rows.iter().all(|(_, tests)| !tests.is_empty()), "a row is shown by nothing");
    let numbers = rows.iter().filter_map(|(row, _)| row.parse::<usize>().ok());
    assert!(numbers.eq(1..=34), "an attack is left out");
}

#[test]
fn every_attack_that_is_tested_stands_in_its_row() {
    let source = source("attacks").unwrap();
    let names = source.lines().filter_map(|line| line.strip_prefix("fn row_")?.split_once("()"));
    let names: Vec<_> = names.map(|(name, _)| name).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let (number, _) = name.split_once('_').unwrap();
        let named = format!("attacks::row_{name}");
        let row = rows().into_iter().find(|(row, _)| row == number);
        assert!(row.is_some_and(|(_, tests)| tests.contains(&named)), "{named}");
    }
}

#[test]
fn what_is_no_test_is_none() {
    let source =
        "#[test]\nfn one() {}\nfn two() {}\n#[tokio::test(x)]\n// why\nasync fn three() {}";
    let found = ["one", "two", "three", "on", "thre", "four"].map(|name| has_test(source, name));
    assert_eq!(found, [true, false, true, false, false, false]);
}
