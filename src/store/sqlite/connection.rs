//! Connections to one file, kept for the next call.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::error;
use crate::ConfigError;
use crate::store::StoreError;

/// How long a connection waits for a lock that another process holds.
const BUSY: Duration = Duration::from_secs(5);

/// A connection for one call.
pub(super) type Lent = Box<dyn DerefMut<Target = Connection>>;
/// Where connections come from.
pub(super) type Lend = dyn Fn() -> Result<Lent, StoreError> + Send + Sync;

/// A file, and the connections to it that nobody uses now.
pub(super) struct File {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl File {
    pub(super) fn new(path: &Path) -> Result<Self, StoreError> {
        if path.as_os_str().is_empty() || path == Path::new(":memory:") {
            let reason = "not a file; keys in memory are kept by MemoryStore";
            let error = ConfigError::invalid("path of the keys", path.display(), reason);
            return Err(StoreError::other(error));
        }
        Ok(Self { path: path.to_owned(), idle: Arc::default() })
    }

    pub(super) fn lend(&self) -> Result<Lent, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| self.open(), Ok)?;
        Ok(Box::new(Borrowed { connection: Some(connection), idle: Arc::clone(&self.idle) }))
    }

    /// A path is only ever a path: no URI, which could name a database in memory.
    fn open(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(error::store)?;
        set_up(&connection).map_err(error::store)?;
        Ok(connection)
    }
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    set_wal(connection)?;
    // A commit is on the disk when it returns, also when the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// SQLite changes the journal mode without waiting for others, whatever the busy timeout: when many
/// processes open a new file at once, all but one have to ask again.
fn set_wal(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + BUSY;
    loop {
        let set = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
        let failure = set.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
        if !failure.is_some_and(error::is_outage) || Instant::now() >= end {
            return set;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A connection that comes back when its call is over.
struct Borrowed {
    /// `None` only while it is dropped.
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Deref for Borrowed {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("a connection is there until it is dropped"),
        }
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Connection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("a connection is there until it is dropped"),
        }
    }
}

impl Drop for Borrowed {
    /// One with a transaction that could not be rolled back is closed instead.
    fn drop(&mut self) {
        let connection = self.connection.take().filter(Connection::is_autocommit);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(connection);
    }
}
