//! How the answer looks: bodies, challenges, rate-limit headers.
//!
//! A [`Render`] gives a refusal its body and nothing else. Status, `WWW-Authenticate`, `Retry-After`
//! and `Cache-Control` belong to [`Refusals`], so no envelope can forget them; and a request of gRPC
//! is answered in gRPC's own form, whatever the envelope.
//!
//! | form | body of a 401 |
//! | --- | --- |
//! | [`Problem`], the default | `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"…","code":"key_invalid"}` |
//! | [`Envelope::g_tateth`] | `{"success":false,"error":"Invalid or expired API key","code":"API_KEY_INVALID"}` |
//! | [`Envelope::convotic`] | `{"error":"invalid_api_key"}` |
//! | [`Envelope::nested`] | `{"error":{"code":"KEY_INVALID","message":"Invalid API key"}}` |
//! | a closure | anything |
//!
//! ```
//! use keygate::render::{Challenge, Envelope, RateLimitHeaders, Refusals, Scheme, Wire};
//! use keygate::{Rejection, RejectionKind, Standings};
//!
//! let envelope = Envelope::g_tateth().text(RejectionKind::KeyInvalid, "No such key");
//! let refusals = Refusals::new(envelope)
//!     .challenge(Challenge::new("orders")?.offering(&[Scheme::Bearer, Scheme::ApiKey]))
//!     .rate_limit_headers(RateLimitHeaders::x().and_draft());
//!
//! let rejection = Rejection::new(RejectionKind::KeyInvalid);
//! let answer = refusals.respond(rejection, &Standings::default(), Wire::Http);
//! assert_eq!(answer.status(), 401);
//! assert_eq!(answer.headers()["cache-control"], "no-store");
//! assert_eq!(answer.headers().get_all("www-authenticate").iter().count(), 2);
//! assert_eq!(
//!     answer.body(),
//!     r#"{"success":false,"error":"No such key","code":"API_KEY_INVALID"}"#
//! );
//! # Ok::<(), keygate::ConfigError>(())
//! ```

mod answer;
mod body;
mod challenge;
mod deprecation;
mod envelope;
mod grpc;
mod needed;
mod problem;
mod rate_limit;
mod wording;

pub use answer::{Refusals, Wire};
pub use body::{Render, Rendered};
pub use challenge::{Challenge, Scheme};
pub use deprecation::Deprecation;
pub use envelope::Envelope;
pub use grpc::is_grpc;
pub(crate) use needed::Needed;
pub use problem::Problem;
pub use rate_limit::{RateLimitHeaders, Reset};
