//! Is this JWT real?
//!
//! A [`JwtVerifier`] belongs to one issuer: its keys, its audience, its rules. It takes signed
//! tokens in compact serialization (RFC 7515, RFC 7519) and leaves nothing to the token: which key
//! and which algorithm judge it is configuration, and `iss`, `aud`, `exp` and a subject are required.
//!
//! ```no_run
//! use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
//! use keygate::{Clock, SystemClock};
//!
//! let key = JwtKey::pem(Algorithm::ES256, std::fs::read("issuer.pem")?)?;
//! let verifier = JwtVerifier::builder("https://issuer.example", "https://api.example")
//!     .key(key.with_kid("2026-01"))
//!     .build()?;
//!
//! let token = verifier.verify("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", SystemClock::new().now())?;
//! println!("{} of {:?} may {:?}", token.subject(), token.tenant(), token.scopes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In the order in which a token meets them:
//!
//! | step | what is refused |
//! | --- | --- |
//! | length | more than 8,192 bytes ([`max_length`](JwtVerifierBuilder::max_length)) |
//! | form | anything but three parts of canonical unpadded base64url |
//! | header | duplicate members, `crit`, `b64`, `zip`, `enc`, a nested JWT, an unexpected `typ` |
//! | key | an algorithm that is not that of the key, an unknown or ambiguous key |
//! | signature | whatever the key didn't sign |
//! | claims | duplicate members, wrong types, another issuer or audience |
//! | time | not yet valid; expired, last, so that an expired token is known to be good otherwise |
//! | revocation | called back ([`revocations`](JwtVerifierBuilder::revocations)) |
//!
//! A token that has been through these steps is remembered
//! ([`cache`](JwtVerifierBuilder::cache)): when it comes again, its key, its time and its revocation
//! are judged, and the rest is known.
//!
//! Keys are judged at start-up: see [`JwtKey`]. Those that an issuer publishes are judged when they
//! are fetched: see [`remote`]. Tokens of several issuers are for [`JwtVerifiers`].

mod algorithm;
mod builder;
mod cache;
mod claim_rule;
mod claims;
mod compact;
mod der;
mod error;
mod header;
mod id_token;
mod issuer;
mod json;
mod jwk;
mod jwks;
mod key;
mod keys;
mod known;
mod material;
mod profile;
pub mod remote;
mod revocation;
mod revoked;
mod ring;
#[cfg(feature = "aws_lc_rs")]
#[path = "signature_aws_lc_rs.rs"]
mod signature;
#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#[path = "signature_none.rs"]
mod signature;
#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
#[path = "signature_rust_crypto.rs"]
mod signature;
#[cfg(feature = "aws_lc_rs")]
#[path = "signing_aws_lc_rs.rs"]
mod signing;
#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#[path = "signing_none.rs"]
mod signing;
#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
#[path = "signing_rust_crypto.rs"]
mod signing;
mod signing_key;
mod source;
mod text;
mod token;
mod verifier;
mod verifiers;

pub use algorithm::Algorithm;
pub use builder::JwtVerifierBuilder;
pub(crate) use builder::MAX_LEEWAY;
pub use claim_rule::ClaimRule;
pub use error::{JwtError, JwtErrorKind};
pub(crate) use issuer::random_id;
pub use issuer::{IssueError, JwksService, JwtIssuer, JwtIssuerBuilder, MintedToken, NewToken};
pub use jwks::{Jwks, SkippedKey};
pub use key::JwtKey;
pub use profile::Profile;
pub use revocation::Revocations;
pub use revoked::RevokedTokens;
pub use signing_key::SigningKey;
#[cfg(test)]
pub(crate) use text::Text;
pub use token::VerifiedToken;
pub(crate) use verifier::Attempt;
pub use verifier::JwtVerifier;
#[allow(unused_imports, reason = "for the stage that tells keys from tokens")]
pub(crate) use verifier::looks_like_jwt;
pub use verifiers::JwtVerifiers;
