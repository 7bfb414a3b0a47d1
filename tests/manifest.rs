//! What `Cargo.toml` promises: the Rust version, and no dependency with a known hole.

use std::process::Command;

use serde_json::Value;

/// The whole dependency graph, all features on.
fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--all-features", "--locked"];
    let output = Command::new(cargo).args(arguments).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

/// `1.88` is `1.88.0`.
fn version(text: &str) -> [u64; 3] {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let mut parts = core.split('.').map(|part| part.parse().expect("a version"));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// The ids of what a user of the crate compiles: everything but development dependencies.
fn shipped(metadata: &Value) -> Vec<String> {
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let root = metadata["resolve"]["root"].as_str().expect("a root");
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(id) = found.get(next).cloned() {
        next += 1;
        let node = nodes.iter().find(|node| node["id"] == id.as_str()).expect("a node");
        for dependency in node["deps"].as_array().expect("deps") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            let id = dependency["pkg"].as_str().expect("an id").to_owned();
            if kinds.iter().any(|kind| kind["kind"] != "dev") && !found.contains(&id) {
                found.push(id);
            }
        }
    }
    found
}

#[test]
fn no_dependency_needs_a_newer_rust_than_the_crate_promises() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let ours = packages.iter().find(|package| package["name"] == "keygate").expect("keygate");
    let promised = version(ours["rust_version"].as_str().expect("rust-version is stated"));
    let shipped = shipped(&metadata);
    assert!(shipped.len() > 20, "the graph was read: {shipped:?}");
    let newer: Vec<_> = packages
        .iter()
        .filter(|package| shipped.iter().any(|id| package["id"] == id.as_str()))
        .filter(|package| package["rust_version"].as_str().is_some_and(|v| version(v) > promised))
        .map(|package| format!("{} needs {}", package["name"], package["rust_version"]))
        .collect();
    assert!(newer.is_empty(), "{newer:?}");
}

#[test]
fn no_dependency_is_of_a_version_with_a_known_hole() {
    let fixed = [("h2", "0.4.16"), ("tonic", "0.12.3")];
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    for (name, first_good) in fixed {
        let found: Vec<_> = packages.iter().filter(|package| package["name"] == name).collect();
        assert!(!found.is_empty(), "{name} is no dependency any more: remove it from the list");
        for package in found {
            let found = package["version"].as_str().expect("a version");
            assert!(version(found) >= version(first_good), "{name} {found}");
        }
    }
}

#[test]
fn the_default_build_brings_no_runtime_and_no_http_client() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let arguments = ["tree", "--edges", "normal", "--prefix", "none", "--locked"];
    let output = Command::new(cargo).args(arguments).output().expect("cargo runs");
    let tree = String::from_utf8(output.stdout).expect("text");
    assert!(tree.contains("jsonwebtoken"), "the tree was read: {tree}");
    for unwanted in ["tokio ", "hyper ", "reqwest ", "axum ", "tonic ", "ring "] {
        assert!(
            !tree.lines().any(|line| line.starts_with(unwanted)),
            "{unwanted}is in the default build"
        );
    }
}
