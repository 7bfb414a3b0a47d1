//! What a service that takes one of the crates, with its default features, has to compile.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::targets::Target;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

struct Build {
    crates: f64,
    wall: f64,
    /// Of all processors together.
    processor: f64,
}

/// Neighbours slow a build down; the processor's seconds are those of the build alone, and are what is
/// asked about.
pub(crate) fn run() -> Vec<Target> {
    let ours = format!("keygate = {{ path = \"{HERE}/../..\" }}");
    println!("\n| default features | crates | cold build, seconds | seconds of the processor |");
    println!("| --- | ---: | ---: | ---: |");
    let ours = row("keygate", &ours);
    let mut targets = Vec::new();
    for (name, dependency) in [
        ("jwt-authorizer", "jwt-authorizer = \"0.15\""),
        ("tower-oauth2-resource-server", "tower-oauth2-resource-server = \"0.12\""),
    ] {
        let peer = row(name, dependency);
        targets.push(Target::less(format!("crates, beside {name}"), peer.crates, ours.crates));
        let what = format!("cold build, seconds of the processor, beside {name}");
        targets.push(Target::less(what, peer.processor.round(), ours.processor.round()));
    }
    targets
}

fn row(name: &str, dependency: &str) -> Build {
    eprintln!("building {name}");
    let build = measured(dependency).unwrap_or_else(|error| {
        eprintln!("{name} was not built: {error}");
        Build { crates: f64::NAN, wall: f64::NAN, processor: f64::NAN }
    });
    let Build { crates, wall, processor } = build;
    println!("| {name} | {crates} | {wall:.0} | {processor:.0} |");
    build
}

fn measured(dependency: &str) -> std::io::Result<Build> {
    let place = Place::new(dependency)?;
    cargo(&place.0, &["fetch"])?;
    let tree =
        cargo(&place.0, &["tree", "--edges", "normal,build", "--prefix", "none", "--no-dedupe"])?;
    // Less the package that has them all.
    let crates =
        tree.lines().map(|line| line.trim_end_matches(" (*)")).collect::<BTreeSet<_>>().len() - 1;
    let (start, before) = (Instant::now(), children_seconds());
    cargo(&place.0, &["build", "--offline", "--quiet", "--target-dir", "cold"])?;
    let (wall, processor) = (start.elapsed().as_secs_f64(), children_seconds() - before);
    Ok(Build { crates: crates as f64, wall, processor })
}

/// A package with one dependency, in a folder that goes when it is dropped.
struct Place(PathBuf);

impl Place {
    fn new(dependency: &str) -> std::io::Result<Self> {
        let place = Self(std::env::temp_dir().join(format!("peers-{}", std::process::id())));
        fs::create_dir_all(place.0.join("src"))?;
        fs::write(place.0.join("src/lib.rs"), "")?;
        // The versions that the rest of the comparison has.
        fs::copy(Path::new(HERE).join("Cargo.lock"), place.0.join("Cargo.lock"))?;
        let package =
            "[package]\nname = \"cold\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
        fs::write(place.0.join("Cargo.toml"), format!("{package}[dependencies]\n{dependency}\n"))?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cargo(place: &Path, arguments: &[&str]) -> std::io::Result<String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set by the cargo that runs this program, or by whoever measures something else.
    let command = command.current_dir(place).env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    let output = command.args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(std::io::Error::other(format!("cargo {} failed", arguments.join(" "))));
    }
    String::from_utf8(output.stdout).map_err(std::io::Error::other)
}

/// What this process's children, and theirs, have taken of the processors (proc(5), `cutime` and
/// `cstime`), in hundredths of a second as on all of Linux.
fn children_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks =
        after_name.split(' ').skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
