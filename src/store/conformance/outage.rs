//! Clauses of [`StoreError::is_unavailable`]: a store whose backend is away says so, for each of its
//! methods. `Ok(None)` would tell good clients that their keys are gone.

use std::fmt::Debug;

use super::sample::{acme, key};
use crate::KeyId;
use crate::store::{KeyAdmin, KeyFilter, StoreError};

fn must_be_away<T: Debug>(result: Result<T, StoreError>) {
    match result {
        Ok(answer) => panic!("the backend is away, but the store answers {answer:?}"),
        Err(error) => assert!(error.is_unavailable(), "this is no outage: {error:?}"),
    }
}

/// [`KeyStore::find`](crate::store::KeyStore::find): the gate answers 503, not 401.
pub async fn find_says_that_the_store_is_unavailable(store: impl KeyAdmin) {
    must_be_away(store.find(key("k1").digest()).await);
    must_be_away(store.find_again(key("k1").digest()).await);
}

/// [`KeyAdmin::get`].
pub async fn get_says_that_the_store_is_unavailable(store: impl KeyAdmin) {
    must_be_away(store.get(&acme(), &KeyId::from("k1")).await);
}

/// [`KeyAdmin::list`].
pub async fn list_says_that_the_store_is_unavailable(store: impl KeyAdmin) {
    must_be_away(store.list(&acme(), &KeyFilter::new()).await);
}

/// [`KeyAdmin::commit`].
pub async fn commit_says_that_the_store_is_unavailable(store: impl KeyAdmin) {
    must_be_away(store.insert(key("k1")).await);
    must_be_away(store.delete(&acme(), &KeyId::from("k1")).await);
}

/// [`KeyAdmin::events`].
pub async fn events_says_that_the_store_is_unavailable(store: impl KeyAdmin) {
    must_be_away(store.events(&acme(), 0, 9).await);
}
