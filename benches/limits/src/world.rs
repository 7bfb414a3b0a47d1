//! Keys, and requests with them in a random order.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{Environment, KeyFormat, KeyRecord, Tenant};

/// A store with so many keys, and their texts one after the other.
pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) identities: usize,
    keys: Bytes,
}

impl World {
    pub(crate) fn new(identities: usize) -> Self {
        let (store, format) = (Arc::new(MemoryStore::new()), KeyFormat::sk());
        let mut keys = Vec::new();
        for number in 0..identities {
            let key = format.generate(Environment::Live).expect("random numbers");
            keys.extend_from_slice(format!("Bearer {}", key.reveal()).as_bytes());
            let (id, tenant) = (format!("key_{number:09}"), Tenant::new("acme"));
            let record = KeyRecord::new(id.as_str(), key.digest(), tenant);
            at_once(store.insert(record)).expect("a new key");
        }
        Self { store, identities, keys: keys.into() }
    }

    /// Texts of one's own: threads must not share a count of references.
    pub(crate) fn requests(&self, seed: u64) -> Requests {
        let head = Request::get("/orders").header(AUTHORIZATION, "").body(()).expect("a head");
        Requests {
            keys: Bytes::copy_from_slice(&self.keys),
            identities: self.identities,
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            head: head.into_parts().0,
        }
    }
}

/// Requests from identities in a random order.
pub(crate) struct Requests {
    keys: Bytes,
    identities: usize,
    state: u64,
    head: Parts,
}

impl Requests {
    #[inline]
    pub(crate) fn next(&mut self) -> &Parts {
        // Marsaglia's xorshift.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let random = u128::from(self.state) * self.identities as u128;
        self.of((random >> 64) as usize)
    }

    pub(crate) fn of(&mut self, identity: usize) -> &Parts {
        let length = self.keys.len() / self.identities;
        let key = self.keys.slice(identity * length..(identity + 1) * length);
        let key = HeaderValue::from_maybe_shared(key).expect("keys are visible ASCII");
        self.head.headers.insert(AUTHORIZATION, key);
        &self.head
    }
}

/// Completes a future that never waits.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("what is measured never waits"),
    }
}
