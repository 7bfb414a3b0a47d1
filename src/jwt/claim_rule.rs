//! What a claim of the application's choice must be.

use super::json::Value;

/// What a required claim must be; see
/// [`require_claim_as`](super::JwtVerifierBuilder::require_claim_as).
///
/// ```
/// use keygate::jwt::{Algorithm, ClaimRule, JwtKey, JwtVerifier};
///
/// # let key = JwtKey::secret(Algorithm::HS256, "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1")?;
/// let verifier = JwtVerifier::builder("https://issuer.example", "https://api.example")
///     .require_claim_as("token_use", ClaimRule::one_of(["access"]))
///     .require_claim_as("email_verified", ClaimRule::is(true))
///     .forbid_claim("nonce")
///     .key(key)
///     .build()?;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClaimRule(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Present,
    Text,
    Number,
    Texts,
    Is(bool),
    OneOf(Vec<String>),
}

impl ClaimRule {
    /// Anything but `null`.
    pub const fn present() -> Self {
        Self(Rule::Present)
    }

    /// A text that is not empty.
    pub const fn text() -> Self {
        Self(Rule::Text)
    }

    /// A number.
    pub const fn number() -> Self {
        Self(Rule::Number)
    }

    /// A list of one or more texts, or one text.
    pub const fn texts() -> Self {
        Self(Rule::Texts)
    }

    /// This boolean.
    pub const fn is(flag: bool) -> Self {
        Self(Rule::Is(flag))
    }

    /// One of these texts, compared exactly.
    pub fn one_of<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self(Rule::OneOf(texts.into_iter().map(Into::into).collect()))
    }

    /// A rule that no claim can keep is a mistake.
    pub(crate) fn is_keepable(&self) -> bool {
        !matches!(&self.0, Rule::OneOf(texts) if texts.is_empty())
    }

    pub(crate) fn admits(&self, claim: Option<&Value<'_>>) -> bool {
        let Some(claim) = claim else { return false };
        match &self.0 {
            Rule::Present => !matches!(claim, Value::Null),
            Rule::Text => claim.text().is_some_and(|text| !text.is_empty()),
            Rule::Number => matches!(claim, Value::Whole(_) | Value::Float(_)),
            Rule::Texts => {
                let mut texts = claim.texts().peekable();
                texts.peek().is_some() && texts.all(|text| text.is_some_and(|t| !t.is_empty()))
            }
            Rule::Is(true) => matches!(claim, Value::True),
            Rule::Is(false) => matches!(claim, Value::False),
            Rule::OneOf(texts) => {
                claim.text().is_some_and(|given| texts.iter().any(|t| t == given))
            }
        }
    }
}
