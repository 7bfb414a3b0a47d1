//! The gate without a framework: hyper 1, a function as the service, HTTP/1.1 and HTTP/2.
//!
//! There is no router here, so the gate's own [`Routes`] say what each path asks of its callers, and
//! refuse whatever they don't name.
//!
//! `cargo run --example hyper_plain`

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use keygate::policy::{PeerAddr, Routes};
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{AuthLayer, Environment, KeyFormat, KeyRecord, Policy, Principal, ScopeSet, Tenant};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

type Answer = Response<Full<Bytes>>;

/// The service. Whoever reaches it has passed the gate.
async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let caller = request.extensions().get::<Principal>();
    Ok(match (request.uri().path(), caller) {
        ("/health", _) => Response::new(Full::from("ok\n")),
        ("/notes", Some(caller)) => {
            Response::new(Full::from(format!("notes of {}\n", caller.subject())))
        }
        _ => status(StatusCode::NOT_FOUND),
    })
}

fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn routes() -> Result<Routes, Box<dyn Error>> {
    Ok(Routes::new()
        .public("/health")?
        .require(Method::GET, "/notes", Policy::all_of(["read:notes"])?)?
        .require(Method::POST, "/notes", Policy::all_of(["write:notes"])?)?
        .deny_unknown())
}

/// Keys that may read, and, of these networks only, write.
async fn store() -> Result<(MemoryStore, [String; 2]), Box<dyn Error>> {
    let (store, format) = (MemoryStore::new(), KeyFormat::sk());
    let reader = format.generate(Environment::Live)?;
    let writer = format.generate(Environment::Live)?;
    let record = KeyRecord::new("reader", reader.digest(), Tenant::new("acme"))
        .with_access(ScopeSet::new(["read:notes"])?);
    store.insert(record).await?;
    let record = KeyRecord::new("writer", writer.digest(), Tenant::new("acme"))
        .with_access(ScopeSet::new(["read:notes", "write:notes"])?)
        .with_networks(["127.0.0.0/8".parse()?, "::1/128".parse()?]);
    store.insert(record).await?;
    Ok((store, [reader.reveal().to_owned(), writer.reveal().to_owned()]))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (store, [reader, writer]) = store().await?;
    let gate = AuthLayer::new(store).routes(routes()?);

    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3004".into());
    let listener = TcpListener::bind(listen).await?;
    let mut end = signal(SignalKind::terminate())?;
    println!("a key that may read:  {reader}");
    println!("a key that may write: {writer}");
    println!("listening on http://{}", listener.local_addr()?);

    let open = GracefulShutdown::new();
    loop {
        tokio::select! {
            connection = listener.accept() => match connection {
                Ok((stream, peer)) => serve(&gate, stream, peer, &open),
                Err(error) => eprintln!("a connection failed: {error}"),
            },
            _ = end.recv() => break,
        }
    }
    // Requests under way are finished, but nobody is waited for who doesn't hang up.
    let _ = timeout(Duration::from_secs(2), open.shutdown()).await;
    Ok(())
}

/// Serves one connection. The gate finds the peer in the extensions of each of its requests.
fn serve(gate: &AuthLayer, stream: TcpStream, peer: SocketAddr, open: &GracefulShutdown) {
    let service = gate.layer(service_fn(answer)).map_request(move |mut request: Request<_>| {
        request.extensions_mut().insert(PeerAddr::new(peer));
        request
    });
    let builder = Builder::new(TokioExecutor::new());
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("a connection failed: {error}");
        }
    });
}
