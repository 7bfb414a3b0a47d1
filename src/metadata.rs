//! What a client can find out by itself: protected-resource metadata (RFC 9728).
//!
//! ```
//! use axum::Router;
//! use keygate::metadata::ProtectedResource;
//! use keygate::{AuthLayer, store::MemoryStore};
//!
//! let resource = ProtectedResource::new("https://api.example.com")?
//!     .authorization_server("https://id.example.com")?
//!     .scopes(["read:orders", "write:orders"])?;
//! let gate = AuthLayer::new(MemoryStore::new()).protected_resource(&resource);
//! let app: Router = Router::new()
//!     // … routes …
//!     .layer(gate)
//!     .route_service(resource.path(), resource.service());
//! # Ok::<(), keygate::ConfigError>(())
//! ```

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, Uri};
use serde::Serialize;
use tower_service::Service;

use crate::document::{Document, DocumentBody};
use crate::{ConfigError, Scope};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// The metadata of a protected resource: who it is, whose tokens it takes, which scopes it knows.
///
/// A client that is refused finds its address in the challenge
/// ([`AuthLayer::protected_resource`](crate::AuthLayer::protected_resource)).
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    metadata: Metadata,
    path: String,
    url: String,
}

/// RFC 9728 section 2. What is empty is left out (section 3.2).
#[derive(Clone, Debug, Serialize)]
struct Metadata {
    resource: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    /// Tokens are read from nowhere else that RFC 6750 knows.
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
}

impl ProtectedResource {
    /// The resource with this identifier, which is usually the audience of its tokens: an https URL,
    /// possibly with a path.
    ///
    /// # Errors
    ///
    /// When it is none, or has a query or a fragment (RFC 9728 section 1.2).
    pub fn new(resource: &str) -> Result<Self, ConfigError> {
        let uri = https("resource", resource)?;
        if uri.query().is_some() {
            return Err(ConfigError::invalid("resource", resource, "has a query"));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        // Section 3.1: between host and path, without the slash that only ends the host.
        let path = format!("{WELL_KNOWN}{}", if uri.path() == "/" { "" } else { uri.path() });
        let url = format!("https://{authority}{path}");
        let metadata = Metadata {
            resource: resource.to_owned(),
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: ["header"],
            jwks_uri: None,
            resource_name: None,
            resource_documentation: None,
        };
        Ok(Self { metadata, path, url })
    }

    /// An authorization server whose tokens are taken, by its issuer identifier.
    ///
    /// # Errors
    ///
    /// When it is no https URL.
    pub fn authorization_server(mut self, issuer: &str) -> Result<Self, ConfigError> {
        https("authorization server", issuer)?;
        self.metadata.authorization_servers.push(issuer.to_owned());
        Ok(self)
    }

    /// The scopes that a client may ask for.
    ///
    /// # Errors
    ///
    /// When one of them is no scope; see [`Scope::new`].
    pub fn scopes<'s>(
        mut self,
        scopes: impl IntoIterator<Item = &'s str>,
    ) -> Result<Self, ConfigError> {
        for scope in scopes {
            self.metadata.scopes_supported.push(Scope::new(scope)?.as_str().to_owned());
        }
        Ok(self)
    }

    /// Where the resource's own public keys are, if it signs its answers.
    ///
    /// # Errors
    ///
    /// When it is no https URL.
    pub fn jwks_uri(mut self, url: &str) -> Result<Self, ConfigError> {
        https("jwks_uri", url)?;
        self.metadata.jwks_uri = Some(url.to_owned());
        Ok(self)
    }

    /// A name for people to read.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.metadata.resource_name = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// Where developers find its documentation.
    ///
    /// # Errors
    ///
    /// When it is no https URL.
    pub fn documentation(mut self, url: &str) -> Result<Self, ConfigError> {
        https("documentation", url)?;
        self.metadata.resource_documentation = Some(url.to_owned());
        Ok(self)
    }

    /// Where on its host the metadata belongs.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where clients look for the metadata.
    pub fn metadata_url(&self) -> &str {
        &self.url
    }

    /// The metadata as a service, to be mounted under [`path`](Self::path) in front of the gate:
    /// whoever asks for it has no credential yet.
    pub fn service(&self) -> MetadataService {
        // Texts and lists of texts are always JSON; without them the answer would be `null`.
        let text = serde_json::to_string(&self.metadata).unwrap_or_else(|_| "null".to_owned());
        MetadataService { document: Document::new("application/json", text, MAX_AGE) }
    }
}

/// An https URL without a fragment.
fn https(what: &'static str, url: &str) -> Result<Uri, ConfigError> {
    let refused = |reason| Err(ConfigError::invalid(what, url, reason));
    let Ok(uri) = url.parse::<Uri>() else { return refused("no URL") };
    let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let is_quotable = url.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    match (uri.scheme_str(), is_plain && is_quotable, url.contains('#')) {
        (Some("https"), true, false) => Ok(uri),
        (Some("https"), true, true) => refused("has a fragment"),
        (Some("https"), false, _) => refused("has a user, or a character that no URL has"),
        _ => refused("no https URL"),
    }
}

/// Serves the metadata of a resource; made by [`ProtectedResource::service`].
#[derive(Clone, Debug)]
pub struct MetadataService {
    document: Document,
}

impl<B> Service<Request<B>> for MetadataService {
    type Response = Response<DocumentBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.document.answer(request.method(), request.headers())))
    }
}
