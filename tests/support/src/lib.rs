//! What the tests share: example servers as processes, an HTTP client, and a counting allocator.

mod allocations;
mod client;
mod server;

pub use allocations::{Counting, allocations};
pub use client::{Answer, Call, Client};
pub use server::Server;
