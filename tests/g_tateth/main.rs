//! G-Tateth's contract, held against the example `g_tateth` as a process, over HTTP.
//!
//! Nothing here knows how the example works: only its variables `LISTEN`, `APP_ENV`, `JWT_SECRET` and
//! `DATABASE_URL`, its users, and what its pages promise. Each test has a server of its own.

mod api;
mod credentials;
mod durable;
mod isolation;
mod key_rules;
mod keys;
mod limits;
mod process;
mod restart;
mod sign_in;
mod tenants;
mod tokens;
mod usage;
