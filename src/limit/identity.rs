//! Who shares a counter.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest as _, Sha256};

/// Never part of UTF-8, so it parts an issuer from a subject without doubt.
pub(super) const SEPARATOR: u8 = 0xFF;

/// What is longer is kept as its digest. Clients have a say in their identities, up to the size of a
/// header, and what is bounded in entries must be bounded in bytes.
const MAX_TEXT: usize = 64;

/// Whose counter it is, borrowed from the request. Identities of different kinds never meet, even
/// with equal text.
#[derive(Clone, Debug)]
pub(crate) enum Identity<'a> {
    Tenant(&'a str),
    Key(&'a str),
    /// A subject is only unique within its issuer (RFC 7519 section 4.1.2).
    Subject {
        issuer: &'a str,
        subject: &'a str,
    },
    Network(Octets),
    /// All callers whose address is not known share one.
    Nowhere,
    Text(Cow<'a, str>),
    /// One of the others, of the kind with this letter in lower case, whose text is too long.
    Digest(Digested),
}

#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
pub(crate) struct Digested {
    digest: [u8; 32],
    kind: u8,
}

/// Bytes in words: an identity is handed on by words, and what is written by bytes and read by words
/// takes the processor a detour.
#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
pub(crate) struct Octets([u8; 16]);

impl Identity<'_> {
    /// The network of `address`: an IPv4 address alone, an IPv6 address with all of its `prefix`.
    pub(crate) fn network(address: Option<IpAddr>, prefix: u8) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Nowhere,
            Some(IpAddr::V4(v4)) => Self::Network(Octets(v4.to_ipv6_mapped().octets())),
            Some(IpAddr::V6(v6)) => Self::Network(Octets(masked(v6, prefix))),
        }
    }

    /// What stands for it where it is too long to be kept; `None` where it is not.
    #[inline]
    pub(crate) fn digest(&self) -> Option<Identity<'static>> {
        let parts = self.parts();
        (parts.head.len() + parts.tail.len() > MAX_TEXT).then(|| parts.digest())
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        let (kind, head, tail): (u8, &str, &[u8]) = match self {
            Self::Text(text) => return Parts::of_text(text),
            Self::Tenant(tenant) => (b't', "", tenant.as_bytes()),
            Self::Key(key) => (b'k', "", key.as_bytes()),
            Self::Subject { issuer, subject } => (b's', issuer, subject.as_bytes()),
            Self::Network(Octets(octets)) => (b'n', "", octets),
            Self::Nowhere => (b'-', "", &[]),
            Self::Digest(Digested { kind, digest }) => (*kind, "", digest),
        };
        Parts { kind, head: head.as_bytes(), tail }
    }
}

fn masked(address: Ipv6Addr, prefix: u8) -> [u8; 16] {
    let host_bits = 128 - u32::from(prefix.min(128));
    let network = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    (u128::from(address) & network).to_be_bytes()
}

/// An identity in the form in which it is hashed and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(super) kind: u8,
    pub(super) head: &'a [u8],
    pub(super) tail: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Those of a [text](Identity::Text).
    #[inline]
    pub(super) fn of_text(text: &'a str) -> Self {
        Self { kind: b'x', head: &[], tail: text.as_bytes() }
    }

    /// Capitals stand for nothing but digests, so no short text is ever taken for one.
    #[cold]
    fn digest(self) -> Identity<'static> {
        let hasher = Sha256::new().chain_update(self.head).chain_update([SEPARATOR]);
        let digest = hasher.chain_update(self.tail).finalize().into();
        Identity::Digest(Digested { kind: self.kind.to_ascii_uppercase(), digest })
    }
}

impl Hash for Parts<'_> {
    /// The kind comes last: what begins with eight bytes of text is hashed faster, and a keyed hash
    /// costs by the piece. Only subjects have a head.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        if !self.head.is_empty() {
            state.write(self.head);
            state.write_u8(SEPARATOR);
        }
        state.write(self.tail);
        state.write_u8(self.kind);
    }
}

/// An identity that is kept as it is: the whole of it, in one allocation.
#[derive(Debug)]
pub(crate) struct Kept(Box<[u8]>);

impl Kept {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        Self([&[parts.kind], parts.head, &[SEPARATOR], parts.tail].concat().into())
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        let (kind, rest) = self.0.split_first().map_or((0, &[][..]), |(kind, rest)| (*kind, rest));
        let mut halves = rest.splitn(2, |byte| *byte == SEPARATOR);
        let head = halves.next().unwrap_or_default();
        Parts { kind, head, tail: halves.next().unwrap_or_default() }
    }

    /// True when it is that identity.
    #[inline]
    pub(crate) fn is(&self, parts: Parts<'_>) -> bool {
        self.0.len() == parts.head.len() + parts.tail.len() + 2
            && self.0.first() == Some(&parts.kind)
            && self.0.get(parts.head.len() + 1) == Some(&SEPARATOR)
            && self.0.ends_with(parts.tail)
            && self.begins_with(parts.head)
    }

    /// Most heads are empty, and nothing is compared for them: an empty slice may point nowhere,
    /// from where a comparison with AVX-512 takes hundreds of cycles to read no byte.
    #[inline]
    fn begins_with(&self, head: &[u8]) -> bool {
        head.is_empty() || self.0.get(1..=head.len()) == Some(head)
    }
}
