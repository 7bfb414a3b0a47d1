//! One fetch of an issuer's keys: its metadata, where they are found by it, and the key set.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use serde::Deserialize;

use super::endpoint::{Endpoint, Transport};
use super::error::{Reason, RemoteError};
use super::{Fetch, freshness};
use crate::jwt::jwks::object;

/// How an issuer's keys are found.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Jwks(Endpoint),
    /// By the metadata, read each time: it can name another place tomorrow.
    Metadata {
        issuer: Arc<str>,
        endpoint: Endpoint,
        transport: Transport,
    },
}

/// All that a fetch needs.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) place: Place,
    pub(super) fetch: Arc<dyn Fetch>,
    /// For the whole.
    pub(super) timeout: Duration,
    /// Bytes of an answer.
    pub(super) limit: usize,
}

/// What the provider says of its keys, and for how long it says that this is fresh.
pub(super) struct Told {
    /// `None` if they are those that the tag stands for.
    pub(super) set: Option<Published>,
    pub(super) lifetime: Option<Duration>,
}

pub(super) struct Published {
    pub(super) json: Bytes,
    pub(super) tag: Option<Tag>,
}

/// The version of a key set, at the place that gave it.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    url: http::Uri,
    value: HeaderValue,
}

/// OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Asking {
    /// Asks the provider; `tag` is what is known already.
    pub(super) async fn run(&self, tag: Option<Tag>) -> Result<Told, RemoteError> {
        let mut told = pin!(self.ask(tag));
        let mut late = pin!(self.fetch.sleep(self.timeout));
        poll_fn(|cx| match told.as_mut().poll(cx) {
            Poll::Ready(told) => Poll::Ready(told),
            Poll::Pending => {
                late.as_mut().poll(cx).map(|()| Err(Reason::Timeout(self.timeout).into()))
            }
        })
        .await
    }

    async fn ask(&self, tag: Option<Tag>) -> Result<Told, RemoteError> {
        let endpoint = match &self.place {
            Place::Jwks(endpoint) => endpoint.clone(),
            Place::Metadata { issuer, endpoint, transport } => {
                self.discover(issuer, endpoint, *transport).await?
            }
        };
        let tag = tag.filter(|tag| tag.url == *endpoint.uri());
        let answer = self.get(&endpoint, tag.as_ref()).await?;
        let lifetime = freshness::lifetime(answer.headers());
        match answer.status() {
            StatusCode::OK => {
                let value = answer.headers().get(ETAG).cloned();
                let tag = value.map(|value| Tag { url: endpoint.uri().clone(), value });
                let set = Some(Published { json: answer.into_body(), tag });
                Ok(Told { set, lifetime })
            }
            StatusCode::NOT_MODIFIED if tag.is_some() => Ok(Told { set: None, lifetime }),
            status => Err(Reason::Status(status).into()),
        }
    }

    /// Exactly the issuer has to speak for itself (OpenID Connect Discovery 1.0 section 4.3, RFC 8414
    /// section 3.3).
    async fn discover(
        &self,
        issuer: &str,
        endpoint: &Endpoint,
        transport: Transport,
    ) -> Result<Endpoint, RemoteError> {
        let answer = self.get(endpoint, None).await?;
        if answer.status() != StatusCode::OK {
            return Err(Reason::Status(answer.status()).into());
        }
        let metadata: Metadata = object(answer.body()).ok_or(Reason::NoMetadata)?;
        if metadata.issuer != issuer {
            return Err(Reason::OtherIssuer.into());
        }
        Endpoint::parse(&metadata.jwks_uri, transport)
            .map_err(|reason| Reason::JwksUri(reason).into())
    }

    async fn get(
        &self,
        endpoint: &Endpoint,
        tag: Option<&Tag>,
    ) -> Result<Response<Bytes>, RemoteError> {
        let mut request = Request::new(());
        *request.uri_mut() = endpoint.uri().clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(tag) = tag {
            request.headers_mut().insert(IF_NONE_MATCH, tag.value.clone());
        }
        let answer = self.fetch.get(request, self.limit).await.map_err(Reason::Fetch)?;
        match answer.body().len() > self.limit {
            true => Err(Reason::TooLong(self.limit).into()),
            false => Ok(answer),
        }
    }
}
