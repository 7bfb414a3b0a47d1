//! Verification by hand for one issuer: the key parsed once, buffers on the stack, claims borrowed,
//! no rule but issuer, audience and expiry.

use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::tokens::{AUDIENCE, ISSUER, Issuer};

pub(crate) struct Floor {
    name: &'static str,
    key: Key,
}

enum Key {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
}

#[derive(Deserialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    scope: &'a str,
    exp: u64,
}

/// Who calls.
pub(crate) struct Caller {
    #[allow(dead_code, reason = "for a handler to read")]
    pub(crate) subject: String,
    pub(crate) scope: String,
    pub(crate) expires: u64,
}

impl Floor {
    pub(crate) fn new(issuer: &Issuer) -> Self {
        let algorithm: &'static dyn VerificationAlgorithm = match issuer.name {
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            "PS256" => &RSA_PSS_2048_8192_SHA256,
            "ES256" => &ECDSA_P256_SHA256_FIXED,
            _ => &ED25519,
        };
        let key = match issuer.secret() {
            Some(secret) => Key::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))),
            None => Key::Public(ParsedPublicKey::new(algorithm, issuer.public_key()).unwrap()),
        };
        Self { name: issuer.name, key }
    }

    pub(crate) fn verify(&self, token: &str) -> Option<Arc<Caller>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let mut buffer = [0; 1024];
        let length = URL_SAFE_NO_PAD.decode_slice(header, &mut buffer).ok()?;
        let header: Header<'_> = serde_json::from_slice(&buffer[..length]).ok()?;
        if header.alg != self.name {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut buffer).ok()?;
        match &self.key {
            Key::Secret(key) => hmac::verify(key, signed.as_bytes(), &buffer[..length]).ok()?,
            Key::Public(key) => key.verify_sig(signed.as_bytes(), &buffer[..length]).ok()?,
        }
        let length = URL_SAFE_NO_PAD.decode_slice(payload, &mut buffer).ok()?;
        let claims = std::str::from_utf8(&buffer[..length]).ok()?;
        accept(&serde_json::from_str(claims).ok()?)
    }
}

fn accept(claims: &Claims<'_>) -> Option<Arc<Caller>> {
    let good = claims.iss == ISSUER && claims.aud == AUDIENCE && unix_time() < claims.exp;
    good.then(|| {
        Arc::new(Caller {
            subject: claims.sub.to_owned(),
            scope: claims.scope.to_owned(),
            expires: claims.exp,
        })
    })
}

pub(crate) fn unix_time() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}
