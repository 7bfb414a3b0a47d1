//! The JOSE header: what it may say, and what of it is believed.
//!
//! `jwk`, `jku`, `x5u` and `x5c` are never looked at: a token doesn't choose the keys that judge it.

use super::algorithm::Algorithm;
use super::error::{JwtError, JwtErrorKind};
use super::json::Object;

/// Members that a header may have.
const MAX_MEMBERS: usize = 64;

/// Bytes that a `kid` may have.
pub(crate) const MAX_KID: usize = 256;

/// Members whose mere presence changes how a token must be read, in ways that this crate doesn't.
const REFUSED: [(&str, &str); 4] = [
    ("crit", "crit: no extension is understood (RFC 7515 section 4.1.11)"),
    ("b64", "b64: not for JWTs (RFC 7797 section 7)"),
    ("zip", "zip: compression belongs to JWE"),
    ("enc", "enc: an encrypted token where a signed one is expected"),
];

/// A header that broke no rule.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    object: Object<'a>,
    algorithm: Algorithm,
}

impl<'a> Header<'a> {
    pub(crate) fn parse(json: &'a [u8]) -> Result<Self, JwtError> {
        let object = parse_object(json)?;
        refuse_extensions(&object)?;
        refuse_nesting(&object)?;
        let algorithm = object
            .text("alg", JwtError::malformed("alg is not text"))?
            .and_then(Algorithm::named)
            .ok_or(JwtError::new(JwtErrorKind::Algorithm, "alg is absent or unknown"))?;
        Ok(Self { object, algorithm })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn typ(&self) -> Result<Option<&str>, JwtError> {
        self.object.text("typ", JwtError::malformed("typ is not text"))
    }

    pub(crate) fn kid(&self) -> Result<Option<&str>, JwtError> {
        let kid = self.object.text("kid", JwtError::malformed("kid is not text"))?;
        match kid {
            Some(kid) if kid.len() > MAX_KID => Err(JwtError::malformed("kid is too long")),
            _ => Ok(kid),
        }
    }
}

fn parse_object(json: &[u8]) -> Result<Object<'_>, JwtError> {
    const REASON: &str = "the header is not a JSON object with unique member names";
    let json =
        std::str::from_utf8(json).map_err(|error| JwtError::malformed(REASON).caused_by(error))?;
    let object =
        Object::parse(json).map_err(|error| JwtError::malformed(REASON).caused_by(error))?;
    match object.len() {
        0..=MAX_MEMBERS => Ok(object),
        _ => Err(JwtError::malformed("the header has too many members")),
    }
}

fn refuse_extensions(object: &Object<'_>) -> Result<(), JwtError> {
    match REFUSED.iter().find(|(name, _)| object.get(name).is_some()) {
        Some((_, reason)) => Err(JwtError::malformed(reason)),
        None => Ok(()),
    }
}

fn refuse_nesting(object: &Object<'_>) -> Result<(), JwtError> {
    match object.text("cty", JwtError::malformed("cty is not text"))? {
        Some(cty) if media_type(cty).eq_ignore_ascii_case("jwt") => {
            Err(JwtError::malformed("cty: a JWT within a JWT"))
        }
        _ => Ok(()),
    }
}

/// A `typ` or `cty` without the `application/` that RFC 7515 section 4.1.9 lets issuers omit.
pub(crate) fn media_type(typ: &str) -> &str {
    match typ.split_once('/') {
        Some((kind, rest)) if kind.eq_ignore_ascii_case("application") && !rest.contains('/') => {
            rest
        }
        _ => typ,
    }
}
