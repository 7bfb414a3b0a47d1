//! An example of the crate as a process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::{Client, PATIENCE};

/// A running example server. It is stopped, by its pid, when this is dropped.
pub struct Server {
    child: Child,
    base: String,
    ready: String,
}

impl Server {
    /// Starts the example `name` on a free port of loopback with these environment variables, and
    /// waits until it says that it is ready.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn example(name: &str, environment: &[(&str, &str)]) -> Self {
        Self::program(name, command(name, environment))
    }

    /// Starts a program that prints a line with its URL when it is ready, and waits for that.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn program(name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let mut ready = String::new();
        let base = lines.find_map(|line| {
            ready.push_str(&line);
            ready.push('\n');
            address(&line)
        });
        let base = base.unwrap_or_else(|| panic!("{name} ended before it was ready:\n{ready}"));
        // Somebody has to read what it prints later, or it would block.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, base, ready }
    }

    /// Starts an example that must not start, and returns what it says of that.
    ///
    /// # Panics
    ///
    /// When it ends with success, or not at all.
    pub fn refusal(name: &str, environment: &[(&str, &str)]) -> String {
        let child = command(name, environment)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let mut server = Self { child, base: String::new(), ready: String::new() };
        let status = server.ended().unwrap_or_else(|| panic!("{name} runs"));
        assert!(!status.success(), "{name} ended with success");
        let stderr = server.child.stderr.take().expect("stderr is piped");
        std::io::read_to_string(stderr).expect("text")
    }

    /// A client of this server.
    pub fn client(&self) -> Client {
        Client::new(&self.base)
    }

    /// Its base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What it printed until it was ready.
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// True if it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM and waits; true if it ended by itself, with success.
    pub fn stop(mut self) -> bool {
        self.terminate()
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn terminate(&mut self) -> bool {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        sent.is_ok() && self.ended().is_some_and(|status| status.success())
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) && !self.terminate() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The example with these variables, and none of the tester's own that would change it.
fn command(name: &str, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary(name));
    command.env("LISTEN", "127.0.0.1:0");
    for name in ["APP_ENV", "DATABASE_URL", "JWT_SECRET", "PUBLIC_URL", "REDIS_URL"] {
        command.env_remove(name);
    }
    for name in ["OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    command
}

/// The URL in the line that says "ready".
fn address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).unwrap_or(rest.len());
    Some(format!("http://{}", &rest[..end]))
}

/// Builds the examples once, and tells where one of them is.
fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let status = Command::new(cargo).args(["build", "--quiet", "--examples", "--all-features"]).status();
        assert!(status.is_ok_and(|status| status.success()), "the examples do not build");
    });
    let here = std::env::current_exe().expect("a running test has a path");
    let profile = here.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    profile.join("examples").join(name)
}
