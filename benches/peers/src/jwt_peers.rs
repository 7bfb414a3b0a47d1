//! The crates that people take for JWTs, each set up as its documentation says, with issuer and
//! audience checked where it can.

use std::sync::Arc;

use axum::middleware::from_extractor_with_state;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jwt_authorizer::IntoLayer;
use serde::Deserialize;
use tower::Layer;
use tower_oauth2_resource_server::claims::DefaultClaims;
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

use crate::service::{Answered, Boxed, Hello, Plain, Reply, Requests, at_once, step};
use crate::tokens::{AUDIENCE, ISSUER, Issuer};

#[derive(Clone, Deserialize)]
struct Claims {
    #[allow(dead_code, reason = "for a handler to read")]
    sub: String,
    #[allow(dead_code, reason = "for a handler to read")]
    scope: String,
}

pub(crate) type Step = Box<dyn FnMut()>;

/// The public key as a JWK, or the secret one.
fn jwk(issuer: &Issuer) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let public = issuer.public_key();
    let members = match (issuer.name, issuer.secret()) {
        (_, Some(secret)) => format!(r#""kty":"oct","k":"{}""#, encode(secret)),
        // An RSAPublicKey (RFC 8017, A.1.1) with 2,048 bits: 9 bytes of lengths, the modulus, 65537.
        ("RS256", _) => format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, encode(&public[9..265])),
        // An uncompressed point (SEC 1, 2.3.3).
        ("ES256", _) => {
            let (x, y) = (encode(&public[1..33]), encode(&public[33..65]));
            format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#)
        }
        _ => format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, encode(&public)),
    };
    format!(r#"{{{members},"alg":"{}","use":"sig","kid":"2026-01"}}"#, issuer.name)
}

fn jwks(issuer: &Issuer) -> String {
    format!(r#"{{"keys":[{}]}}"#, jwk(issuer))
}

/// jwt-authorizer answers with any type that its error becomes.
pub(crate) enum Answer {
    Hello(Plain),
    Refused(axum_07::response::Response),
}

impl From<jwt_authorizer::AuthError> for Answer {
    fn from(error: jwt_authorizer::AuthError) -> Self {
        Self::Refused(error.into())
    }
}

impl Reply for Answer {
    fn hello() -> Self {
        Self::Hello(Plain::hello())
    }
}

impl Answered for Answer {
    fn code(&self) -> StatusCode {
        match self {
            Self::Hello(response) => response.status(),
            Self::Refused(response) => response.status(),
        }
    }
}

pub(crate) fn jwt_authorizer(issuer: &Issuer, requests: Requests, expected: u16) -> Step {
    let validation = jwt_authorizer::Validation::new().iss(&[ISSUER]).aud(&[AUDIENCE]);
    let authorizer = jwt_authorizer::JwtAuthorizer::<Claims>::from_jwks_text(&jwks(issuer));
    let authorizer = at_once(authorizer.validation(validation).build()).expect("an authorizer");
    Box::new(step(authorizer.into_layer().layer(Hello::<Answer>::new()), requests, expected))
}

pub(crate) fn tower_jwt(issuer: &Issuer, requests: Requests, expected: u16) -> Step {
    use jsonwebtoken_9::{DecodingKey, Validation};
    let key = serde_json::from_str(&jwk(issuer)).expect("a JWK");
    let key = DecodingKey::from_jwk(&key).expect("a key");
    let mut validation = Validation::new(issuer.name.parse().expect("an algorithm"));
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let layer = tower_jwt::JwtLayer::<Claims>::new(validation, key);
    Box::new(step(layer.layer(Hello::<Plain>::new()), requests, expected))
}

/// As a layer, which costs less than a handler behind a router.
pub(crate) fn axum_jwt_auth(issuer: &Issuer, requests: Requests, expected: u16) -> Step {
    use axum_jwt_auth::{Decoder, LocalDecoder};
    use jsonwebtoken_10::{DecodingKey, Validation};
    let key = serde_json::from_str(&jwk(issuer)).expect("a JWK");
    let key = DecodingKey::from_jwk(&key).expect("a key");
    let mut validation = Validation::new(issuer.name.parse().expect("an algorithm"));
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let decoder = LocalDecoder::new(vec![key], validation).expect("a decoder");
    let decoder: Decoder<Claims> = Arc::new(decoder);
    let layer = from_extractor_with_state::<axum_jwt_auth::Claims<Claims>, _>(decoder);
    Box::new(step(layer.layer(Hello::<Boxed>::new()), requests, expected))
}

/// Public keys only.
pub(crate) fn oauth2_resource_server(issuer: &Issuer, requests: Requests, expected: u16) -> Step {
    let audiences = vec![AUDIENCE.to_owned()];
    let claims = ClaimsValidationSpec::new().iss(ISSUER).exp(true).aud(&audiences);
    let tenant = TenantConfiguration::static_builder(jwks(issuer)).claims_validation(claims);
    let tenant = tenant.build().expect("a tenant");
    let server = OAuth2ResourceServer::<DefaultClaims>::builder().add_tenant(tenant);
    let server = at_once(server.build()).expect("a resource server");
    Box::new(step(server.into_layer().layer(Hello::<Plain>::new()), requests, expected))
}
