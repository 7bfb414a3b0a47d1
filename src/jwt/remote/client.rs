//! The built-in HTTP client: hyper, with TLS by rustls.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response};
use http_body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{Fetch, FetchError};
use crate::ConfigError;

const WHAT: &str = "HTTP client";
/// Bytes of an answer's head.
const MAX_HEAD: usize = 64 * 1024;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("keygate/", env!("CARGO_PKG_VERSION")));

/// Fetches over HTTPS (feature `remote`), on tokio. Clones share nothing but settings: each fetch has
/// a connection of its own, because the next one is minutes away.
///
/// HTTP/1.1; TLS 1.2 and 1.3 by rustls and AWS-LC; names and certificates are checked as the
/// operating system would. Redirects are not followed, proxies of the environment not used, cookies
/// not kept.
#[derive(Clone)]
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, String>);

impl HttpClient {
    /// Trusts the certificate authorities that the operating system trusts.
    ///
    /// # Errors
    ///
    /// When they can't be read, or there is none: an image without `ca-certificates`.
    pub fn new() -> Result<Self, ConfigError> {
        let unusable = |error| {
            ConfigError::unreadable(
                WHAT,
                "the system's certificate authorities can't be read",
                error,
            )
        };
        let tls = tls()?.with_platform_verifier().map_err(unusable)?;
        Ok(Self::with(tls.with_no_client_auth()))
    }

    /// Trusts the certificate authorities in this PEM, and no others: for a provider inside a company,
    /// or to bring along a bundle.
    ///
    /// # Errors
    ///
    /// When there is none, or one can't be read.
    pub fn with_roots(pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_ref()) {
            let unreadable = "a certificate that can't be read";
            let certificate =
                certificate.map_err(|error| ConfigError::unreadable(WHAT, unreadable, error))?;
            roots
                .add(certificate)
                .map_err(|error| ConfigError::unreadable(WHAT, unreadable, error))?;
        }
        if roots.is_empty() {
            return Err(ConfigError::unusable(WHAT, "no certificate authority in the PEM"));
        }
        Ok(Self::with(tls()?.with_root_certificates(roots).with_no_client_auth()))
    }

    fn with(tls: ClientConfig) -> Self {
        // Which schemes are allowed is for `RemoteKeys` to say.
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        Self(client)
    }
}

/// The provider is named, never taken from the process: a build in which several are compiled in has
/// no default, and asking for it panics.
fn tls() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ConfigError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::unreadable(WHAT, "TLS can't be set up", error))
}

#[async_trait]
impl Fetch for HttpClient {
    async fn get(&self, request: Request<()>, limit: usize) -> Result<Response<Bytes>, FetchError> {
        let mut request = request.map(|()| String::new());
        request.headers_mut().insert(USER_AGENT, AGENT);
        let (head, mut body) = self.0.request(request).await?.into_parts();
        let mut read = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(data) = frame?.into_data() else { continue };
            if read.len() + data.len() > limit {
                return Err(format!("the answer is longer than {limit} bytes").into());
            }
            read.extend_from_slice(&data);
        }
        Ok(Response::from_parts(head, read.freeze()))
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}
