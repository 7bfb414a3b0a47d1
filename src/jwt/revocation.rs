//! Tokens that are called back before they expire.

use async_trait::async_trait;

use super::token::VerifiedToken;
use crate::store::StoreError;

/// Says which tokens are revoked. It is asked for every request, whether its token was verified
/// before or not; a failure refuses the request as an outage (503), never lets it pass.
///
/// A token is named by its `jti` ([`id`](VerifiedToken::id)), by its session's `sid`
/// ([`session_id`](VerifiedToken::session_id)), or by its subject and when it was issued; each of
/// them within its issuer. [`RevokedTokens`](super::RevokedTokens) keeps such names in memory.
///
/// ```
/// use async_trait::async_trait;
/// use keygate::jwt::{Revocations, VerifiedToken};
/// use keygate::store::StoreError;
///
/// struct Blocked(Database);
///
/// #[async_trait]
/// impl Revocations for Blocked {
///     async fn is_revoked(&self, token: &VerifiedToken) -> Result<bool, StoreError> {
///         let Some(id) = token.id() else { return Ok(true) };
///         self.0.is_blocked(id).await.map_err(StoreError::unavailable)
///     }
/// }
/// # struct Database;
/// # impl Database {
/// #     async fn is_blocked(&self, _: &str) -> Result<bool, std::io::Error> { Ok(false) }
/// # }
/// ```
#[async_trait]
pub trait Revocations: Send + Sync + 'static {
    /// Whether the token is revoked. The token is good otherwise.
    ///
    /// A request waits for the answer, so it needs a deadline of its own.
    ///
    /// # Errors
    ///
    /// When that can't be told; the request is then refused.
    async fn is_revoked(&self, token: &VerifiedToken) -> Result<bool, StoreError>;

    /// The answer, if memory has it: no future is made then. `None` has it asked for.
    fn peek(&self, token: &VerifiedToken) -> Option<Result<bool, StoreError>> {
        let _ = token;
        None
    }
}
