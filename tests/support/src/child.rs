//! Servers as children of a test.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// Below those that connections get (from 32768 on Linux): no connection takes the port of a server
/// while that is away. A Redis cluster needs the port 10,000 above, too.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// A free port of loopback.
pub(crate) fn free_address() -> SocketAddr {
    let mut ports = std::iter::repeat_with(|| {
        let random = RandomState::new().build_hasher().finish();
        PORTS.start + (random % u64::from(PORTS.end - PORTS.start)) as u16
    });
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut free = ports.by_ref().take(1_000).map(address);
    free.find(|address| TcpListener::bind(address).is_ok()).expect("loopback has a free port")
}

/// Starts a child from a thread that lasts: the signal at a parent's death comes when the parent's
/// *thread* ends, and tests run in threads that do.
pub(crate) fn spawn(mut command: Command) -> Child {
    let name = command.get_program().to_string_lossy().into_owned();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = send.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    let spawned = receive.recv().expect("the thread answers");
    spawned.unwrap_or_else(|error| panic!("{name} does not start: {error}"))
}

/// True for a child that has not ended.
pub(crate) fn is_running(child: &mut Option<Child>) -> bool {
    child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
}

/// Sends a signal, such as `-STOP`, by pid.
pub(crate) fn signal<S: AsRef<str>>(signal: &str, pids: impl IntoIterator<Item = S>) {
    let mut kill = Command::new("kill");
    kill.arg(signal).stderr(Stdio::null());
    for pid in pids {
        kill.arg(pid.as_ref());
    }
    let _ = kill.status();
}
