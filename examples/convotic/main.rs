//! Convotic: an API opened by keys, and the dashboard on which people manage those keys.
//!
//! Two gates, because the two callers share nothing: a key never opens the dashboard, a session
//! never opens the API, and what people do there costs their programs no quota. A third one stands
//! where people come back from the OpenID provider at which they have signed in.
//!
//! ```text
//! LISTEN=127.0.0.1:3002 APP_ENV=production cargo run --example convotic --features axum,redis,remote
//!
//! curl -i -X POST http://127.0.0.1:3002/auth/demo
//! curl -X POST http://127.0.0.1:3002/dashboard/api-keys -H 'Cookie: __Host-session=eyJ…' \
//!      -H 'Content-Type: application/json' -d '{"name": "production-backend"}'
//! curl http://127.0.0.1:3002/v1/contacts -H 'X-API-Key: cvtk_live_…'
//! ```
//!
//! | variable | default | |
//! | --- | --- | --- |
//! | `LISTEN` | `127.0.0.1:3002` | where to listen; port 0 takes a free one |
//! | `APP_ENV` | `production` | or `staging`, where keys are test keys |
//! | `JWT_SECRET` | random | at least 32 bytes; sessions survive a restart only with the same one |
//! | `REDIS_URL` | none | where limits are counted for all copies; without it, in memory |
//! | `OIDC_ISSUER` | | the provider, such as `https://accounts.google.com`; plain http on loopback only |
//! | `OIDC_CLIENT_ID`, `OIDC_CLIENT_SECRET` | | what the provider calls Convotic, and its proof |
//! | `PUBLIC_URL` | `http://` and `LISTEN` | where browsers find it, such as `https://app.convotic.com` |
//!
//! With a provider, people open `/auth/login` in a browser, and `/auth/callback` behind `PUBLIC_URL` is
//! what the provider has to know as the redirect URI. Whoever has an account there gets a workspace of
//! their own. Without a provider everybody is the demo person.

mod answer;
mod api;
mod dashboard;
mod gates;
mod http;
mod provider;
mod refusal;
mod session;
mod settings;
mod sign_in;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use keygate::limit::FailureBudget;
use keygate::limit::redis::RedisCounters;
use keygate::session::Sessions;
use keygate::store::MemoryStore;
use keygate::{Clock, ConfigError, Environment, Limit, Quota, SystemClock, Timestamp};
use tokio::net::TcpListener;

use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::sign_in::SignIn;

/// What all handlers share.
#[derive(Clone)]
struct App {
    store: MemoryStore,
    sessions: Sessions,
    environment: Environment,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("convotic: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let listener = TcpListener::bind(&settings.listen).await?;
    let address = listener.local_addr()?;
    let service = service(&settings, address).await?;
    let stop = termination()?;
    println!("convotic is ready on http://{address}");
    axum::serve(listener, service.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}

async fn service(settings: &Settings, address: SocketAddr) -> Result<Router, Box<dyn Error>> {
    let sessions =
        session::sessions(&settings.secret).map_err(|why| format!("JWT_SECRET: {why}"))?;
    let store = MemoryStore::new();
    // Whoever guesses keys and whoever forges sessions draw on one budget.
    let redis = settings.redis.as_deref().map(RedisCounters::open).transpose()?;
    let failures = failures(redis.as_ref())?;
    let limit = limit(redis.as_ref())?;
    let api = gates::api(store.clone(), settings.environment, limit, failures.clone())?;
    let dashboard = gates::dashboard(&sessions, failures.clone())?;
    let app = App { store, sessions, environment: settings.environment };
    let (signed_out, signed_in) = match settings.provider(address)? {
        Some((registration, base)) => {
            let provider = Provider::new(registration, &base).await?;
            let sign_in = SignIn::new(provider, app.sessions.clone(), &settings.secret)?;
            let gate = gates::sign_in(sign_in.verifier()?, sign_in.cookie().source(), failures)?;
            (sign_in::routes(sign_in).layer(gate), dashboard::routes(&app))
        }
        None => (Router::new(), dashboard::routes(&app).merge(session::demo_route())),
    };
    Ok(Router::new()
        .merge(api::routes(&app).layer(api))
        .merge(signed_in.layer(dashboard))
        .merge(signed_out)
        .fallback(not_found)
        .with_state(app))
}

/// Of all copies of the service together where they are given a server to count on; most requests are
/// counted without asking it.
fn limit(redis: Option<&RedisCounters>) -> Result<Limit, ConfigError> {
    let limit = gates::limit()?;
    Ok(match redis {
        Some(redis) => limit.shared(redis.leased()),
        None => limit,
    })
}

/// How many failures an address may have, on all copies as well.
fn failures(redis: Option<&RedisCounters>) -> Result<FailureBudget, ConfigError> {
    let budget = FailureBudget::new(Quota::per_minute(600)?);
    match redis {
        Some(redis) => budget.shared(redis),
        None => Ok(budget),
    }
}

async fn not_found() -> Refusal {
    Refusal::NotFound
}

async fn method_not_allowed() -> Refusal {
    Refusal::MethodNotAllowed
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

/// Ends when the process is told to end. From this call on it is no longer killed.
#[cfg(unix)]
fn termination() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn termination() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
