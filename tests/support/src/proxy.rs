//! A network that fails.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It arrives.
    Whole,
    /// It is held back, on old connections and new ones, and nobody is told.
    Silent,
    /// Connections are reset, new ones at once.
    Reset,
}

/// Forwards connections to a server, as long as the network is whole.
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
}

type State = watch::Receiver<Network>;

impl Proxy {
    /// A proxy on a free port of loopback.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (network, state) = watch::channel(Network::Whole);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, state.clone()));
            }
        });
        Ok(Self { address, network })
    }

    /// What connects to it is connected to the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, on all connections.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn carry(client: TcpStream, server: SocketAddr, state: State) {
    let reset = wait_for(state.clone(), |network| network == Network::Reset);
    tokio::select! {
        () = forward(&client, server, state) => return,
        () = reset => {}
    }
    let _ = client.set_zero_linger();
}

async fn wait_for(mut state: State, wanted: impl Fn(Network) -> bool) {
    // The proxy has gone: so has the drill.
    let _ = state.wait_for(|network| wanted(*network)).await;
}

/// Until one side ends.
async fn forward(client: &TcpStream, server: SocketAddr, state: State) {
    wait_for(state.clone(), |network| network == Network::Whole).await;
    let Ok(server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        () = pump(client, &server, state.clone()) => {}
        () = pump(&server, client, state) => {}
    }
}

async fn pump(from: &TcpStream, to: &TcpStream, state: State) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(()) = from.readable().await else { return };
        wait_for(state.clone(), |network| network != Network::Silent).await;
        match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                if write_all(to, &buffer[..n]).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
