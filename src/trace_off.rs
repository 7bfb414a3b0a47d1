//! Says nothing: the feature `tracing` is off.

use std::net::IpAddr;

use crate::{Principal, Rejection};

pub(crate) const ON: bool = false;

pub(crate) fn refused(
    _: &Rejection,
    _: Option<&Principal>,
    _: Option<&str>,
    _: impl FnOnce() -> Option<IpAddr>,
) {
}
