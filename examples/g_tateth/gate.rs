//! The gate: everything that G-Tateth's pages say of authentication, as configuration.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use keygate::limit::redis::RedisCounters;
use keygate::policy::{ClientAddress, Routes};
use keygate::{AuthLayer, ConfigError, Envelope, FailureBudget, Limit, Policy, Quota};

use crate::app::App;
use crate::settings::Settings;

/// Every route's gate but that of [`for_suspended`].
pub fn main(gate: AuthLayer) -> Result<AuthLayer, ConfigError> {
    let public = Routes::new().public("/api/v1/health")?.public("/api/v1/auth/login")?;
    Ok(gate.routes(public))
}

/// For the one route by which a tenant's people can end its suspension. A clone counts with the same
/// limits, so that this is no way around them.
pub fn for_suspended(gate: &AuthLayer) -> AuthLayer {
    gate.clone().admit_suspended().require(Policy::authenticated().tokens_only())
}

/// What all gates have in common.
///
/// Keys are `sk_live_…` and `sk_test_…` in `Authorization: Bearer` or `X-API-Key`, JWTs come in
/// `Authorization: Bearer`: those are the defaults. A production gate takes live keys only, a
/// staging gate test keys only.
pub fn common(app: &App, settings: &Settings) -> Result<AuthLayer, ConfigError> {
    let address = ClientAddress::peer_from(|extensions| {
        extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
    });
    let gate = AuthLayer::new(app.store.clone())
        .environment(settings.environment)
        .jwt(app.issuer.verifier().build()?)
        .tenants(app.store.clone())
        .client_address(address)
        .limit(hourly(app.redis.as_ref())?)?
        .failures(failures(Quota::per_minute(600)?, app.redis.as_ref())?)
        .render(Envelope::g_tateth());
    Ok(gate)
}

/// A key has its own quota, or else that of its tenant's plan; so does a signed-in user. Copies of
/// the service share it where they are given a server to count on.
fn hourly(redis: Option<&RedisCounters>) -> Result<Limit, ConfigError> {
    let professional = Quota::per_hour(5_000)?;
    let limit = Limit::per_key(Quota::per_hour(500)?)
        .plan("professional", professional)
        .plan("premium", professional)
        .plan("enterprise", Quota::per_hour(50_000)?)
        .prefer_key_quota();
    Ok(match redis {
        Some(redis) => limit.shared(redis.exact()),
        None => limit,
    })
}

/// How many failures an address may have, on all copies of the service.
pub fn failures(quota: Quota, redis: Option<&RedisCounters>) -> Result<FailureBudget, ConfigError> {
    let budget = FailureBudget::new(quota);
    match redis {
        Some(redis) => budget.shared(redis),
        None => Ok(budget),
    }
}
