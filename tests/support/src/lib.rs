//! What the tests share: example servers as processes, and an HTTP client.

mod client;
mod server;

pub use client::{Answer, Call, Client};
pub use server::Server;
