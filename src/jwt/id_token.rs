//! What only the client of an ID token can check: OpenID Connect Core 1.0 section 3.1.3.7, from step
//! 11 on, and section 3.1.3.8.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::error::JwtError;
use super::token::VerifiedToken;
use crate::Timestamp;

#[derive(Deserialize)]
struct Session<'a> {
    #[serde(borrow)]
    nonce: Option<Cow<'a, str>>,
    #[serde(borrow)]
    at_hash: Option<Cow<'a, str>>,
    auth_time: Option<f64>,
}

impl VerifiedToken {
    /// Checks that an ID token answers the request that was made with `nonce`.
    ///
    /// # Errors
    ///
    /// [`Claims`](super::JwtErrorKind::Claims) when the token has no nonce or another one.
    pub fn check_nonce(&self, nonce: &str) -> Result<(), JwtError> {
        let given = self.session()?.nonce;
        let is_same =
            given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(nonce.as_bytes())));
        match is_same {
            true => Ok(()),
            false => Err(JwtError::claims("nonce is absent or another one")),
        }
    }

    /// Checks that an ID token was issued together with `access_token` (`at_hash`).
    ///
    /// # Errors
    ///
    /// [`Claims`](super::JwtErrorKind::Claims) when the token has no `at_hash` or that of another
    /// access token.
    pub fn check_access_token(&self, access_token: &str) -> Result<(), JwtError> {
        let given = self.session()?.at_hash;
        match given.is_some_and(|given| self.half_hash(access_token) == Some(given.into_owned())) {
            true => Ok(()),
            false => Err(JwtError::claims("at_hash is absent or another token's")),
        }
    }

    /// Checks that the person proved who they are at most `age` before `now` (`auth_time`): what a
    /// client does that has asked for `max_age`.
    ///
    /// # Errors
    ///
    /// [`Claims`](super::JwtErrorKind::Claims) when the token doesn't say it, or that is longer ago.
    pub fn check_sign_in(&self, age: Duration, now: Timestamp) -> Result<(), JwtError> {
        let earliest = now.saturating_sub(age).as_secs() as f64;
        match self.session()?.auth_time.is_some_and(|time| time >= earliest) {
            true => Ok(()),
            false => Err(JwtError::claims("auth_time is absent or too long ago")),
        }
    }

    fn session(&self) -> Result<Session<'_>, JwtError> {
        // serde's own error quotes the value.
        serde_json::from_str(&self.facts().claims)
            .map_err(|_| JwtError::claims("nonce, at_hash or auth_time is of the wrong type"))
    }

    /// The left half of the hash that the token's algorithm names. Ed25519 hashes with SHA-512.
    fn half_hash(&self, text: &str) -> Option<String> {
        let hash = match self.facts().algorithm?.hash_len() {
            32 => Sha256::digest(text).to_vec(),
            48 => Sha384::digest(text).to_vec(),
            _ => Sha512::digest(text).to_vec(),
        };
        Some(URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2]))
    }
}
