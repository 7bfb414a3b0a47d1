//! Where an issuer publishes its keys.

use http::Uri;
use http::uri::Scheme;

use crate::ConfigError;

const MAX_URL: usize = 2048;

/// A URL that may be asked.
#[derive(Clone, Debug)]
pub(super) struct Endpoint(Uri);

/// Whether URLs must be `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tls,
    DangerAny,
}

/// How the place of an issuer's metadata is made from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metadata {
    /// OpenID Connect Discovery 1.0 section 4: appended to the path.
    OpenId,
    /// RFC 8414 section 3: inserted before the path.
    OAuth,
}

impl Endpoint {
    pub(super) fn parse(url: &str, transport: Transport) -> Result<Self, &'static str> {
        if url.len() > MAX_URL {
            return Err("longer than 2,048 bytes");
        }
        if url.contains('#') {
            return Err("a fragment");
        }
        if !url.is_ascii() {
            return Err("not ASCII (RFC 3986 section 2)");
        }
        let uri: Uri = url.parse().map_err(|_| "no URL")?;
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let is_plain = uri.scheme() == Some(&Scheme::HTTP) && transport == Transport::DangerAny;
        if !is_tls && !is_plain {
            return Err("not https");
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => Err("a user name"),
            Some(authority) if !authority.host().is_empty() => Ok(Self(uri)),
            _ => Err("no host"),
        }
    }

    /// The place of the metadata of `issuer`.
    pub(super) fn metadata(
        issuer: &str,
        form: Metadata,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        let refused = |reason| ConfigError::invalid("issuer", issuer, reason);
        let own = Self::parse(issuer, transport).map_err(refused)?;
        if own.0.query().is_some() {
            return Err(refused("a query"));
        }
        let path = own.0.path().trim_end_matches('/');
        let base = issuer.trim_end_matches('/');
        let base = base.strip_suffix(path).unwrap_or(base);
        let url = match form {
            Metadata::OpenId => format!("{base}{path}/.well-known/openid-configuration"),
            Metadata::OAuth => format!("{base}/.well-known/oauth-authorization-server{path}"),
        };
        Self::parse(&url, transport).map_err(refused)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(issuer: &str, form: Metadata) -> String {
        Endpoint::metadata(issuer, form, Transport::Tls)
            .map(|e| e.0.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn the_metadata_of_an_issuer_is_where_the_standards_say() {
        for (issuer, openid, oauth) in [
            (
                "https://a.example",
                "https://a.example/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.example/",
                "https://a.example/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.example:8443/b/c",
                "https://a.example:8443/b/c/.well-known/openid-configuration",
                "https://a.example:8443/.well-known/oauth-authorization-server/b/c",
            ),
            (
                "https://a.example/b/",
                "https://a.example/b/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server/b",
            ),
        ] {
            assert_eq!(metadata(issuer, Metadata::OpenId), openid);
            assert_eq!(metadata(issuer, Metadata::OAuth), oauth);
        }
    }

    #[test]
    fn an_issuer_is_an_https_url_without_query_fragment_and_user() {
        for issuer in [
            "",
            "a.example",
            "/a",
            "http://a.example",
            "ftp://a.example",
            "https://",
            "https://u:p@a.example",
            "https://a.example?b",
            "https://a.example#b",
            "https://a.example/\u{e4}",
            "https://a b",
            "https://a.example\r\nx: y",
        ] {
            assert_eq!(metadata(issuer, Metadata::OpenId), "", "{issuer}");
        }
        assert_eq!(
            metadata(&format!("https://a.example/{}", "x".repeat(2048)), Metadata::OAuth),
            ""
        );
    }

    #[test]
    fn plain_http_is_taken_where_it_is_asked_for_only() {
        let url = "http://127.0.0.1:1/jwks";
        assert!(Endpoint::parse(url, Transport::Tls).is_err());
        assert!(Endpoint::parse(url, Transport::DangerAny).is_ok());
        assert!(Endpoint::parse("file:///etc/passwd", Transport::DangerAny).is_err());
    }
}
