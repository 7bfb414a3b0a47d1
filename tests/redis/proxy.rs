//! A way to a server that takes its time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// A URL behind which every answer comes `late`; until the runtime ends.
pub(crate) async fn slow(server: SocketAddr, late: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(server).await else { continue };
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            tokio::spawn(pass_on(client_read, server_write, Duration::ZERO));
            tokio::spawn(pass_on(server_read, client_write, late));
        }
    });
    url
}

/// What is read is written later; what comes meanwhile does not wait for it.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, late: Duration) {
    let (send, mut receive) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some((due, bytes)) = receive.recv().await {
            sleep_until(due).await;
            let bytes: Vec<u8> = bytes;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if send.send((Instant::now() + late, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}
