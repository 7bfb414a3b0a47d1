//! Which address a request comes from, when only some of those who tell can be believed.
//!
//! The default believes nobody: the client is the socket's peer. Behind proxies, say which networks
//! they are in (or how many there are) and which one header they write. The header is walked from
//! the right, because everything left of the first untrusted entry was written by the client
//! (RFC 7239 section 8.1).
//!
//! ```
//! use std::net::SocketAddr;
//! use axum::extract::ConnectInfo;
//! use keygate::policy::{ClientAddress, ForwardingHeader};
//!
//! let address = ClientAddress::peer_from(|extensions| {
//!     extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
//! })
//! .behind_networks(["10.0.0.0/8".parse()?], ForwardingHeader::XForwardedFor);
//! # let _ = address;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{FORWARDED, HeaderName};
use http::{Extensions, HeaderMap};
use ipnet::{IpNet, Ipv4Net};

use super::forwarded;
use crate::Head;

/// The socket's peer, as whoever accepts connections puts it into a request's extensions.
///
/// With plain hyper: `request.extensions_mut().insert(PeerAddr::new(peer))`. Under axum use
/// [`ClientAddress::peer_from`] and `ConnectInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(IpAddr);

impl PeerAddr {
    /// The peer of a socket.
    pub fn new(peer: SocketAddr) -> Self {
        Self(peer.ip())
    }

    /// Its address.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

/// The one header that the proxies in front write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

type Peer = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

/// How the client's address is found; see the [module](self).
#[derive(Clone)]
pub struct ClientAddress {
    peer: Arc<Peer>,
    believed: Believed,
}

#[derive(Clone, Debug)]
enum Believed {
    Nobody,
    Networks(Arc<[IpNet]>, ForwardingHeader),
    Hops(usize, ForwardingHeader),
}

impl Default for ClientAddress {
    fn default() -> Self {
        Self::peer_from(|extensions| extensions.get::<PeerAddr>().map(|peer| peer.ip()))
    }
}

impl ClientAddress {
    /// The client is the peer that `find` reads from the request's extensions.
    pub fn peer_from(find: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self { peer: Arc::new(find), believed: Believed::Nobody }
    }

    /// Believes peers in `networks`, and everybody there whom they name.
    #[must_use]
    pub fn behind_networks(
        mut self,
        networks: impl IntoIterator<Item = IpNet>,
        header: ForwardingHeader,
    ) -> Self {
        self.believed = Believed::Networks(networks.into_iter().map(canonical).collect(), header);
        self
    }

    /// Believes the last `hops` entries of the header. Safe only where nobody can reach the service
    /// but through all of the proxies: prefer [`behind_networks`](Self::behind_networks).
    #[must_use]
    pub fn behind_hops(mut self, hops: usize, header: ForwardingHeader) -> Self {
        self.believed = Believed::Hops(hops, header);
        self
    }

    /// The client's address; `None` where the peer is not known.
    pub fn of<'r>(&self, request: impl Into<Head<'r>>) -> Option<IpAddr> {
        let request = request.into();
        let peer = (self.peer)(request.extensions)?.to_canonical();
        Some(match &self.believed {
            Believed::Nobody => peer,
            Believed::Networks(networks, header) => {
                let trusted = |at: &IpAddr| networks.iter().any(|network| network.contains(at));
                walk(peer, entries(request.headers, *header), trusted)
            }
            Believed::Hops(hops, header) => {
                let entries = entries(request.headers, *header).take(*hops);
                entries.map_while(|entry| entry).last().unwrap_or(peer)
            }
        })
    }
}

/// A network of IPv4 addresses mapped into IPv6 as what it is: addresses are compared as IPv4.
pub(crate) fn canonical(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let IpNet::V6(wide) = network else { return network };
    let length = wide.prefix_len().checked_sub(MAPPED);
    let mapped = wide.addr().to_ipv4_mapped().zip(length);
    let narrow = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    narrow.map_or(network, IpNet::V4)
}

/// From the peer to the left, as long as who speaks is trusted. An entry that can't be read ends the
/// walk at the hop that wrote it.
fn walk(
    peer: IpAddr,
    entries: impl Iterator<Item = Option<IpAddr>>,
    trusted: impl Fn(&IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer;
    for entry in entries {
        match entry {
            Some(named) if trusted(&client) => client = named,
            _ => break,
        }
    }
    client
}

/// The header's addresses from right to left, over all its lines.
fn entries(
    headers: &HeaderMap,
    header: ForwardingHeader,
) -> impl Iterator<Item = Option<IpAddr>> + '_ {
    const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    let (name, read): (_, fn(&str) -> Option<IpAddr>) = match header {
        ForwardingHeader::XForwardedFor => (X_FORWARDED_FOR, forwarded::address),
        ForwardingHeader::Forwarded => (FORWARDED, forwarded::element),
    };
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line| forwarded::elements(line.as_bytes())).map(move |entry| read(entry?))
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAddress").field("believed", &self.believed).finish_non_exhaustive()
    }
}
