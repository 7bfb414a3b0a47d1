//! One event for each refusal: why, who, from where; and for a feed that fails. Never a secret.

use std::error::Error;
use std::net::IpAddr;

use tracing::field::{debug, display};
use tracing::{error, info, warn};

use crate::store::StoreError;
use crate::{Principal, Rejection, RejectionKind};

/// Who was refused, as far as it is known.
pub(crate) struct Who {
    principal: Option<Principal>,
    /// The display prefix of a key that no record was found for.
    shown: Option<String>,
    address: Option<IpAddr>,
}

impl Who {
    pub(crate) fn is(
        principal: Option<&Principal>,
        address: impl FnOnce() -> Option<IpAddr>,
    ) -> Self {
        Self { principal: principal.cloned(), shown: None, address: address() }
    }

    pub(crate) fn showing(self, shown: impl FnOnce() -> Option<String>) -> Self {
        Self { shown: shown(), ..self }
    }

    /// Outages are errors, all else is what clients do.
    pub(crate) fn was_refused(&self, rejection: &Rejection) {
        let kind = rejection.kind().code();
        let subject = self.principal.as_ref().map(|principal| debug(principal.subject()));
        let tenant = self.principal.as_ref().and_then(Principal::tenant_id).map(debug);
        let key = self.shown.as_deref();
        let address = self.address.map(display);
        if rejection.kind() == RejectionKind::Unavailable {
            let cause = causes(rejection);
            error!(target: "keygate", kind, subject, tenant, key, address, cause, "request refused");
        } else {
            info!(target: "keygate", kind, subject, tenant, key, address, "request refused");
        }
    }
}

/// A feed of changes failed; memory is not trusted until it is heard again.
pub(crate) fn feed_failed(error: &StoreError) {
    warn!(target: "keygate", cause = causes(error), "feed failed");
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
