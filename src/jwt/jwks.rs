//! JWK Sets (RFC 7517 section 5), as issuers publish them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::algorithm::{Algorithm, Family};
use super::header::MAX_KID;
use super::jwk::Jwk;
use super::key::JwtKey;
use super::keys::KeySet;
use super::material::refused;
use crate::ConfigError;

/// Keys of one set that are looked at; reading an RSA key takes some 10 µs.
const MAX_KEYS: usize = 100;

/// The keys of a JWK Set that may verify tokens.
///
/// Each key is judged by itself, by the rules of [`JwtKey`] and those for keys that are published:
/// no secrets, no private keys, a `kid` of 1 to 256 bytes or none. One that can't be used is
/// [skipped](Self::skipped) and spoils no other. Of two different keys that share a `kid` and an
/// algorithm neither is used, because nobody can say which of them is meant. At most 100 keys are
/// looked at.
///
/// A key that names its algorithm (`alg`) serves that one. One that doesn't serves those of its type
/// among the algorithms that are allowed: RSA any RS and PS, an elliptic curve its own.
///
/// ```
/// use keygate::jwt::{Algorithm, Jwks};
///
/// let json = r#"{"keys":[
///     {"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
///     {"kty":"oct","kid":"2","k":"c2VjcmV0"}
/// ]}"#;
/// let set = Jwks::parse(json, &[Algorithm::RS256, Algorithm::EdDSA])?;
/// assert_eq!(set.keys().len(), 1);
/// assert_eq!(set.skipped()[0].kid(), Some("2"));
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Jwks {
    keys: Vec<JwtKey>,
    algorithms: Vec<Algorithm>,
    skipped: Vec<SkippedKey>,
}

/// A key of a set that is not used.
#[derive(Clone, Debug)]
pub struct SkippedKey {
    kid: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// A key that may be used, if no other contradicts it.
struct Candidate {
    jwk: Jwk,
    keys: Vec<JwtKey>,
}

impl Jwks {
    /// Every algorithm with a public key.
    pub(crate) const PUBLIC: [Algorithm; 9] = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];

    /// Reads a set, for tokens signed with one of `allowed`.
    ///
    /// # Errors
    ///
    /// When it is no JSON object with a list `keys`, or an algorithm is HMAC: a secret that is
    /// published is none.
    pub fn parse(json: impl AsRef<[u8]>, allowed: &[Algorithm]) -> Result<Self, ConfigError> {
        check_public(allowed)?;
        let document: Document<'_> = object(json.as_ref()).ok_or_else(|| {
            ConfigError::unusable("JWK Set", "not a JSON object with a list of keys")
        })?;
        let mut set = Self { keys: Vec::new(), algorithms: allowed.to_vec(), skipped: Vec::new() };
        let mut candidates = Vec::new();
        for (index, json) in document.keys.iter().enumerate() {
            match Candidate::admit(index, json.get(), allowed) {
                Ok(candidate) => candidates.push(candidate),
                Err(skipped) => set.skipped.push(skipped),
            }
        }
        set.take(candidates);
        Ok(set)
    }

    /// The keys that are used, one for each algorithm that a JWK serves.
    pub fn keys(&self) -> &[JwtKey] {
        &self.keys
    }

    /// The keys that are not, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    pub(crate) fn into_key_set(self) -> KeySet {
        KeySet::published(self.keys, self.algorithms)
    }

    fn take(&mut self, candidates: Vec<Candidate>) {
        let fates: Vec<_> = (0..candidates.len()).map(|i| contradiction(&candidates, i)).collect();
        for (candidate, fate) in candidates.into_iter().zip(fates) {
            match fate {
                None => self.keys.extend(candidate.keys),
                Some(reason) => self.skipped.push(SkippedKey::of(&candidate.jwk, &refused(reason))),
            }
        }
    }
}

impl Candidate {
    fn admit(index: usize, json: &str, allowed: &[Algorithm]) -> Result<Self, SkippedKey> {
        let nameless = |error: ConfigError| SkippedKey { kid: None, reason: error.to_string() };
        if index >= MAX_KEYS {
            return Err(nameless(refused("behind the first 100 keys of its set")));
        }
        let jwk = Jwk::parse(json).map_err(nameless)?;
        match keys(&jwk, allowed) {
            Ok(keys) => Ok(Self { jwk, keys }),
            Err(error) => Err(SkippedKey::of(&jwk, &error)),
        }
    }

    /// RFC 7517 section 4.5: keys of different types may share a `kid`.
    fn shares_name(&self, other: &Self) -> bool {
        let serves = |key: &JwtKey| other.keys.iter().any(|o| o.algorithm() == key.algorithm());
        self.jwk.kid().is_some()
            && self.jwk.kid() == other.jwk.kid()
            && self.keys.iter().any(serves)
    }
}

fn keys(jwk: &Jwk, allowed: &[Algorithm]) -> Result<Vec<JwtKey>, ConfigError> {
    if jwk.is_secret() {
        return Err(refused("a secret among public keys"));
    }
    if jwk.is_private() {
        return Err(refused("a private key that was published: whoever reads it can sign"));
    }
    if jwk.kid().is_some_and(|kid| kid.is_empty() || kid.len() > MAX_KID) {
        return Err(refused("a kid has 1 to 256 bytes"));
    }
    let serves = jwk.serves(allowed);
    if serves.is_empty() {
        return Err(refused("for no algorithm that is allowed"));
    }
    serves.into_iter().map(|algorithm| JwtKey::from_jwk(algorithm, jwk)).collect()
}

fn contradiction(candidates: &[Candidate], index: usize) -> Option<&'static str> {
    let own = &candidates[index];
    let mut rivals =
        candidates.iter().enumerate().filter(|(i, c)| *i != index && own.shares_name(c));
    rivals.find_map(|(i, rival)| match own.jwk.is_same_key(&rival.jwk) {
        true if i < index => Some("stands in the set twice"),
        true => None,
        false => Some("another key has its kid and its algorithm"),
    })
}

impl SkippedKey {
    fn of(jwk: &Jwk, reason: &ConfigError) -> Self {
        let kid = jwk.kid().filter(|kid| kid.len() <= MAX_KID).map(str::to_owned);
        Self { kid, reason: reason.to_string() }
    }

    /// Its `kid`, as the issuer wrote it, where it could be read and has at most 256 bytes.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Why it is not used; nothing of the key itself.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

pub(crate) fn check_public(allowed: &[Algorithm]) -> Result<(), ConfigError> {
    const WHAT: &str = "algorithms of published keys";
    match allowed.iter().find(|algorithm| algorithm.family() == Family::Hmac) {
        Some(hmac) => Err(ConfigError::invalid(WHAT, hmac, "a secret that is published is none")),
        None if allowed.is_empty() => Err(ConfigError::unusable(WHAT, "none")),
        None => Ok(()),
    }
}

/// Reads a JSON object; serde would take a list of the members' values, too. JSON is UTF-8 (RFC 8259
/// section 8.1), which serde doesn't ask of members that nobody reads.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let json = std::str::from_utf8(json).ok()?;
    let starts = json.trim_ascii_start().starts_with('{');
    starts.then(|| serde_json::from_str(json).ok()).flatten()
}
