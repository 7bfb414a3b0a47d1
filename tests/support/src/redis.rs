//! A Redis server of the tests' own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::child::{free_address, is_running, signal, spawn};
use crate::{PATIENCE, wait_until};

/// A private server on a free port of loopback, in a temporary folder, that keeps nothing on disk. It
/// is stopped, by its pid, when this is dropped.
pub struct Redis {
    folder: PathBuf,
    address: SocketAddr,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    /// Where the server's program is; otherwise why there is none.
    pub fn program() -> Result<PathBuf, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut found = std::env::split_paths(&path).map(|folder| folder.join("redis-server"));
        found.find(|program| program.is_file()).ok_or_else(|| "no Redis server is installed".into())
    }

    /// Starts a new, empty server.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, as a cluster of one node that has all slots.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_cluster() -> Self {
        let server = Self::start_with(&["--cluster-enabled", "yes"]);
        server.tell("CLUSTER ADDSLOTSRANGE 0 16383");
        let is_ok = || server.tell("CLUSTER INFO").contains("cluster_state:ok");
        wait_until("the cluster forms", is_ok);
        server
    }

    fn start_with(arguments: &[&str]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new("/tmp").join(format!("keygate-redis-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let arguments = arguments.iter().map(|&argument| argument.into()).collect();
        let mut server = Self { folder, address: free_address(), arguments, child: None };
        server.resume();
        server
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends one command and gives what is answered.
    ///
    /// # Panics
    ///
    /// When the server can't be reached.
    pub fn tell(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("the server reads");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut answer = vec![0; 65_536];
        let length = stream.read(&mut answer).expect("the server answers");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Starts it again, empty, after [`kill`](Self::kill), at the same address.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn resume(&mut self) {
        wait_until("the server starts", || {
            // It ends at once where somebody else has taken its port meanwhile.
            if !is_running(&mut self.child) {
                self.child = Some(spawn(self.command()));
            }
            TcpStream::connect(self.address).is_ok()
        });
    }

    /// The server, to be ended with the test, also when that is killed.
    fn command(&self) -> Command {
        let program = Self::program().unwrap_or_else(|why| panic!("{why}"));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command.args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"]);
        command.arg(&self.folder).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it where it is: connections stay, and nobody answers.
    pub fn freeze(&self) {
        signal("-STOP", self.pid());
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signal("-CONT", self.pid());
    }

    fn pid(&self) -> Option<String> {
        self.child.as_ref().map(|child| child.id().to_string())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.thaw();
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
