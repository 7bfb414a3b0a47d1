//! G-Tateth's API: keys for servers, JWTs for people, one gate for both.
//!
//! | file | what it shows |
//! | --- | --- |
//! | `gate` | the gate: which keys pass, JWTs, limits by plan, the envelope |
//! | `app` | the routes, and where the gate stands before them |
//! | `login` | sign-in with a throttle; it issues the JWTs that the gate accepts |
//! | `resources` | routes that ask for scopes |
//! | `keys` | issuing, listing, changing and ending keys |
//! | `usage` | counting what keys are used for, beside the requests |
//! | `tenants` | plans, and suspending a tenant by one who belongs to it |
//! | `store` | SQLite or PostgreSQL, whichever is named; on PostgreSQL, many copies that hear of each other's changes |
//!
//! ```text
//! DATABASE_URL=sqlite:///var/tmp/g_tateth.db \
//!   cargo run --example g_tateth --features axum,sqlite,postgres,redis
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
//! | `DATABASE_URL` | `postgres://…`, `sqlite://…` or the path of a file; a temporary file unless set |
//! | `REDIS_URL` | `redis://…`: limits are counted there, for all copies; in memory unless set |

#![allow(unreachable_pub, reason = "in a program, `pub` means: for its other modules")]

mod answer;
mod app;
mod fields;
mod gate;
mod keys;
mod login;
mod resources;
mod scratch;
mod settings;
mod store;
mod tenants;
mod usage;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::app::App;
use crate::settings::Settings;

/// How long requests may take to end that were made before the stop.
const GRACE: Duration = Duration::from_secs(3);

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
    // From here on a signal ends the program in order, also while a database does not answer.
    let mut stop = Box::pin(stopped()?);
    let settings = Settings::from_env()?;
    let app = tokio::select! {
        app = App::new(&settings) => app?,
        () = &mut stop => return Ok(()),
    };
    let uses = app.uses.clone();
    let router = app::router(app, &settings)?;
    let listener = TcpListener::bind(settings.listen).await?;
    println!("g_tateth listens on http://{}", listener.local_addr()?);
    tokio::spawn(uses.clone().keep());
    let served = serve(listener, router, stop).await;
    uses.end().await?;
    Ok(served?)
}

/// Serves until `stop`, and those who have asked by then a little longer. A client that never ends
/// its request must not keep the uses from being written.
async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let stop = async {
        stop.await;
        let _ = stopping.send(());
    };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let late = async {
        let _ = stopped.await;
        sleep(GRACE).await;
    };
    tokio::select! {
        served = axum::serve(listener, service).with_graceful_shutdown(stop) => served,
        () = late => Ok(()),
    }
}

/// Ends with the signals by which supervisors and people stop a service.
#[cfg(unix)]
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
