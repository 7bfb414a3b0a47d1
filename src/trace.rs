//! One event for each refusal: why, who, from where. Never a secret.

use std::error::Error;
use std::net::IpAddr;

use tracing::{error, info};

use crate::{Principal, Rejection, RejectionKind};

pub(crate) const ON: bool = true;

/// `shown` is the display prefix of a key that is not known. Outages are errors, all else is what
/// clients do.
pub(crate) fn refused(
    rejection: &Rejection,
    principal: Option<&Principal>,
    shown: Option<&str>,
    address: impl FnOnce() -> Option<IpAddr>,
) {
    let kind = rejection.kind().code();
    let subject = principal.map(Principal::subject).map(tracing::field::debug);
    let tenant = principal.and_then(Principal::tenant_id).map(tracing::field::debug);
    let address = address().map(tracing::field::display);
    if rejection.kind() == RejectionKind::Unavailable {
        let cause = tracing::field::debug(causes(rejection));
        error!(
            target: "keygate", kind, subject, key = shown, tenant, address, cause, "request refused"
        );
    } else {
        info!(target: "keygate", kind, subject, key = shown, tenant, address, "request refused");
    }
}

fn causes(rejection: &Rejection) -> String {
    let mut texts = Vec::new();
    let mut next = rejection.source();
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts.join(": ")
}
