//! JWTs: seen before, first seen, forged.

use http::header::HeaderValue;
use keygate::jwt::{JwtKey, JwtVerifier};
use keygate::render::Envelope;
use keygate::{Auth, AuthLayer, Policy};
use tower::Layer;

use super::{BARE, BARE_BOXED, FLOOR, GATE, JWT_AUTHORIZER, first, forged, seen};
use crate::harness::Case;
use crate::jwt_by_hand::ByHand;
use crate::jwt_peers::{axum_jwt_auth, jwt_authorizer, oauth2_resource_server, tower_jwt};
use crate::service::{Hello, Plain, Requests, bearer, step};
use crate::tokens::{AUDIENCE, ISSUER, Issuer};
use crate::world::NEEDED;

pub(crate) const ALGORITHMS: [&str; 4] = ["HS256", "RS256", "ES256", "EdDSA"];
/// So many tokens take turns.
const TOKENS: usize = 64;

pub(crate) fn all() -> Vec<Case> {
    ALGORITHMS.into_iter().map(Issuer::new).flat_map(|issuer| of(&issuer)).collect()
}

fn of(issuer: &Issuer) -> Vec<Case> {
    let tokens: Vec<_> = (0..TOKENS).map(|index| issuer.token(index)).collect();
    let good: Vec<_> = tokens.iter().map(|token| bearer(token)).collect();
    let bad: Vec<_> = tokens.iter().map(|token| forge(token)).collect();
    let mut cases = remembered(issuer, &good);
    cases.extend(verified(issuer, &good));
    cases.extend(refused(issuer, &bad));
    cases
}

/// Signs another message.
fn forge(token: &str) -> HeaderValue {
    let (signed, signature) = token.rsplit_once('.').expect("a token has a signature");
    let (header, _) = signed.split_once('.').expect("a token has claims");
    let claims = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        format!(
            r#"{{"iss":"{ISSUER}","sub":"admin","aud":"{AUDIENCE}","iat":1700000000,"exp":4102444800,"jti":"Xb2kQm9T-0","scope":"read:customers read:orders write:orders"}}"#
        ),
    );
    bearer(&format!("{header}.{claims}.{signature}"))
}

pub(crate) fn gate(issuer: &Issuer, remembered: Option<usize>) -> Auth<Hello<Plain>> {
    let key = match issuer.secret() {
        Some(secret) => JwtKey::secret(issuer.algorithm, secret),
        None => JwtKey::der(issuer.algorithm, &issuer.public_key()),
    };
    let builder = JwtVerifier::builder(ISSUER, AUDIENCE).key(key.expect("a key"));
    let builder = remembered.into_iter().fold(builder, |builder, tokens| builder.cache(tokens));
    AuthLayer::tokens_only(builder.build().expect("a verifier"))
        .require(Policy::all_of([NEEDED]).expect("a policy"))
        .render(Envelope::convotic())
        .layer(Hello::new())
}

fn remembered(issuer: &Issuer, good: &[HeaderValue]) -> Vec<Case> {
    let what = seen(issuer.name);
    let good = || Requests::new(good);
    vec![
        Case::new(&*what, FLOOR, BARE, step(ByHand::remembering(issuer), good(), 200)),
        Case::new(&*what, GATE, BARE, step(gate(issuer, None), good(), 200)),
    ]
}

fn verified(issuer: &Issuer, good: &[HeaderValue]) -> Vec<Case> {
    let what = first(issuer.name);
    let good = || Requests::new(good);
    let mut cases = vec![
        Case::new(&*what, FLOOR, BARE, step(ByHand::new(issuer), good(), 200)),
        Case::new(&*what, GATE, BARE, step(gate(issuer, Some(0)), good(), 200)),
        Case::new(&*what, JWT_AUTHORIZER, BARE, jwt_authorizer(issuer, good(), 200)),
        Case::new(&*what, "tower-jwt", BARE, tower_jwt(issuer, good(), 200)),
        Case::new(&*what, "axum-jwt-auth", BARE_BOXED, axum_jwt_auth(issuer, good(), 200)),
    ];
    if issuer.secret().is_none() {
        let step = oauth2_resource_server(issuer, good(), 200);
        cases.push(Case::new(&*what, "tower-oauth2-resource-server", BARE, step));
    }
    cases
}

fn refused(issuer: &Issuer, bad: &[HeaderValue]) -> Vec<Case> {
    let what = forged(issuer.name);
    let bad = || Requests::new(bad);
    vec![
        Case::new(&*what, FLOOR, BARE, step(ByHand::new(issuer), bad(), 401)),
        Case::new(&*what, GATE, BARE, step(gate(issuer, None), bad(), 401)),
        Case::new(&*what, JWT_AUTHORIZER, BARE, jwt_authorizer(issuer, bad(), 401)),
        Case::new(&*what, "tower-jwt", BARE, tower_jwt(issuer, bad(), 401)),
    ]
}
