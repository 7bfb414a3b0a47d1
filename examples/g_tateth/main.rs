//! G-Tateth's API: keys for servers, JWTs for people, one gate for both.
//!
//! | file | what it shows |
//! | --- | --- |
//! | `gate` | the gate: which keys pass, JWTs, limits by plan, the envelope |
//! | `app` | the routes, and where the gate stands before them |
//! | `login` | sign-in with a throttle; it issues the JWTs that the gate accepts |
//! | `resources` | routes that ask for scopes |
//! | `keys` | issuing, listing, changing and ending keys |
//! | `usage` | counting what keys are used for |
//! | `tenants` | plans, and suspending a tenant by one who belongs to it |
//!
//! ```text
//! cargo run --example g_tateth --features axum
//! token=$(curl -s http://127.0.0.1:3001/api/v1/auth/login --json \
//!   '{"email": "demo@example.com", "password": "demo-password"}' | jq -r .data.token)
//! curl -s http://127.0.0.1:3001/api/v1/api-keys -H "Authorization: Bearer $token" --json \
//!   '{"name": "nightly export", "permissions": ["read:conversations"]}'
//! ```
//!
//! | variable | meaning |
//! | --- | --- |
//! | `LISTEN` | the address to listen on, `127.0.0.1:3001` unless set |
//! | `APP_ENV` | `production` (live keys, the default) or `staging` (test keys) |
//! | `JWT_SECRET` | at least 32 bytes; random at each start unless set |

#![allow(unreachable_pub, reason = "in a program, `pub` means: for its other modules")]

mod answer;
mod app;
mod fields;
mod gate;
mod keys;
mod login;
mod resources;
mod settings;
mod tenants;
mod usage;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;

use crate::settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("g_tateth: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let app = app::router(&settings).await?;
    let listener = TcpListener::bind(settings.listen).await?;
    println!("g_tateth listens on http://{}", listener.local_addr()?);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stopped()?).await?;
    Ok(())
}

/// Ends with the signal by which supervisors stop a service.
#[cfg(unix)]
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        terminated.recv().await;
    })
}

#[cfg(not(unix))]
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
