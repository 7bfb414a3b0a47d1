//! A way to Redis that takes its time when told to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Forwards connections to a server. Every answer comes as late as is set.
pub(crate) struct Slow {
    pub(crate) address: SocketAddr,
    millis: Arc<AtomicU64>,
}

impl Slow {
    pub(crate) async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, millis) = (listener.local_addr()?, Arc::<AtomicU64>::default());
        let late = Arc::clone(&millis);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                tokio::spawn(pass_on(client_read, server_write, Arc::default()));
                tokio::spawn(pass_on(server_read, client_write, Arc::clone(&late)));
            }
        });
        Ok(Self { address, millis })
    }

    pub(crate) fn late_by(&self, late: Duration) {
        self.millis.store(late.as_millis() as u64, Ordering::Relaxed);
    }
}

/// What is read is written later; what comes meanwhile does not wait for it.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, millis: Arc<AtomicU64>) {
    let (send, mut receive) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = receive.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let late = Duration::from_millis(millis.load(Ordering::Relaxed));
        if send.send((Instant::now() + late, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}
