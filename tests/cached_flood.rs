//! A flood of keys that nobody issued. Alone in its process, whose memory it watches.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use keygate::store::{Cached, KeyStore, StoreError};
use keygate::{KeyDigest, KeyRecord};

/// Knows nothing, and counts who asks.
#[derive(Default)]
struct Empty(AtomicUsize);

#[async_trait]
impl KeyStore for Empty {
    async fn find(&self, _: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A digest that nobody could have guessed, cheaply.
fn random(number: u64) -> KeyDigest {
    let mut bytes = [0; 32];
    for (at, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        let mixed =
            (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(at as u32 * 16 + 5);
        chunk.copy_from_slice(&mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93).to_le_bytes());
    }
    KeyDigest::from_bytes(bytes)
}

/// One query for each new key, and none for one that was asked for lately; memory within its bound.
#[test]
fn a_million_random_keys_make_a_million_queries_and_no_growth() {
    let store = Cached::new(Empty::default()).unknown_capacity(10_000);
    let before = resident();
    let flood = async {
        for number in 0..1_000_000 {
            let digest = random(number);
            for _ in 0..2 {
                let found = match store.peek(&digest) {
                    Some(found) => found,
                    None => store.find(&digest).await,
                };
                assert!(found.unwrap().is_none());
            }
        }
    };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(flood);
    assert_eq!(store.store().0.load(Ordering::Relaxed), 1_000_000);
    let stats = store.stats();
    assert_eq!((stats.known, stats.unknown), (0, 10_000));
    assert_eq!((stats.misses, stats.unknown_hits), (1_000_000, 1_000_000));
    assert_eq!(stats.evictions, 990_000);
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
}
