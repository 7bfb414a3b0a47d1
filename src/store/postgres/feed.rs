//! What has changed, told by LISTEN and NOTIFY.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{NoTls, Socket};

use super::line::{Dialer, Line};
use super::{PostgresStore, read_url};
use crate::store::StoreError;
use crate::store::feed::{Connection, Feed, Heard};

const BEAT: Duration = Duration::from_secs(1);

/// Tells what has changed in a [`PostgresStore`], whoever changed it: this node, another one, an
/// import, an operator with SQL.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keygate::AuthLayer;
/// use keygate::store::{Cached, PostgresFeed, PostgresStore};
///
/// let url = "postgres://keygate@localhost/keys";
/// let database = PostgresStore::connect(url).await?;
/// let feed = PostgresFeed::new(&database, url)?;
/// let store = Cached::new(database);
/// tokio::spawn(store.follow(feed));
/// let gate = AuthLayer::new(store);
/// # Ok(())
/// # }
/// ```
///
/// # How it is told
///
/// Triggers on the tables notify in the transaction that makes a change, so nothing is told that was
/// not made, and nothing made that is not told. The channel is named after the schema of the tables,
/// `keygate_public` for instance; the payload is an [`Invalidation`](crate::store::feed::Invalidation)
/// as JSON. Only what is written with triggers switched off is told to nobody, and so are rows that
/// logical replication brings.
///
/// # What is a sign of life
///
/// The feed has a connection of its own. Once a second it sends a notification to itself: the server
/// delivers notifications in the order of their transactions, so whatever was committed before was
/// delivered before. One that does not come within 5 s is a broken connection; so is one that brings
/// messages more slowly than they are made.
///
/// The first notification on each connection is sent by the store, over the store's connections. So
/// a feed of another database, or one through a pooler that loses notifications, such as PgBouncer
/// in transaction mode, is never alive, and memory is never trusted. Give it the server's own URL,
/// and the pooler's to the store.
///
/// # Failures
///
/// A connection that breaks is an error, and so is each attempt to connect that fails or takes more
/// than 5 s. The next one waits, for longer each time, up to 2 s. Calls need tokio's runtime, with time
/// and I/O enabled.
pub struct PostgresFeed {
    dialer: Arc<Dialer>,
    connection: Connection<Line>,
}

impl PostgresFeed {
    /// A feed of what changes in `store`, over a connection without TLS to the server at `url`. It
    /// connects when it is first asked.
    ///
    /// # Errors
    ///
    /// When the URL can't be read. No error holds it.
    pub fn new(store: &PostgresStore, url: &str) -> Result<Self, StoreError> {
        Self::new_tls(store, url, NoTls)
    }

    /// The same over TLS; see [`PostgresStore::connect_tls`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn new_tls<T>(store: &PostgresStore, url: &str, tls: T) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + Sync,
        T::TlsConnect: Send + Sync,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let dialer = Arc::new(Dialer::new(store.0.database.clone(), read_url(url)?, tls));
        let connection = connection(&dialer, BEAT);
        Ok(Self { dialer, connection })
    }

    /// How long after a sign of life it asks for the next one: a second by default, at least 10 ms.
    /// A lease needs several; each wakes all who listen in this database.
    #[must_use]
    pub fn beat_every(mut self, beat: Duration) -> Self {
        self.connection = connection(&self.dialer, beat.max(Duration::from_millis(10)));
        self
    }
}

fn connection(dialer: &Arc<Dialer>, beat: Duration) -> Connection<Line> {
    let dialer = Arc::clone(dialer);
    Connection::new(move || Arc::clone(&dialer).dial(beat))
}

#[async_trait]
impl Feed for PostgresFeed {
    async fn next(&mut self) -> Result<Heard, StoreError> {
        self.connection.next().await
    }
}

impl fmt::Debug for PostgresFeed {
    /// Where the server is stays out of it, and so does the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_listening = self.connection.is_listening();
        f.debug_struct("PostgresFeed").field("is_listening", &is_listening).finish_non_exhaustive()
    }
}
