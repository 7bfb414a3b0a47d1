//! This program as another process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::Server;

/// A folder of the drill's own, removed with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(drill: &str) -> std::io::Result<Self> {
        let name = format!("keygate-drill-{drill}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process of this program. It is stopped, by its pid, when this is dropped.
pub(crate) struct Process {
    pub(crate) server: Server,
    errors: PathBuf,
}

impl Process {
    /// Runs `subcommand` with these variables; what it writes to stderr goes to the file `errors`.
    pub(crate) fn start(
        subcommand: &str,
        environment: &[(&str, &str)],
        errors: &Path,
    ) -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(subcommand).envs(environment.iter().copied()).stderr(File::create(errors)?);
        Ok(Self { server: Server::program(subcommand, command), errors: errors.into() })
    }

    /// Whether it lives, and what it has said of panics.
    pub(crate) fn health(&mut self) -> (bool, u64) {
        let said = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let panics = said.lines().filter(|line| line.contains("panicked")).count();
        (self.server.is_running(), panics as u64)
    }
}
