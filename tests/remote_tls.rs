//! Keys fetched over TLS from a provider on loopback, and refused where its certificate is not good.
#![cfg(all(feature = "remote", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![allow(clippy::unwrap_used)]

#[path = "common/provider.rs"]
mod provider;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keygate::jwt::remote::{HttpClient, RemoteKeys};
use provider::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Serves one JSON document over TLS, with a certificate for `name`.
async fn serve(
    authority: &Authority,
    name: &str,
    document: impl FnOnce(SocketAddr) -> Value,
) -> SocketAddr {
    let own = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&own, authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(own.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = response("200 OK", "", document(address).to_string().as_bytes());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

fn one_key(_: SocketAddr) -> Value {
    set(&[&Signer::new("1")])
}

async fn fetch(url: String, client: HttpClient) -> Result<usize, String> {
    fetch_within(support::PATIENCE, url, client).await
}

async fn fetch_within(timeout: Duration, url: String, client: HttpClient) -> Result<usize, String> {
    let (keys, _refresh) = RemoteKeys::jwks(url).timeout(timeout).build(client).unwrap();
    keys.refresh().await.map_err(|error| {
        let mut text = error.to_string();
        let mut next = std::error::Error::source(&error);
        while let Some(cause) = next {
            text = format!("{text}: {cause}");
            next = cause.source();
        }
        text
    })?;
    Ok(keys.stats().keys)
}

#[tokio::test]
async fn keys_come_over_tls_from_a_provider_whose_certificate_is_good() {
    let authority = authority();
    let address = serve(&authority, "127.0.0.1", one_key).await;
    let client = HttpClient::with_roots(authority.pem()).unwrap();
    assert_eq!(fetch(format!("https://{address}/"), client).await, Ok(1));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = authority();
    let address = serve(&authority, "issuer.example", one_key).await;
    let client = HttpClient::with_roots(authority.pem()).unwrap();
    let error = fetch(format!("https://{address}/"), client).await.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let address = serve(&authority(), "127.0.0.1", one_key).await;
    for client in [HttpClient::with_roots(authority().pem()), HttpClient::new()] {
        let error = fetch(format!("https://{address}/"), client.unwrap()).await.unwrap_err();
        assert!(error.contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn plain_http_behind_an_https_url_is_refused() {
    let provider = Provider::publishing(&[&Signer::new("1")]).await;
    let url = provider.url(JWKS).replace("http://", "https://");
    // The provider waits for the end of what it takes for a head.
    let fetched = fetch_within(Duration::from_secs(1), url, HttpClient::new().unwrap());
    assert!(fetched.await.is_err());
}

/// Metadata that came over TLS sends nobody to a place without.
#[tokio::test]
async fn a_plain_jwks_uri_needs_the_dangerous_setting() {
    let plain = Provider::publishing(&[&Signer::new("1")]).await;
    let refused = RemoteKeys::jwks(plain.url(JWKS)).build(HttpClient::new().unwrap());
    assert!(refused.map(drop).unwrap_err().to_string().contains("not https"));
    let authority = authority();
    let jwks = plain.url(JWKS);
    let metadata = |own| json!({ "issuer": format!("https://{own}"), "jwks_uri": jwks });
    let address = serve(&authority, "127.0.0.1", metadata).await;
    let keys = RemoteKeys::discover(format!("https://{address}"));
    let client = HttpClient::with_roots(authority.pem()).unwrap();
    let (keys, _refresh) = keys.build(client).unwrap();
    let error = keys.refresh().await.unwrap_err();
    assert!(error.to_string().contains("not https"), "{error}");
    assert_eq!(plain.heads().len(), 0);
}

#[test]
fn roots_have_to_be_there_and_readable() {
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(HttpClient::with_roots(pem).is_err(), "{pem}");
    }
}
