//! An issuer of tokens, honest and otherwise.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keygate::Timestamp;
use keygate::jwt::{
    Algorithm, JwtError, JwtErrorKind, JwtKey, JwtVerifier, JwtVerifierBuilder, VerifiedToken,
};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "https://api.example";
pub const NOW: u64 = 1_700_000_000;

/// 64 bytes, enough for every HMAC algorithm.
pub const SECRET: &[u8; 64] = b"uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1sDiWkB9xQvZ3hG6jNlCmOrSpUaYeFI+/";

pub const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

pub const ALGORITHMS: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
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

/// Those with a public key.
pub const PUBLIC: [Algorithm; 9] = {
    let [_hs256, _hs384, _hs512, public @ ..] = ALGORITHMS;
    public
};

pub fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

pub fn secret_key() -> JwtKey {
    JwtKey::secret(Algorithm::HS256, SECRET).unwrap()
}

/// Expects the tokens of [`ISSUER`] for [`AUDIENCE`], signed with [`SECRET`].
pub fn builder() -> JwtVerifierBuilder {
    JwtVerifier::builder(ISSUER, AUDIENCE).key(secret_key())
}

pub fn verifier() -> JwtVerifier {
    builder().build().unwrap()
}

/// Expects tokens signed with `key`.
pub fn verifier_with(key: JwtKey) -> JwtVerifier {
    JwtVerifier::builder(ISSUER, AUDIENCE).key(key).build().unwrap()
}

pub fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-7",
        "exp": NOW + 600,
        "iat": NOW - 60,
        "nbf": NOW - 60,
        "jti": "token-1",
        "tenant": "acme",
        "scope": "read:orders write:orders",
    })
}

/// [`claims`] with one of them changed.
pub fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// [`claims`] with one of them taken away.
pub fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name).unwrap();
    claims
}

/// [`claims`] with raw JSON members put behind them, duplicates included.
pub fn claims_and(members: &str) -> String {
    let claims = claims().to_string();
    format!("{},{members}}}", claims.strip_suffix('}').unwrap())
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// Signs any header and any payload with [`SECRET`].
pub fn hs256(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    hs256_parts(&encode(header), &encode(payload))
}

/// Signs two parts as they are.
pub fn hs256_parts(header: &str, payload: &str) -> String {
    let message = format!("{header}.{payload}");
    let signature = mac(Algorithm::HS256, SECRET, message.as_bytes());
    format!("{message}.{}", encode(signature))
}

pub fn mac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        Algorithm::HS256 => hmac::HMAC_SHA256,
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        other => panic!("{other} is no HMAC"),
    };
    hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec()
}

/// A well-signed token with these claims.
pub fn token(claims: &Value) -> String {
    hs256(HEADER, claims.to_string())
}

/// A well-signed token with good claims and this header.
pub fn token_with_header(header: &str) -> String {
    hs256(header, claims().to_string())
}

pub fn good_token() -> String {
    token(&claims())
}

/// What [`verifier`] says of well-signed claims.
pub fn verify(claims: &Value) -> Result<VerifiedToken, JwtError> {
    verifier().verify(&token(claims), now())
}

/// Why [`verifier`] refuses a token.
#[track_caller]
pub fn refusal(token: &str) -> JwtErrorKind {
    refusal_by(&verifier(), token)
}

#[track_caller]
pub fn refusal_by(verifier: &JwtVerifier, token: &str) -> JwtErrorKind {
    match verifier.verify(token, now()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.kind(),
    }
}

/// Why [`verifier`] refuses well-signed claims.
#[track_caller]
pub fn refusal_of(claims: &Value) -> JwtErrorKind {
    refusal(&token(claims))
}

/// Private keys of every kind, new in each run.
pub static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
pub static P256: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
pub static P384: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap());
pub static ED25519: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::generate().unwrap());

/// The bare public key: PKCS#1, point, or 32 bytes.
pub fn raw_public_key(algorithm: Algorithm) -> Vec<u8> {
    match algorithm {
        Algorithm::ES256 => P256.public_key().as_ref().to_vec(),
        Algorithm::ES384 => P384.public_key().as_ref().to_vec(),
        Algorithm::EdDSA => ED25519.public_key().as_ref().to_vec(),
        _ => RSA.public_key().as_ref().to_vec(),
    }
}

/// The JWK of the issuer's public key, without `alg`.
pub fn public_jwk(algorithm: Algorithm) -> Value {
    let raw = raw_public_key(algorithm);
    match algorithm {
        Algorithm::ES256 => {
            json!({ "kty": "EC", "crv": "P-256", "x": encode(&raw[1..33]), "y": encode(&raw[33..]) })
        }
        Algorithm::ES384 => {
            json!({ "kty": "EC", "crv": "P-384", "x": encode(&raw[1..49]), "y": encode(&raw[49..]) })
        }
        Algorithm::EdDSA => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(raw) }),
        // SEQUENCE, INTEGER of 257 bytes with a leading zero, INTEGER 65537.
        _ => json!({ "kty": "RSA", "n": encode(&raw[9..265]), "e": encode(&raw[267..]) }),
    }
}

/// The public key as SubjectPublicKeyInfo.
pub fn spki(algorithm: Algorithm) -> Vec<u8> {
    match algorithm {
        Algorithm::ES256 => P256.public_key().as_der().unwrap().as_ref().to_vec(),
        Algorithm::ES384 => P384.public_key().as_der().unwrap().as_ref().to_vec(),
        Algorithm::EdDSA => ED25519.public_key().as_der().unwrap().as_ref().to_vec(),
        _ => RSA.public_key().as_der().unwrap().as_ref().to_vec(),
    }
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> =
        body.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The public key of the issuer, or its secret.
pub fn key(algorithm: Algorithm) -> JwtKey {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => JwtKey::secret(algorithm, SECRET),
        _ => JwtKey::der(algorithm, &spki(algorithm)),
    }
    .unwrap()
}

/// The issuer's signature.
pub fn sign(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::ES256 => P256.sign(&random, message).unwrap().as_ref().to_vec(),
        Algorithm::ES384 => P384.sign(&random, message).unwrap().as_ref().to_vec(),
        Algorithm::EdDSA => ED25519.sign(message).as_ref().to_vec(),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => mac(algorithm, SECRET, message),
        _ => {
            let mut signature = vec![0; RSA.public_modulus_len()];
            RSA.sign(rsa_encoding(algorithm), &random, message, &mut signature).unwrap();
            signature
        }
    }
}

fn rsa_encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_SHA384,
        _ => &signature::RSA_PSS_SHA512,
    }
}

/// A token of any algorithm; `header` is the JSON of its header.
pub fn signed(algorithm: Algorithm, header: &str, payload: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    let signature = sign(algorithm, message.as_bytes());
    format!("{message}.{}", encode(signature))
}

/// A token with good claims.
pub fn good_token_of(algorithm: Algorithm) -> String {
    signed(algorithm, &format!(r#"{{"alg":"{algorithm}"}}"#), &claims().to_string())
}

/// The same token with the first symbol of its signature changed.
pub fn forged(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{message}.{first}{}", &signature[1..])
}
