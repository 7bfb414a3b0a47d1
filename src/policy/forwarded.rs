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
/// A comma within a quoted string ends the element here: such an element has no address that could
/// be read, so that the walk stops.
pub(super) fn element(text: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in text.split(';') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    address(unquoted(found?)?)
}

fn unquoted(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\'])),
        None => Some(value),
    }
}
