//! One event for each refusal: why, who, from where; for a feed that fails; for keys that can't
//! be fetched or used. Never a secret.

use std::error::Error;
use std::net::IpAddr;

use tracing::field::{debug, display};
use tracing::{Level, enabled, error, info, warn};

use crate::jwt::SkippedKey;
use crate::jwt::remote::RemoteError;
use crate::store::StoreError;
use crate::{Principal, RefusalSampling, Rejection, RejectionKind, Timestamp};

/// Who was refused, as far as it is known.
pub(crate) struct Who {
    principal: Option<Principal>,
    /// The display prefix of the key presented.
    shown: Option<String>,
    address: Option<IpAddr>,
}

impl Who {
    pub(crate) const fn nobody() -> Self {
        Self { principal: None, shown: None, address: None }
    }

    pub(crate) fn is(
        principal: Option<&Principal>,
        address: impl FnOnce() -> Option<IpAddr>,
    ) -> Self {
        Self { principal: principal.cloned(), shown: None, address: address() }
    }

    pub(crate) fn showing(self, shown: impl FnOnce() -> Option<String>) -> Self {
        // Refusals that nobody reads of cost no copy.
        let is_read = enabled!(target: "keygate", Level::INFO);
        Self { shown: is_read.then(shown).flatten(), ..self }
    }

    /// Outages are errors, all else is what clients do.
    pub(crate) fn was_refused(&self, rejection: &Rejection, log: &RefusalSampling, now: Timestamp) {
        let Some(left_out) = self.sample(rejection, log, now) else { return };
        let left_out = Some(left_out).filter(|count| *count > 0);
        let kind = rejection.kind().code();
        let subject = self.principal.as_ref().map(|principal| debug(principal.subject()));
        let tenant = self.principal.as_ref().and_then(Principal::tenant_id).map(debug);
        let key = self.shown.as_deref();
        let address = self.address.map(display);
        if rejection.kind() == RejectionKind::Unavailable {
            let cause = debug(causes(rejection));
            error!(target: "keygate", kind, subject, tenant, key, address, left_out, cause, "request refused");
        } else {
            info!(target: "keygate", kind, subject, tenant, key, address, left_out, "request refused");
        }
    }

    fn sample(&self, why: &Rejection, log: &RefusalSampling, now: Timestamp) -> Option<u64> {
        if why.kind() == RejectionKind::Unavailable {
            return log.admit_outage(now);
        }
        log.admit(self.principal.as_ref().and_then(Principal::tenant_id), self.address, now)
    }
}

/// A feed of changes failed; memory is not trusted until it is heard again.
pub(crate) fn feed_failed(error: &StoreError) {
    warn!(target: "keygate", cause = causes(error), "feed failed");
}

/// The keys of an issuer could not be fetched. How often is bounded by the pauses between fetches.
pub(crate) fn keys_not_fetched(error: &RemoteError) {
    warn!(target: "keygate", %error, cause = causes(error), "keys not fetched");
}

/// Keys of a set that has changed are not used. What the issuer wrote is escaped.
pub(crate) fn keys_skipped(keys: &[SkippedKey]) {
    for key in keys {
        warn!(target: "keygate", kid = key.kid().map(debug), reason = key.reason(), "key skipped");
    }
}

fn causes(error: &dyn Error) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts.join(": ")
}
