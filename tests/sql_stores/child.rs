//! This program as another process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use keygate::store::{Action, AuditEvent, Change, Commit};
use keygate::{KeyDigest, KeyRecord, Tenant, TenantId, Timestamp};

use crate::stores::{Place, Store};
use crate::wait;

const WHAT: &str = "KEYGATE_TEST_CHILD";
const PLACE: &str = "KEYGATE_TEST_PLACE";

pub(crate) fn is_one() -> bool {
    std::env::var_os(WHAT).is_some()
}

/// What a child does: `open` a store and end, be a [`node`](crate::nodes), or `write` until it is
/// killed.
pub(crate) fn run() {
    let place = Place::from_text(&std::env::var(PLACE).unwrap());
    match std::env::var(WHAT).unwrap().as_str() {
        "open" => drop(wait(place.open())),
        "node" => wait(crate::nodes::serve(&place.to_text())),
        writer => wait(write(place, writer)),
    }
}

/// Starts a child.
pub(crate) fn start(what: &str, place: &Place) -> (Child, BufReader<ChildStdout>) {
    let mut child = command(what, place).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

pub(crate) fn command(what: &str, place: &Place) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(WHAT, what).env(PLACE, place.to_text()).stdout(Stdio::piped());
    command
}

/// The id of the writer's key of that number.
pub(crate) fn id(writer: &str, n: usize) -> String {
    format!("{writer}-{n}")
}

/// Makes a key and rotates it, for ever; says the number of each key that the store has accepted.
async fn write(place: Place, writer: &str) {
    let store = place.open().await;
    for n in 0.. {
        rotate(&store, writer, n).await;
        let mut stdout = std::io::stdout().lock();
        // Nobody reads any more: the parent has ended.
        if writeln!(stdout, "{n}").and_then(|()| stdout.flush()).is_err() {
            return;
        }
    }
}

/// A new key, the one before it with this as its successor, and one event: one commit.
async fn rotate(store: &Arc<dyn Store>, writer: &str, n: usize) {
    let key = |n| KeyRecord::new(id(writer, n).as_str(), KeyDigest::of(&id(writer, n)), acme());
    let mut changes = vec![Change::Insert(key(n))];
    if let Some(before) = n.checked_sub(1) {
        let next = id(writer, n).as_str().into();
        changes.push(Change::Replace(key(before).with_successor(next, Timestamp::EPOCH)));
    }
    let at = Timestamp::from_nanos(n as u64);
    let told = AuditEvent::new(at, writer, Action::Rotated, TenantId::from("acme"), None);
    store.commit(Commit::new(changes, vec![told])).await.unwrap();
}

fn acme() -> Tenant {
    Tenant::new("acme")
}

/// The next number that a writer says.
pub(crate) fn next(writer: &mut BufReader<ChildStdout>) -> Option<usize> {
    let mut line = String::new();
    writer.read_line(&mut line).unwrap();
    // A line that a kill has cut tells nothing for sure.
    line.strip_suffix('\n').map(|number| number.parse().unwrap())
}
