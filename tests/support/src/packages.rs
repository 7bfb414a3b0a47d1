//! What other languages bring: packages of npm and PyPI, installed once into a folder of the build.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const OLDEST_NODE: u32 = 20;

/// Node.js with the packages that `tests/provider/package-lock.json` names.
#[derive(Clone, Debug)]
pub struct Node {
    folder: PathBuf,
}

impl Node {
    /// Installs what is not there yet; otherwise why it can't be had.
    pub fn with_packages() -> Result<Self, String> {
        let version = output(Command::new("node").arg("--version"))?;
        let major = version.trim().trim_start_matches('v').split('.').next().unwrap_or_default();
        if major.parse().is_ok_and(|major: u32| major < OLDEST_NODE) {
            return Err(format!("Node.js {} is older than {OLDEST_NODE}", version.trim()));
        }
        let lock = include_str!("../../provider/package-lock.json");
        let folder = installed("npm", lock, |folder| {
            let package = include_str!("../../provider/package.json");
            write(&folder.join("package.json"), package)?;
            write(&folder.join("package-lock.json"), lock)?;
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            npm.args(["--fetch-retries=2", "--fetch-timeout=60000"]);
            output(npm.current_dir(folder)).map(drop)
        })?;
        Ok(Self { folder })
    }

    /// A module of this text, which finds the packages.
    pub fn script(&self, text: &str) -> Command {
        let mut node = Command::new("node");
        node.args(["--no-warnings", "--input-type=module", "--eval", text, "--"]);
        node.current_dir(&self.folder);
        node
    }
}

/// Python with the packages that `tests/other_libraries/requirements.txt` names.
#[derive(Clone, Debug)]
pub struct Python {
    folder: PathBuf,
}

impl Python {
    /// Installs what is not there yet; otherwise why it can't be had.
    pub fn with_packages() -> Result<Self, String> {
        let requirements = include_str!("../../other_libraries/requirements.txt");
        let folder = installed("pypi", requirements, |folder| {
            output(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            let list = folder.join("requirements.txt");
            write(&list, requirements)?;
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            // Wheels only: nothing is built here.
            pip.args(["--retries=2", "--timeout=60", "--only-binary=:all:"]);
            pip.arg("--requirement").arg(list);
            output(&mut pip).map(drop)
        })?;
        Ok(Self { folder })
    }

    /// A program of this text, which finds the packages.
    pub fn script(&self, text: &str) -> Command {
        let mut python = Command::new(self.folder.join("bin/python"));
        python.args(["-W", "ignore", "-c", text]);
        python
    }
}

/// The browser, if one is installed.
pub fn chromium() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut places = std::env::split_paths(&path).flat_map(|folder| names.map(|n| folder.join(n)));
    places.find(|place| place.is_file()).ok_or_else(|| "no Chromium is installed".into())
}

/// What a command prints; otherwise why there is nothing.
pub fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said: Vec<_> = said.trim().lines().rev().take(12).collect();
    Err(format!("{name}: {}", said.into_iter().rev().collect::<Vec<_>>().join("\n")))
}

/// The folder of the packages of `list`. It is made under another name, and has its own once it is
/// whole: several tests may want it at once.
fn installed(
    kind: &str,
    list: &str,
    install: impl Fn(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    list.hash(&mut hasher);
    let name = format!("{kind}-{:016x}", hasher.finish());
    let whole = packages().join(&name);
    if whole.is_dir() {
        return Ok(whole);
    }
    let part = packages().join(format!("{name}.{}", std::process::id()));
    let install = || {
        let _ = std::fs::remove_dir_all(&part);
        std::fs::create_dir_all(&part).map_err(|error| format!("{}: {error}", part.display()))?;
        install(&part)
    };
    // A registry may have a bad moment: once more.
    let done = install().or_else(|_| install());
    if done.is_err() || std::fs::rename(&part, &whole).is_err() {
        let _ = std::fs::remove_dir_all(&part);
    }
    done.map(|()| whole)
}

/// Beside the build's profiles: `target/packages`.
fn packages() -> PathBuf {
    let here = std::env::current_exe().expect("a running test has a path");
    here.ancestors().nth(3).expect("target/<profile>/deps/<test>").join("packages")
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
