//! The two gates. All that Convotic promises about authentication and limits stands here.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use keygate::limit::FailureBudget;
use keygate::policy::{ClientAddress, Routes, SameOrigin};
use keygate::render::Envelope;
use keygate::session::Sessions;
use keygate::store::KeyStore;
use keygate::{
    AuthLayer, ConfigError, Environment, KeyFormat, Limit, Policy, Quota, RejectionKind, Source,
};

/// Opened by API keys, in `X-API-Key` and nowhere else.
pub(crate) fn api(
    store: impl KeyStore,
    environment: Environment,
    limit: Limit,
    failures: FailureBudget,
) -> Result<AuthLayer, ConfigError> {
    // Keys hold full access to their workspace. Its bills are for people.
    let routes = Routes::new()
        .require_all("/v1/billing", Policy::deny())?
        .require_all("/v1/billing/{*rest}", Policy::deny())?;
    Ok(AuthLayer::new(store)
        .sources([Source::header("x-api-key")?])?
        .key_formats([KeyFormat::cvtk()])?
        .environment(environment)
        .routes(routes)
        .limit(limit)?
        .failures(failures)
        .client_address(peer())
        .realm("convotic")?
        .render(Envelope::convotic()))
}

/// A thousand requests a minute for a workspace.
pub(crate) fn limit() -> Result<Limit, ConfigError> {
    Ok(Limit::per_tenant(Quota::per_minute(1000)?))
}

/// Opened by the cookie of a person who has signed in, and by nothing else.
///
/// It has no limit and counts against none. It looks up no workspace either: one that is suspended
/// keeps its dashboard, where it can end the suspension, while the API refuses its keys.
pub(crate) fn dashboard(
    sessions: &Sessions,
    failures: FailureBudget,
) -> Result<AuthLayer, ConfigError> {
    Ok(sessions
        .gate()?
        .routes(Routes::new().public("/auth/demo")?)
        .failures(failures)
        .client_address(peer())
        .realm("convotic")?
        .render(Envelope::convotic().code(RejectionKind::MissingCredential, "missing_session")))
}

/// A browser says where a request comes from; from another site it is refused. What says nothing is
/// no browser but a program such as curl, which no foreign page can make send a cookie.
pub(crate) fn same_origin() -> SameOrigin {
    SameOrigin::new().admit_programs()
}

/// No proxy stands in front, so no header is believed.
fn peer() -> ClientAddress {
    ClientAddress::peer_from(|extensions: &Extensions| -> Option<IpAddr> {
        extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
    })
}
