//! What a limit may look at.

use std::fmt;
use std::net::IpAddr;

use crate::policy::ClientAddress;
use crate::{Head, Principal};

/// A request whose caller is proved: what a [`Limit`](super::Limit) counts by and weighs.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    principal: &'a Principal,
    head: &'a Head<'a>,
    address: &'a ClientAddress,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(
        principal: &'a Principal,
        head: &'a Head<'a>,
        address: &'a ClientAddress,
    ) -> Self {
        Self { principal, head, address }
    }

    /// Who is calling.
    pub fn principal(&self) -> &'a Principal {
        self.principal
    }

    /// The head of the request. What it says is the caller's own choice: an identity taken from it
    /// can be changed at will.
    pub fn head(&self) -> Head<'a> {
        *self.head
    }

    /// The client's address, as far as the gate knows and trusts it.
    pub fn address(&self) -> Option<IpAddr> {
        self.address.of(*self.head)
    }
}

impl fmt::Debug for Caller<'_> {
    /// Without the head, which holds the credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("principal", &self.principal)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
