//! The JOSE header: what it may say, and what of it is believed.
//!
//! `jwk`, `jku`, `x5u` and `x5c` are never looked at: a token doesn't choose the keys that judge it.

use super::algorithm::Algorithm;
use super::error::{JwtError, JwtErrorKind};
use super::json::{Name, NoText, Object};

/// Members that a header may have.
const MAX_MEMBERS: usize = 64;

/// Bytes that a `kid` may have.
pub(crate) const MAX_KID: usize = 256;

/// Members whose mere presence changes how a token must be read, in ways that this crate doesn't.
const REFUSED: [(Name<'_>, &str); 4] = [
    (Name::of("crit"), "crit: no extension is understood (RFC 7515 section 4.1.11)"),
    (Name::of("b64"), "b64: not for JWTs (RFC 7797 section 7)"),
    (Name::of("zip"), "zip: compression belongs to JWE"),
    (Name::of("enc"), "enc: an encrypted token where a signed one is expected"),
];

const ALG: Name<'_> = Name::of("alg");
const TYP: Name<'_> = Name::of("typ");
const CTY: Name<'_> = Name::of("cty");
const KID: Name<'_> = Name::of("kid");

/// A header that broke no rule, when it has been read.
#[derive(Debug, Default)]
pub(crate) struct Header<'a>(Object<'a>);

impl<'a> Header<'a> {
    /// In place: it is too large to be handed about.
    pub(crate) fn read(&mut self, json: &'a [u8]) -> Result<Algorithm, JwtError> {
        self.read_object(json)?;
        refuse_extensions(&self.0)?;
        refuse_nesting(&self.0)?;
        text(&self.0, ALG, "alg is not text")?
            .and_then(Algorithm::named)
            .ok_or(JwtError::new(JwtErrorKind::Algorithm, "alg is absent or unknown"))
    }

    pub(crate) fn typ(&self) -> Result<Option<&str>, JwtError> {
        text(&self.0, TYP, "typ is not text")
    }

    pub(crate) fn kid(&self) -> Result<Option<&str>, JwtError> {
        match text(&self.0, KID, "kid is not text")? {
            Some(kid) if kid.len() > MAX_KID => Err(JwtError::malformed("kid is too long")),
            kid => Ok(kid),
        }
    }

    fn read_object(&mut self, json: &'a [u8]) -> Result<(), JwtError> {
        const REASON: &str = "the header is not a JSON object with unique member names";
        let json = std::str::from_utf8(json)
            .map_err(|error| JwtError::malformed(REASON).caused_by(error))?;
        self.0.read(json).map_err(|error| JwtError::malformed(REASON).caused_by(error))?;
        match self.0.len() {
            0..=MAX_MEMBERS => Ok(()),
            _ => Err(JwtError::malformed("the header has too many members")),
        }
    }
}

fn refuse_extensions(object: &Object<'_>) -> Result<(), JwtError> {
    match REFUSED.iter().find(|(name, _)| object.get(*name).is_some()) {
        Some((_, reason)) => Err(JwtError::malformed(reason)),
        None => Ok(()),
    }
}

fn refuse_nesting(object: &Object<'_>) -> Result<(), JwtError> {
    match text(object, CTY, "cty is not text")? {
        Some(cty) if is_media_type(cty, "jwt") => {
            Err(JwtError::malformed("cty: a JWT within a JWT"))
        }
        _ => Ok(()),
    }
}

/// A member that has to be text if it is there.
fn text<'o>(
    object: &'o Object<'_>,
    name: Name<'_>,
    otherwise: &'static str,
) -> Result<Option<&'o str>, JwtError> {
    object.text(name).map_err(|NoText| JwtError::malformed(otherwise))
}

/// True when both are one media type, `application/` or not.
pub(crate) fn is_media_type(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || media_type(one).eq_ignore_ascii_case(media_type(other))
}

/// A `typ` or `cty` without the `application/` that RFC 7515 section 4.1.9 lets issuers omit.
fn media_type(typ: &str) -> &str {
    match typ.split_once('/') {
        Some((kind, rest)) if kind.eq_ignore_ascii_case("application") && !rest.contains('/') => {
            rest
        }
        _ => typ,
    }
}
