//! Issuers of one algorithm each.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keygate::jwt::Algorithm;
use keygate::{Clock, SystemClock};
use serde::Deserialize;

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "orders";
const SECRET: &[u8; 32] =
    b"\x11Q\x9b4\xe2\x07zF\xd5\x8c!\xf03j\xb9P\x1d\xc6`\xab\x94\x02\xee?Wq\x85,\xfa\x60\x0d\xb3";

/// What a service reads of a token.
#[derive(Deserialize)]
pub(crate) struct Claims {
    #[allow(dead_code, reason = "for a handler to read")]
    sub: String,
    #[allow(dead_code, reason = "for a handler to read")]
    scope: String,
}

pub(crate) struct Issuer {
    pub(crate) name: &'static str,
    pub(crate) algorithm: Algorithm,
    key: Key,
}

enum Key {
    Secret,
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Issuer {
    pub(crate) const NAMES: [&str; 5] = ["HS256", "RS256", "PS256", "ES256", "EdDSA"];

    pub(crate) fn new(name: &'static str) -> Self {
        let rsa = |encoding| Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), encoding);
        let (algorithm, key) = match name {
            "HS256" => (Algorithm::HS256, Key::Secret),
            "RS256" => (Algorithm::RS256, rsa(&RSA_PKCS1_SHA256)),
            "PS256" => (Algorithm::PS256, rsa(&RSA_PSS_SHA256)),
            "ES256" => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                (Algorithm::ES256, Key::Ec(pair.unwrap()))
            }
            _ => (Algorithm::EdDSA, Key::Ed(Ed25519KeyPair::generate().unwrap())),
        };
        Self { name, algorithm, key }
    }

    pub(crate) fn secret(&self) -> Option<&'static [u8]> {
        matches!(self.key, Key::Secret).then_some(SECRET)
    }

    /// The bare key.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        match &self.key {
            Key::Secret => Vec::new(),
            Key::Rsa(pair, _) => pair.public_key().as_ref().to_vec(),
            Key::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Key::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// As a provider would issue it: a key id, times, an id.
    pub(crate) fn token(&self, index: usize) -> String {
        let now = SystemClock::new().now().as_secs();
        let header = format!(r#"{{"alg":"{}","typ":"JWT","kid":"2026-01"}}"#, self.name);
        let claims = format!(
            r#"{{"iss":"{ISSUER}","sub":"user_{index}","aud":"{AUDIENCE}","iat":{now},"exp":{},"jti":"Xb2kQm9T-{index}","scope":"read:customers read:orders write:orders"}}"#,
            now + 86_400
        );
        let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Secret => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message).as_ref().to_vec()
            }
            Key::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Key::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}
