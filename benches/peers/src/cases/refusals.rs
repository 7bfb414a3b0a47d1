//! Requests that are refused without a signature being checked.

use http::header::HeaderValue;
use keygate::render::RateLimitHeaders;
use tower::{Layer, Service};

use super::{
    BARE, BARE_BOXED, BY_HAND, BY_HAND_LIMITED, FLOOR, GATE, JWT_AUTHORIZER, MISTYPED, NONE, OVER,
    SCOPE, UNKNOWN,
};
use crate::by_hand::{by_governor, keys_only, with_governor};
use crate::harness::Case;
use crate::jwt_peers;
use crate::service::{Answered, Call, Hello, Plain, Requests, step};
use crate::tokens::Issuer;
use crate::world::{MUCH, NEEDED, World};

pub(crate) fn all(world: &World) -> Vec<Case> {
    let mut cases = strangers(world);
    cases.extend(known(world));
    cases.extend(limited());
    cases
}

fn strangers(world: &World) -> Vec<Case> {
    let none = || Requests::new(&[]);
    let unknown = || Requests::new(&world.unknown);
    let mistyped = || Requests::new(&world.mistyped);
    let floor = || world.floor(NEEDED, false);
    let gate = || world.limited(NEEDED, MUCH, RateLimitHeaders::off());
    let by_hand = || keys_only(world);
    let authorizer = jwt_peers::jwt_authorizer(&Issuer::new("HS256"), none(), 401);
    vec![
        Case::new(NONE, FLOOR, BARE, step(floor(), none(), 401)),
        Case::new(NONE, GATE, BARE, step(gate(), none(), 401)),
        Case::new(NONE, BY_HAND, BARE_BOXED, step(by_hand(), none(), 401)),
        Case::new(NONE, JWT_AUTHORIZER, BARE, authorizer),
        Case::new(NONE, "tower-http's bearer", BARE, bearer(none())),
        Case::new(UNKNOWN, FLOOR, BARE, step(floor(), unknown(), 401)),
        Case::new(UNKNOWN, GATE, BARE, step(gate(), unknown(), 401)),
        Case::new(UNKNOWN, BY_HAND, BARE_BOXED, step(by_hand(), unknown(), 401)),
        Case::new(UNKNOWN, "tower-http's bearer", BARE, bearer(unknown())),
        Case::new(MISTYPED, FLOOR, BARE, step(floor(), mistyped(), 401)),
        Case::new(MISTYPED, GATE, BARE, step(gate(), mistyped(), 401)),
    ]
}

#[allow(deprecated, reason = "people use it")]
fn bearer(requests: Requests) -> impl FnMut() {
    use tower_http::validate_request::ValidateRequestHeaderLayer;
    let layer = ValidateRequestHeaderLayer::bearer("sk_live_another");
    step(layer.layer(Hello::<Plain>::new()), requests, 401)
}

fn known(world: &World) -> Vec<Case> {
    let known = || Requests::new(&world.known);
    let gate = world.limited("admin", MUCH, RateLimitHeaders::x());
    vec![
        Case::new(SCOPE, FLOOR, BARE, step(world.floor("admin", true), known(), 403)),
        Case::new(SCOPE, GATE, BARE, step(gate, known(), 403)),
    ]
}

/// Each key used up its only permit beforehand.
fn limited() -> Vec<Case> {
    let world = World::new(1);
    let known = &world.known;
    let gate = world.limited(NEEDED, 1, RateLimitHeaders::x());
    let by_governor = by_governor(Some(1));
    vec![
        Case::new(OVER, FLOOR, BARE, exhausted(world.floor(NEEDED, true), known)),
        Case::new(OVER, GATE, BARE, exhausted(gate, known)),
        Case::new(
            OVER,
            BY_HAND_LIMITED,
            BARE_BOXED,
            exhausted(with_governor(&world, Some(1)), known),
        ),
        Case::new(OVER, "tower_governor", BARE_BOXED, exhausted(by_governor, known)),
    ]
}

fn exhausted<S>(mut service: S, known: &[HeaderValue]) -> impl FnMut() + use<S>
where
    S: Service<Call, Error = std::convert::Infallible>,
    S::Response: Answered,
{
    let mut requests = Requests::new(known);
    for _ in 0..requests.len() {
        drop(crate::service::at_once(service.call(requests.make())));
    }
    step(service, Requests::new(known), 429)
}
