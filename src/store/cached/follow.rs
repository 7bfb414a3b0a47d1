//! Listening to a feed.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use super::{Cached, nanos};
use crate::store::KeyStore;
use crate::store::feed::{Feed, Heard};
use crate::trace;

impl<S: KeyStore> Cached<S> {
    /// Takes in what `feed` tells, for as long as the future that this returns is polled: give it to
    /// your runtime.
    ///
    /// From this call on, not from the first poll, memory is trusted only while the feed is heard. A
    /// future that is forgotten or dropped is a feed that is silent. It ends when the feed does, or
    /// when another feed is followed instead.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use keygate::store::feed::LocalFeed;
    /// use keygate::store::{Cached, MemoryStore};
    ///
    /// let store = Cached::new(MemoryStore::new());
    /// let feed = LocalFeed::new();
    /// let following = tokio::spawn(store.follow(feed.subscribe()));
    /// assert!(store.stats().feed_silent_for.is_some(), "not heard yet");
    /// # feed.close();
    /// # following.await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow<F: Feed>(&self, feed: F) -> impl Future<Output = ()> + Send + use<S, F> {
        let number = self.records.adopt_feed(self.now());
        let this = self.clone();
        async move {
            if let Ok(number) = number {
                this.listen(feed, number).await;
            }
        }
    }

    async fn listen(self, mut feed: impl Feed, number: u64) {
        loop {
            let followed = match feed.next().await {
                Ok(Heard::Alive { age }) => self.hear(number, age),
                Ok(Heard::Changed(what)) => self.invalidate(&what).is_ok(),
                Ok(Heard::Ended) => false,
                Err(error) => {
                    trace::feed_failed(&error);
                    let followed = self.records.lose_feed(number);
                    give_way().await;
                    followed
                }
            };
            // After a panic in the cache not all that is told can be taken in any more.
            if !followed {
                self.records.lose_feed(number);
                return;
            }
        }
    }

    fn hear(&self, feed: u64, age: Duration) -> bool {
        let now = self.now();
        let heard = now.saturating_sub(nanos(age));
        let until = heard.saturating_add(nanos(self.settings.lease));
        self.records.hear(feed, heard, until, now).unwrap_or(false)
    }
}

/// Lets others run once: a feed that fails again and again without waiting must not hold a thread.
async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
