//! The gate around a whole tonic server: refusals in gRPC, scopes by service and method.
//!
//! `cargo run --example tonic_greeter --features tonic`

mod greeter;

use std::env;
use std::error::Error;
use std::time::Duration;

use greeter::{Greeter, GreeterServer, HelloReply, HelloRequest, Replies};
use keygate::policy::{ClientAddress, Routes};
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{AuthLayer, Environment, KeyFormat, KeyRecord, Limit, Policy, Principal, Quota};
use keygate::{Rejection, RejectionKind, ScopeSet, Tenant};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Request, Response, Status, Streaming};

struct Polite;

#[tonic::async_trait]
impl Greeter for Polite {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(greeting(&request.get_ref().name, &caller)))
    }

    async fn say_hellos(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Replies>, Status> {
        let caller = caller(&request)?;
        let names: Vec<_> = request.get_ref().name.split(' ').map(str::to_owned).collect();
        let replies = names.into_iter().map(move |name| Ok(greeting(&name, &caller)));
        Ok(Response::new(Box::pin(tokio_stream::iter(replies))))
    }

    async fn converse(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<Replies>, Status> {
        let caller = caller(&request)?;
        let said = request.into_inner();
        Ok(Response::new(Box::pin(said.map(move |said| Ok(greeting(&said?.name, &caller))))))
    }
}

/// Who calls. The gate put it there; a handler that is reached without a gate refuses.
fn caller<T>(request: &Request<T>) -> Result<Principal, Rejection> {
    let caller = request.extensions().get::<Principal>().cloned();
    caller.ok_or(RejectionKind::MissingCredential.into())
}

fn greeting(name: &str, caller: &Principal) -> HelloReply {
    HelloReply { message: format!("Hello {name}, says {}", caller.subject()) }
}

fn gate(store: MemoryStore) -> Result<AuthLayer, Box<dyn Error>> {
    let routes = Routes::new()
        .grpc(greeter::SERVICE, "SayHello", Policy::all_of(["greet"])?)?
        .grpc(greeter::SERVICE, "SayHellos", Policy::all_of(["greet", "stream"])?)?
        .grpc(greeter::SERVICE, "Converse", Policy::all_of(["greet", "stream"])?)?
        .deny_unknown();
    let peer = ClientAddress::peer_from(|extensions| {
        extensions.get::<TcpConnectInfo>()?.remote_addr().map(|peer| peer.ip())
    });
    let limit = Limit::per_tenant(Quota::per_minute(60)?);
    Ok(AuthLayer::new(store).routes(routes).client_address(peer).limit(limit)?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::new();
    for scopes in ["greet", "greet stream"] {
        let key = KeyFormat::sk().generate(Environment::Live)?;
        let record = KeyRecord::new(scopes, key.digest(), Tenant::new("acme"))
            .with_access(ScopeSet::parse(scopes)?);
        store.insert(record).await?;
        println!("a key for {scopes:?}: {}", key.reveal());
    }

    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:50051".into());
    let listener = TcpListener::bind(listen).await?;
    let mut end = signal(SignalKind::terminate())?;
    println!("listening on http://{}", listener.local_addr()?);
    let (stopping, stop) = oneshot::channel();
    let server = Server::builder()
        .layer(gate(store)?)
        .add_service(GreeterServer::new(Polite))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async { _ = stop.await });
    // Calls under way are finished, but nobody is waited for who doesn't hang up.
    let patience = async {
        end.recv().await;
        _ = stopping.send(());
        sleep(Duration::from_secs(2)).await;
    };
    tokio::select! {
        served = server => Ok(served?),
        () = patience => Ok(()),
    }
}
