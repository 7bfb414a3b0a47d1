//! Clauses of [`UsageStore`].

use std::sync::Arc;
use std::time::Duration;

use super::sample::{NOW, at_once, must};
use crate::store::{Month, Usage, UsageStore, Use};
use crate::{KeyId, Timestamp};

fn used(key: &str, endpoint: &str, at: Timestamp, count: u64) -> Use {
    let mut used = Use::new(KeyId::from(key), endpoint, at);
    used.count = count;
    used
}

async fn usage(store: &impl UsageStore, key: &str, at: Timestamp) -> Usage {
    must(store.usage(&KeyId::from(key), Month::of(at)).await)
}

/// Nothing is an answer, not an error.
pub async fn a_key_that_was_not_used_has_no_usage(store: impl UsageStore) {
    assert_eq!(usage(&store, "k1", NOW).await, Usage::default());
    must(store.add_uses(&[used("k2", "GET /a", NOW, 1)]).await);
    assert_eq!(usage(&store, "k1", NOW).await, Usage::default());
}

/// Counts add up, within a batch and over batches.
pub async fn uses_are_summed_by_key_month_and_endpoint(store: impl UsageStore) {
    let batch = [
        used("k1", "GET /a", NOW, 1),
        used("k1", "GET /b", NOW, 2),
        used("k1", "GET /a", NOW, 4),
        used("k2", "GET /a", NOW, 8),
    ];
    must(store.add_uses(&batch).await);
    must(store.add_uses(&batch[..1]).await);
    let first = usage(&store, "k1", NOW).await;
    assert_eq!((first.total, first.by_endpoint.len()), (8, 2));
    assert_eq!((first.by_endpoint["GET /a"], first.by_endpoint["GET /b"]), (6, 2));
    assert_eq!(usage(&store, "k2", NOW).await.total, 8);
}

/// A use counts for the month in which it lies, in UTC; the last use is that of any month.
pub async fn months_are_told_apart_to_the_nanosecond(store: impl UsageStore) {
    let february = Timestamp::from_secs(1_801_440_000); // 2027-02-01T00:00:00Z
    let january = february.saturating_sub(Duration::from_nanos(1));
    must(store.add_uses(&[used("k1", "a", january, 1), used("k1", "a", february, 2)]).await);
    for (at, total) in [(january, 1), (february, 2)] {
        let usage = usage(&store, "k1", at).await;
        assert_eq!((usage.total, usage.last_used), (total, Some(february)));
    }
    let december = january.saturating_sub(Duration::from_secs(31 * 86_400));
    let usage = usage(&store, "k1", december).await;
    assert_eq!((usage.total, usage.last_used), (0, Some(february)));
}

/// A use that is told late counts, and changes nothing of the last one.
pub async fn the_last_use_only_moves_forward(store: impl UsageStore) {
    let nano = Duration::from_nanos(1);
    let (before, after) = (NOW.saturating_sub(nano), NOW.saturating_add(nano));
    for (at, expected) in [(NOW, NOW), (before, NOW), (after, after), (NOW, after)] {
        must(store.add_uses(&[used("k1", "a", at, 1)]).await);
        assert_eq!(usage(&store, "k1", NOW).await.last_used, Some(expected));
    }
    must(store.add_uses(&[used("k2", "a", after, 1), used("k2", "a", before, 1)]).await);
    assert_eq!(usage(&store, "k2", NOW).await.last_used, Some(after), "within a batch too");
    assert_eq!(usage(&store, "k1", NOW).await.total, 4);
}

/// An empty batch is none.
pub async fn a_batch_without_uses_changes_nothing(store: impl UsageStore) {
    must(store.add_uses(&[]).await);
    assert_eq!(usage(&store, "k1", NOW).await, Usage::default());
}

/// A count that is too large for the store stays at its largest.
pub async fn counts_never_wrap(store: impl UsageStore) {
    for _ in 0..2 {
        let batch = [used("k1", "a", NOW, u64::MAX), used("k1", "b", NOW, u64::MAX)];
        must(store.add_uses(&batch).await);
    }
    let usage = usage(&store, "k1", NOW).await;
    let largest = u64::MAX >> 1;
    assert!(usage.by_endpoint["a"] >= largest && usage.total >= largest, "{usage:?}");
}

/// Batches at once, of the same keys in any order, are all counted.
pub async fn concurrent_batches_lose_nothing(store: impl UsageStore) {
    const TASKS: usize = 8;
    const BATCHES: usize = 5;
    let store = Arc::new(store);
    let add = |store: Arc<_>, task: usize| async move {
        let mut batch: Vec<_> = (0..5).map(|n| used(&format!("k{n}"), "a", NOW, 1)).collect();
        batch.rotate_left(task % 5);
        for _ in 0..BATCHES {
            must(UsageStore::add_uses(&*store, &batch).await);
        }
    };
    at_once(&store, TASKS, add).await;
    for n in 0..5 {
        assert_eq!(usage(&*store, &format!("k{n}"), NOW).await.total, (TASKS * BATCHES) as u64);
    }
}
