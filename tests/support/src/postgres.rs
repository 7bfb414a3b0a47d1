//! A PostgreSQL server of the tests' own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::child::{free_address, is_running, signal, spawn};
use crate::wait_until;

/// The password of the server's user, which nothing may ever print.
pub const PASSWORD: &str = "hunter2-of-the-tests";

/// A private server on a free port of loopback, with its files in a temporary folder. It is stopped,
/// by its pid, when this is dropped.
///
/// As root it runs as the user `postgres` or `nobody`: the server refuses to be root.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Postgres {
    /// Where the server's programs are; otherwise why there are none.
    pub fn programs() -> Result<PathBuf, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut debian: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
        debian.sort();
        let mut folders = std::env::split_paths(&path).chain(debian.into_iter().rev());
        let found = folders.find(|folder| folder.join("initdb").is_file());
        found.ok_or_else(|| "no PostgreSQL server is installed".into())
    }

    /// Makes a new, empty server and starts it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start() -> Self {
        let programs = Self::programs().unwrap_or_else(|why| panic!("{why}"));
        let (folder, address) = (new_folder(), free_address());
        let mut server = Self { programs, folder, address, child: None };
        server.init();
        server.resume();
        server
    }

    /// The URL of its database, its password included.
    pub fn url(&self) -> String {
        format!("postgres://keygate:{PASSWORD}@{}/postgres", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its database by way of another address, such as a [`Proxy`](crate::Proxy)'s.
    pub fn url_by(&self, address: SocketAddr) -> String {
        self.url().replace(&self.address.to_string(), &address.to_string())
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), at the same address.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn resume(&mut self) {
        wait_until("the server starts", || {
            // It ends at once while what is left of a killed one still lives.
            if !is_running(&mut self.child) {
                self.child = Some(spawn(self.command()));
            }
            self.is_ready()
        });
    }

    /// Stops it in order; connections are cut.
    pub fn stop(&mut self) {
        self.signal("-INT");
        self.wait();
    }

    /// Kills it and all its processes without warning.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.wait();
    }

    /// Stops all its processes where they are: connections stay, and nobody answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn init(&self) {
        std::fs::create_dir_all(&self.folder).expect("the temporary folder can be written");
        let password = self.folder.join("password");
        std::fs::write(&password, PASSWORD).expect("the folder can be written");
        if let Some(user) = unprivileged() {
            run(Command::new("chown").arg("-R").arg(user).arg(&self.folder));
        }
        let mut initdb = self.program("initdb");
        initdb.args(["-U", "keygate", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]);
        initdb.args(["--no-sync", "--no-instructions", "-D"]).arg(self.data());
        run(initdb.arg("--pwfile").arg(&password));
    }

    fn command(&self) -> Command {
        let mut server = self.program("postgres");
        server.args(["-F", "-c", "max_connections=200", "-h", "127.0.0.1", "-p"]);
        server.arg(self.address.port().to_string()).arg("-D").arg(self.data());
        let log = std::fs::File::create(self.folder.join("log")).expect("a log can be written");
        server.arg("-k").arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        server
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A server that was killed leaves its log: it is one of a living server that counts.
    fn is_ready(&mut self) -> bool {
        is_running(&mut self.child) && self.log().contains("ready to accept connections")
    }

    /// A program of the server, run by somebody who may, and ended with the test.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let Some(user) = unprivileged() else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).current_dir("/");
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// To the server first, so that it makes no new processes, then to those it has.
    fn signal(&self, name: &str) {
        let Some(child) = &self.child else { return };
        let pid = child.id().to_string();
        signal(name, [&pid]);
        if name != "-INT" {
            let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid]).output();
            let children = children.map(|output| output.stdout).unwrap_or_default();
            signal(name, String::from_utf8_lossy(&children).split_whitespace());
        }
    }

    fn wait(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal("-CONT");
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Who runs the server when we are root.
fn unprivileged() -> Option<&'static str> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if id(&["-u"]).as_deref() != Some("0") {
        return None;
    }
    Some(if id(&["-u", "postgres"]).is_some() { "postgres" } else { "nobody" })
}

fn new_folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    Path::new("/tmp").join(format!("keygate-postgres-{}-{n}", std::process::id()))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
