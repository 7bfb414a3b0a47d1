//! Says nothing: the feature `tracing` is off.

use std::net::IpAddr;

use crate::jwt::SkippedKey;
use crate::jwt::remote::RemoteError;
use crate::store::StoreError;
use crate::{Principal, RefusalSampling, Rejection, Timestamp};

/// Who was refused; nobody asks.
pub(crate) struct Who;

impl Who {
    pub(crate) const fn nobody() -> Self {
        Self
    }

    pub(crate) fn is(_: Option<&Principal>, _: impl FnOnce() -> Option<IpAddr>) -> Self {
        Self
    }

    pub(crate) fn showing(self, _: impl FnOnce() -> Option<String>) -> Self {
        self
    }

    pub(crate) fn was_refused(&self, _: &Rejection, _: &RefusalSampling, _: Timestamp) {}
}

pub(crate) fn feed_failed(_: &StoreError) {}

pub(crate) fn keys_not_fetched(_: &RemoteError) {}

pub(crate) fn keys_skipped(_: &[SkippedKey]) {}
