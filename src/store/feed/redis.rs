//! A feed over a channel of a Redis server.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisError, Value,
};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{self, Connection};
use super::{Backoff, Feed, Heard, Invalidation};
use crate::ConfigError;
use crate::store::StoreError;

const CHANNEL: &str = "keygate:changes";
const MAX_CHANNEL: usize = 256;
const BEAT: Duration = Duration::from_secs(1);
/// What is not answered in this time is a broken connection.
const SILENCE: Duration = Duration::from_secs(5);

/// Tells what other nodes have changed, over a channel of a Redis server (6 or newer, or Valkey).
///
/// Redis carries the messages; it does not make them. Whoever changes a store has to tell of it:
/// [`announce`](Self::announce) does so for a [`Cached`](crate::store::Cached) store,
/// [`publish`](Self::publish) for whatever else writes to the database.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keygate::AuthLayer;
/// use keygate::store::feed::{LocalFeed, RedisFeed};
/// use keygate::store::{Cached, PostgresStore};
///
/// let database = PostgresStore::connect("postgres://keygate@localhost/keys").await?;
/// let (feed, changes) = (RedisFeed::new("redis://localhost/")?, LocalFeed::new());
/// let store = Cached::new(database).announce_to(changes.clone());
/// tokio::spawn(feed.announce(changes.subscribe()));
/// tokio::spawn(store.follow(feed));
/// let gate = AuthLayer::new(store);
/// # Ok(())
/// # }
/// ```
///
/// # What is a sign of life
///
/// Once a second the feed asks the server for a sign of life, on the connection by which it listens.
/// The server answers in order, so whatever was published before was told before. An answer that does
/// not come within 5 s is a broken connection. A change is published after it was made: in between,
/// the feed is alive and does not know of it yet. While the channel can't be published to, that is
/// until it can, or until an entry of the cache is [too old](crate::store::Cached::fresh_for).
///
/// In a cluster, or behind a proxy that spreads commands, a sign of life of one server says nothing
/// of the others: let all nodes use the same one.
pub struct RedisFeed {
    client: Client,
    channel: String,
    beat: Duration,
    connection: Connection<Line>,
}

impl RedisFeed {
    /// A feed over the channel `keygate:changes` of the server at `url`. It connects when it is first
    /// asked.
    ///
    /// # Errors
    ///
    /// When the URL can't be read. No error holds it.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let client = client(url)
            .map_err(|_| ConfigError::unusable("Redis URL", "not a URL of a Redis server"))?;
        let connection = connection(&client, CHANNEL, BEAT);
        Ok(Self { client, channel: CHANNEL.to_owned(), beat: BEAT, connection })
    }

    /// Another channel. Services that share a server but no keys need different ones.
    ///
    /// # Errors
    ///
    /// Unless it is 1 to 256 printable ASCII characters.
    pub fn channel(mut self, name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        let is_plain = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !(1..=MAX_CHANNEL).contains(&name.len()) || !is_plain {
            let reason = "not 1 to 256 printable ASCII characters";
            return Err(ConfigError::invalid("channel in Redis", name, reason));
        }
        self.connection = connection(&self.client, &name, self.beat);
        self.channel = name;
        Ok(self)
    }

    /// How long after a sign of life it asks for the next one: a second by default, at least 10 ms.
    /// A lease needs several.
    #[must_use]
    pub fn beat_every(mut self, beat: Duration) -> Self {
        self.beat = beat.max(Duration::from_millis(10));
        self.connection = connection(&self.client, &self.channel, self.beat);
        self
    }

    /// Tells all who follow the channel, once, of a change that can be read from the store.
    ///
    /// # Errors
    ///
    /// [Unavailable](StoreError::is_unavailable) when the server does not say within 5 s that it has
    /// passed it on. It may have, and does no harm when it is told again.
    pub async fn publish(&self, what: &Invalidation) -> Result<(), StoreError> {
        Publisher::new(self).publish(what).await
    }

    /// Tells all who follow the channel what `changes` tells, until that ends: give the future to
    /// your runtime. What can't be published is tried again; after that everything is said to have
    /// changed, since nobody knows what else was missed.
    pub fn announce<F: Feed>(&self, changes: F) -> impl Future<Output = ()> + Send + use<F> {
        let mut publisher = Publisher::new(self);
        let mut changes = changes;
        async move {
            loop {
                let what = match changes.next().await {
                    Ok(Heard::Changed(what)) => what,
                    Ok(Heard::Alive { .. }) => continue,
                    Ok(Heard::Ended) => return,
                    Err(_) => Invalidation::Everything,
                };
                publisher.insist(what).await;
            }
        }
    }
}

#[async_trait]
impl Feed for RedisFeed {
    async fn next(&mut self) -> Result<Heard, StoreError> {
        self.connection.next().await
    }
}

/// With RESP3, in which a connection that listens may ask, too.
fn client(url: &str) -> Result<Client, RedisError> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

fn connection(client: &Client, channel: &str, beat: Duration) -> Connection<Line> {
    let (client, channel) = (client.clone(), channel.to_owned());
    Connection::new(move || Line::dial(client.clone(), channel.clone(), beat))
}

fn config() -> AsyncConnectionConfig {
    // The time is kept here, where it depends on what is asked.
    AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(SILENCE))
}

/// A connection that listens.
struct Line {
    connection: MultiplexedConnection,
    messages: UnboundedReceiver<PushInfo>,
    beat: Duration,
    sign: Sign,
}

/// The next sign of life.
enum Sign {
    Due(Instant),
    Asked(Instant, Pin<Box<dyn Future<Output = Result<(), RedisError>> + Send>>),
    /// It has come; what came before it is told first.
    Come(Instant),
}

impl Line {
    async fn dial(client: Client, channel: String, beat: Duration) -> Result<Self, StoreError> {
        let line = timeout(SILENCE, Self::connect(&client, &channel, beat)).await;
        line.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)
    }

    async fn connect(client: &Client, channel: &str, beat: Duration) -> Result<Self, RedisError> {
        let (send, messages) = unbounded_channel();
        let config = config().set_push_sender(send);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(channel).await?;
        Ok(Self { connection, messages, beat, sign: Sign::Due(Instant::now()) })
    }
}

impl connection::Line for Line {
    async fn next(&mut self) -> Result<Heard, StoreError> {
        loop {
            let message = match self.sign {
                Sign::Come(asked) => match self.messages.try_recv() {
                    Err(TryRecvError::Empty) => {
                        self.sign = Sign::Due(Instant::now() + self.beat);
                        return Ok(Heard::Alive { age: asked.elapsed() });
                    }
                    message => message.ok(),
                },
                _ => tokio::select! {
                    message = self.messages.recv() => message,
                    step = self.sign.step(&self.connection) => {
                        step?;
                        continue;
                    }
                },
            };
            if let Some(heard) = read(message)? {
                return Ok(heard);
            }
        }
    }
}

impl Sign {
    /// One step towards the next sign of life.
    async fn step(&mut self, connection: &MultiplexedConnection) -> Result<(), StoreError> {
        let next = match self {
            Self::Due(at) => {
                sleep_until(*at).await;
                let mut connection = connection.clone();
                let ping = async move { redis::cmd("PING").exec_async(&mut connection).await };
                Self::Asked(Instant::now(), Box::pin(ping))
            }
            Self::Asked(at, answer) => {
                let at = *at;
                let answered = timeout((at + SILENCE).duration_since(Instant::now()), answer).await;
                answered.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)?;
                Self::Come(at)
            }
            Self::Come(_) => return Ok(()),
        };
        *self = next;
        Ok(())
    }
}

/// A message of the channel; `None` for what is none.
fn read(message: Option<PushInfo>) -> Result<Option<Heard>, StoreError> {
    let Some(PushInfo { kind, data }) = message else {
        return Err(StoreError::unavailable("the connection has ended"));
    };
    match (kind, data.as_slice()) {
        (PushKind::Disconnection, _) => Err(StoreError::unavailable("the connection broke")),
        (PushKind::Message, [_, Value::BulkString(text)]) => Ok(Some(Heard::Changed(parse(text)))),
        // It listens to nothing else; whatever this says may be a change.
        (PushKind::Message, _) => Ok(Some(Heard::Changed(Invalidation::Everything))),
        _ => Ok(None),
    }
}

fn parse(text: &[u8]) -> Invalidation {
    std::str::from_utf8(text).map_or(Invalidation::Everything, Invalidation::read)
}

/// A connection that publishes, made when it is needed.
struct Publisher {
    client: Client,
    channel: String,
    connection: Option<MultiplexedConnection>,
}

impl Publisher {
    fn new(feed: &RedisFeed) -> Self {
        Self { client: feed.client.clone(), channel: feed.channel.clone(), connection: None }
    }

    async fn publish(&mut self, what: &Invalidation) -> Result<(), StoreError> {
        let text = serde_json::to_string(what).map_err(StoreError::other)?;
        let told = timeout(SILENCE, self.send(&text)).await;
        let told = told.map_err(StoreError::unavailable);
        let told = told.and_then(|told| told.map_err(StoreError::unavailable));
        if told.is_err() {
            self.connection = None;
        }
        told
    }

    async fn send(&mut self, text: &str) -> Result<(), RedisError> {
        let mut connection = match &self.connection {
            Some(connection) => connection.clone(),
            None => self.client.get_multiplexed_async_connection_with_config(&config()).await?,
        };
        self.connection = Some(connection.clone());
        redis::cmd("PUBLISH").arg(&self.channel).arg(text).exec_async(&mut connection).await
    }

    /// Publishes, however long that takes.
    async fn insist(&mut self, mut what: Invalidation) {
        let mut backoff = Backoff::default();
        while self.publish(&what).await.is_err() {
            what = Invalidation::Everything;
            sleep(backoff.wait()).await;
        }
    }
}

impl fmt::Debug for RedisFeed {
    /// Where the server is stays out of it, and so does the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_listening = self.connection.is_listening();
        let mut shown = f.debug_struct("RedisFeed");
        shown.field("channel", &self.channel).field("is_listening", &is_listening);
        shown.finish_non_exhaustive()
    }
}
