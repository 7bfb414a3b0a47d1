//! What the tests share: servers as processes, an HTTP client, packages of other languages, a network
//! that fails, and a counting allocator.

mod allocations;
mod child;
mod client;
mod packages;
mod postgres;
mod provider;
mod proxy;
mod redis;
mod server;
mod wait;

pub use allocations::{Counting, allocations, bytes};
pub use client::{Answer, Call, Client};
pub use packages::{Node, Python, chromium, output};
pub use postgres::{PASSWORD, Postgres};
pub use provider::OpenIdProvider;
pub use proxy::{Network, Proxy};
pub use redis::Redis;
pub use server::Server;
pub use wait::{PATIENCE, eventually, quickest, room_in_window, wait_until};

/// True where a service that is missing is a failure, not a reason to leave its tests out.
pub fn services_required() -> bool {
    std::env::var_os("KEYGATE_REQUIRE_SERVICES").is_some_and(|value| value == "1")
}
