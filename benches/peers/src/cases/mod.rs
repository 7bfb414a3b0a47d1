//! Who answers what, case by case.

mod keys;
mod refusals;
pub(crate) mod tokens;

use crate::harness::Case;
use crate::service::{Boxed, Hello, Plain, Requests, step};
use crate::world::{MUCH, World};

pub(crate) const KEY: &str = "API key, scope, limit";
pub(crate) const ANNOUNCED: &str = "the same with rate-limit headers";
pub(crate) const KEY_ONLY: &str = "API key and scope, no limit";
pub(crate) const LIMIT: &str = "a limit, and nothing else";
pub(crate) const NONE: &str = "refused: no credential";
pub(crate) const UNKNOWN: &str = "refused: unknown key";
pub(crate) const MISTYPED: &str = "refused: key with a wrong checksum";
pub(crate) const SCOPE: &str = "refused: scope";
pub(crate) const OVER: &str = "refused: over the limit";

pub(crate) const BARE: &str = "bare";
pub(crate) const BARE_BOXED: &str = "bare, boxed body";
pub(crate) const FLOOR: &str = "floor";
pub(crate) const GATE: &str = "keygate";
pub(crate) const BY_HAND: &str = "`from_fn`, DashMap";
pub(crate) const BY_HAND_LIMITED: &str = "`from_fn`, DashMap, tower_governor";
pub(crate) const GOVERNOR: &str = "governor";
pub(crate) const JWT_AUTHORIZER: &str = "jwt-authorizer";

pub(crate) fn seen(algorithm: &str) -> String {
    format!("JWT seen before, {algorithm}")
}

pub(crate) fn first(algorithm: &str) -> String {
    format!("JWT first seen, {algorithm}")
}

pub(crate) fn forged(algorithm: &str) -> String {
    format!("refused: bad signature, {algorithm}")
}

/// The bare services first.
pub(crate) fn all() -> Vec<Case> {
    let world = World::new(MUCH);
    let known = || Requests::new(&world.known);
    let mut cases = vec![
        Case::new("nothing", BARE, BARE, step(Hello::<Plain>::new(), known(), 200)),
        Case::new("nothing", BARE_BOXED, BARE_BOXED, step(Hello::<Boxed>::new(), known(), 200)),
    ];
    cases.extend(keys::all(&world));
    cases.extend(refusals::all(&world));
    cases.extend(tokens::all());
    cases
}
