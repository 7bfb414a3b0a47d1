//! One connection that listens, from dialing to its end.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Notification, Socket};

use super::{Postgres, error};
use crate::store::StoreError;
use crate::store::feed::{self, Heard, Invalidation};
use crate::store::sql::{Database, Query};
use crate::{Clock, SystemClock};

/// How long a connection may take, and an answer on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name that the triggers of `002_feed.sql` tell on.
const CHANNEL: &str = "SELECT 'keygate_' || CASE WHEN octet_length(nspname) <= 55 THEN nspname \
     ELSE CAST(hashtextextended(nspname, 0) AS TEXT) END \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.oid = to_regclass('keygate_keys')";
const NOTIFY: &str = "SELECT CAST(pg_notify($1, '') AS TEXT)";

type Call<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;
type Connect = dyn Fn() -> Call<(Client, Box<dyn Wire>)> + Send + Sync;

/// Makes connections that listen.
pub(super) struct Dialer {
    store: Postgres,
    connect: Box<Connect>,
}

/// The end of a connection at which messages come out. It does nothing unless it is polled.
trait Wire: Send {
    /// The next notification.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Notification, StoreError>>;
}

/// A connection that listens.
pub(super) struct Line {
    client: Arc<Client>,
    wire: Box<dyn Wire>,
    /// A channel of this connection's own.
    own: String,
    beat: Duration,
    /// When a sign of life was asked for that has not come yet.
    asked: Option<Duration>,
    asking: Option<Call<()>>,
    /// When to ask for the next one, or to give up waiting for this one.
    timer: Pin<Box<Sleep>>,
}

impl Dialer {
    pub(super) fn new<T>(store: Postgres, server: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + Sync,
        T::TlsConnect: Send + Sync,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let connect = move || -> Call<(Client, Box<dyn Wire>)> {
            let (server, tls) = (server.clone(), tls.clone());
            Box::pin(async move {
                let (client, wire) = server.connect(tls).await.map_err(error::store)?;
                Ok((client, Box::new(wire) as Box<dyn Wire>))
            })
        };
        Self { store, connect: Box::new(connect) }
    }

    /// A new connection.
    pub(super) async fn dial(self: Arc<Self>, beat: Duration) -> Result<Line, StoreError> {
        let dialed = timeout(PATIENCE, self.connect(beat)).await;
        dialed.map_err(StoreError::unavailable)?
    }

    async fn connect(&self, beat: Duration) -> Result<Line, StoreError> {
        let channel = self.channel().await?;
        let own = format!("keygate_beat_{:016x}", getrandom::u64().map_err(StoreError::other)?);
        let (client, mut wire) = (self.connect)().await?;
        let listen = format!("LISTEN {}; LISTEN {own}", quoted(&channel));
        carry(&mut *wire, client.batch_execute(&listen)).await?;
        // The store asks first: what it sends must arrive here.
        let (asked, asking) = (now(), self.notify(&own));
        Ok(Line {
            client: Arc::new(client),
            wire,
            own,
            beat,
            asked: Some(asked),
            asking: Some(asking),
            timer: Box::pin(sleep(PATIENCE)),
        })
    }

    async fn channel(&self) -> Result<String, StoreError> {
        let rows = self.store.read(CHANNEL.into(), PATIENCE).await?;
        let found = rows.into_iter().next().map(|mut row| row.text("channel")).transpose()?;
        found.ok_or_else(|| StoreError::other("there are no tables of keygate"))
    }

    fn notify(&self, channel: &str) -> Call<()> {
        let (store, values) = (self.store.clone(), vec![channel.into()]);
        Box::pin(async move { store.read(Query::new(NOTIFY, values), PATIENCE).await.map(drop) })
    }
}

impl feed::Line for Line {
    async fn next(&mut self) -> Result<Heard, StoreError> {
        poll_fn(|cx| self.poll(cx)).await
    }
}

impl Line {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Heard, StoreError>> {
        loop {
            // First, so that a flood of messages does not put it off.
            while self.timer.as_mut().poll(cx).is_ready() {
                self.time_is_up()?;
            }
            if let Some(asking) = &mut self.asking
                && let Poll::Ready(done) = asking.as_mut().poll(cx)
            {
                self.asking = None;
                done?;
            }
            let message = ready!(self.wire.poll(cx))?;
            if let Some(heard) = self.hear(&message) {
                return Poll::Ready(Ok(heard));
            }
        }
    }

    /// It is time to ask, or an answer is late.
    fn time_is_up(&mut self) -> Result<(), StoreError> {
        if self.asked.is_some() {
            return Err(StoreError::unavailable("the server has given no sign of life for 5 s"));
        }
        self.asked = Some(now());
        let (client, notify) = (Arc::clone(&self.client), format!("NOTIFY {}", self.own));
        self.asking =
            Some(Box::pin(
                async move { client.batch_execute(&notify).await.map_err(error::store) },
            ));
        self.wake_in(PATIENCE);
        Ok(())
    }

    fn hear(&mut self, message: &Notification) -> Option<Heard> {
        if message.channel() != self.own {
            return Some(Heard::Changed(Invalidation::read(message.payload())));
        }
        let asked = self.asked.take()?;
        self.wake_in(self.beat);
        Some(Heard::Alive { age: now().saturating_sub(asked) })
    }

    fn wake_in(&mut self, duration: Duration) {
        self.timer.as_mut().reset(Instant::now() + duration);
    }
}

/// The answer to `call`, which comes over `wire`. Notifications that come before it are told to
/// nobody: memory is empty when the connection is first heard.
async fn carry<T>(
    wire: &mut dyn Wire,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StoreError> {
    let mut call = pin!(call);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(done) = call.as_mut().poll(cx) {
                return Poll::Ready(done.map_err(error::store));
            }
            ready!(wire.poll(cx))?;
        }
    })
    .await
}

/// Counts the time in which the machine sleeps, too.
fn now() -> Duration {
    SystemClock::new().monotonic()
}

/// As an identifier of SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for Connection<Socket, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Notification, StoreError>> {
        loop {
            match ready!(self.poll_message(cx)) {
                Some(Ok(AsyncMessage::Notification(message))) => return Poll::Ready(Ok(message)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error::store(error))),
                None => return Poll::Ready(Err(StoreError::unavailable("it was closed"))),
            }
        }
    }
}
