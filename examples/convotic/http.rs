//! The HTTP client that talks to the provider: hyper, with TLS by rustls.

use std::io::{Error, Result};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Scheme;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LONGEST: usize = 256 * 1024;

/// Follows no redirects: they could lead it anywhere, with the code and the client's secret.
pub(crate) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> std::result::Result<Self, rustls::Error> {
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector.build())))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        if !is_safe(request.uri()) {
            return Err(Error::other("neither https nor on loopback"));
        }
        let answer = self.0.request(request.map(Full::from)).await.map_err(Error::other)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST).collect().await.map_err(Error::other)?;
        Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async { tokio::time::timeout(TIMEOUT, self.send(request)).await? })
    }
}

/// True if nobody on a network can read what is sent there, or answer in its place.
pub(crate) fn is_safe(url: &Uri) -> bool {
    url.scheme() == Some(&Scheme::HTTPS) || is_on_loopback(url)
}

/// True for plain HTTP that never leaves the machine.
pub(crate) fn is_on_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    url.scheme() == Some(&Scheme::HTTP) && (host == "localhost" || address)
}
