//! Headers that were read before: all tokens of a key have the same one, as a rule.

use std::fmt;
use std::sync::OnceLock;

use super::key::JwtKey;

/// An issuer has one header for each key and each kind of token.
const PLACES: usize = 4;

/// Longer ones are read each time.
const LONGEST: usize = 512;

/// The headers of some tokens whose signatures were good, as they are encoded, and the keys that they
/// lead to in one key set.
///
/// Only who has a key can put one in, and none is ever replaced: there is nothing to push out. They
/// are forgotten with the key set.
#[derive(Default)]
pub(crate) struct KnownHeaders([OnceLock<KnownHeader>; PLACES]);

pub(crate) struct KnownHeader {
    encoded: Box<[u8]>,
    typ: Option<Box<str>>,
    pub(crate) key: JwtKey,
}

impl KnownHeaders {
    /// The header that is encoded in exactly these letters.
    #[inline]
    pub(crate) fn find(&self, encoded: &[u8]) -> Option<&KnownHeader> {
        self.0.iter().map_while(OnceLock::get).find(|known| *known.encoded == *encoded)
    }

    /// Remembers a header that broke no rule, where there is room still.
    pub(crate) fn remember(&self, encoded: &[u8], typ: Option<&str>, key: &JwtKey) {
        if encoded.len() > LONGEST {
            return;
        }
        let header =
            || KnownHeader { encoded: encoded.into(), typ: typ.map(Into::into), key: key.clone() };
        // Whoever came first may have had the same header.
        let is_there = |place: &OnceLock<_>| *place.get_or_init(header).encoded == *encoded;
        let _ = self.0.iter().any(is_there);
    }
}

impl KnownHeader {
    pub(crate) fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }
}

/// Nothing that stood in a token is shown.
impl fmt::Debug for KnownHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownHeaders").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::jwt::Algorithm;

    #[test]
    fn a_few_headers_are_known_and_no_other() {
        let key = JwtKey::secret(Algorithm::HS256, "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1").unwrap();
        let headers = KnownHeaders::default();
        assert!(headers.find(b"").is_none());
        let long = "x".repeat(LONGEST + 1);
        for encoded in [&long, "a", "b", "a", "c", "d", "e"] {
            headers.remember(encoded.as_bytes(), Some(encoded), &key);
        }
        for encoded in ["a", "b", "c", "d"] {
            assert_eq!(headers.find(encoded.as_bytes()).unwrap().typ(), Some(encoded));
        }
        assert!(headers.find(b"e").is_none(), "there are four places");
        for encoded in ["", "A", "aa", &long] {
            assert!(headers.find(encoded.as_bytes()).is_none());
        }
    }
}
