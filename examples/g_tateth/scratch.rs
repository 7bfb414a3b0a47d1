//! A place for a store that nobody named.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::PathBuf;

/// A new folder that nobody else may read, removed when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        let name = format!("g_tateth-{:016x}", u64::from_ne_bytes(random));
        let folder = std::env::temp_dir().join(name);
        private().create(&folder)?;
        Ok(Self(folder))
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("keys.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("g_tateth: {} is left behind: {error}", self.0.display());
        }
    }
}

#[cfg(unix)]
fn private() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt;

    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

#[cfg(not(unix))]
fn private() -> DirBuilder {
    DirBuilder::new()
}
