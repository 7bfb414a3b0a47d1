//! Reads `X-Forwarded-For` and `Forwarded` (RFC 7239 section 4).

use std::net::{IpAddr, SocketAddr};

/// The elements of a line from right to left; one `None` for a line that is no text.
pub(super) fn elements(line: &[u8]) -> impl Iterator<Item = Option<&str>> {
    let text = std::str::from_utf8(line).ok();
    let broken = text.is_none().then_some(None);
    broken.into_iter().chain(text.into_iter().flat_map(|text| text.rsplit(',').map(Some)))
}

/// An address as proxies write it: bare, with a port, in brackets, with a zone.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let address = match text.parse::<SocketAddr>() {
        Ok(socket) => socket.ip(),
        Err(_) => bare(text).parse().ok()?,
    };
    Some(address.to_canonical())
}

fn bare(text: &str) -> &str {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.split_once('%').map_or(text, |(address, _zone)| address)
}

/// The `for` of one element of `Forwarded`: `for="[2001:db8::1]:4711";proto=https`.
///
/// A comma or semicolon within a quoted string cuts it here, and half a quoted string makes the whole
/// element unreadable, so that the walk stops: a proxy may quote what a client wrote, such as
/// `host="x,for=192.0.2.1;y="`, and no part of that is an address.
pub(super) fn element(text: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in text.split(';') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        let value = unquoted(value)?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    address(found?)
}

fn unquoted(value: &str) -> Option<&str> {
    let inner = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!inner.contains(['"', '\\'])).then_some(inner)
}
