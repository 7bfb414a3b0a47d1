//! The head of a request, borrowed from whatever holds it.

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};

/// The head of a request: all that a gate looks at.
///
/// It is borrowed from a whole [`Request`] or from [`Parts`], so that nothing is moved to look at it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Head<'r> {
    /// The request's method.
    pub method: &'r Method,
    /// The request's target.
    pub uri: &'r Uri,
    /// The request's headers.
    pub headers: &'r HeaderMap,
    /// What outer layers know of the request.
    pub extensions: &'r Extensions,
}

impl<'r, B> From<&'r Request<B>> for Head<'r> {
    fn from(request: &'r Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

impl<'r> From<&'r Parts> for Head<'r> {
    fn from(parts: &'r Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }
}

impl std::fmt::Debug for Head<'_> {
    /// Method only: the rest may hold a credential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head").field("method", self.method).finish_non_exhaustive()
    }
}
