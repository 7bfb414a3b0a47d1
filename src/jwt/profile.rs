//! What kinds of token there are, and what each must be.

/// A kind of token, and so what it must be beyond what all must be (`iss`, `aud`, `exp` and a
/// subject).
///
/// ```
/// use keygate::jwt::{Algorithm, JwtKey, JwtVerifier, Profile};
///
/// # let key = JwtKey::secret(Algorithm::HS256, "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1")?;
/// let verifier = JwtVerifier::builder("https://issuer.example", "https://api.example")
///     .profile(Profile::AccessToken)
///     .key(key)
///     .build()?;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// RFC 7519 and no more: `typ` is `JWT`, `at+jwt` or absent. For issuers that follow no profile.
    ///
    /// An issuer's ID tokens look the same. Where it issues them for the same audience,
    /// [`forbid_claim`](super::JwtVerifierBuilder::forbid_claim)`("nonce")` or a rule for the claim
    /// that tells them apart keeps them out.
    #[default]
    PlainJwt,
    /// An access token of RFC 9068: `typ` is `at+jwt`, and `sub`, `client_id`, `iat` and `jti` are
    /// there.
    AccessToken,
    /// An ID token of OpenID Connect Core 1.0 section 3.1.3.7, for the client that it was issued to,
    /// which is the audience. It says who has signed in; it is no key to an API.
    ///
    /// `typ` is `JWT` or absent; `sub` and `iat` are there; every audience is one of ours; several
    /// audiences need `azp`, and `azp` is one of ours. What only the client knows it checks on the
    /// verified token: [`check_nonce`](super::VerifiedToken::check_nonce),
    /// [`check_access_token`](super::VerifiedToken::check_access_token).
    IdToken,
}

impl Profile {
    /// The header's `typ`s that are this kind, and whether it may be absent.
    pub(crate) const fn types(self) -> (&'static [&'static str], bool) {
        match self {
            Self::PlainJwt => (&["JWT", "at+jwt"], true),
            Self::AccessToken => (&["at+jwt"], false),
            Self::IdToken => (&["JWT"], true),
        }
    }
}
