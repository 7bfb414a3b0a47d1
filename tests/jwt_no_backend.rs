//! Without a signature backend the crate builds, and says at start-up what is missing.
#![cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![allow(clippy::unwrap_used)]

use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};

#[test]
fn every_key_is_refused_with_the_names_of_the_features() {
    let secret = "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1";
    let ed25519 = [7; 32];
    let keys = [
        JwtKey::secret(Algorithm::HS256, secret),
        JwtKey::der(Algorithm::EdDSA, &ed25519),
        JwtKey::der(Algorithm::ES256, &[&[4][..], &[7; 64]].concat()),
    ];
    for key in keys {
        let error = key.unwrap_err().to_string();
        assert!(error.contains("aws_lc_rs") && error.contains("rust_crypto"), "{error}");
    }
}

#[test]
fn no_verifier_can_be_built() {
    assert!(JwtVerifier::builder("https://issuer.example", "api").build().is_err());
}
