//! Long trials: several processes, real servers, and what breaks between them.
//!
//! ```text
//! cargo run --release --manifest-path benches/drills/Cargo.toml -- revocation [REVOCATIONS]
//! cargo run --release --manifest-path benches/drills/Cargo.toml -- jwks [TOKENS]
//! cargo run --release --manifest-path benches/drills/Cargo.toml -- limits [windows] [faults]
//! ```
//!
//! Each prints tables, and in its last line what was promised and what was seen. It ends with failure
//! when a promise was broken. Servers are private ones on loopback, in temporary folders.

mod jwks;
mod limits;
mod process;
mod report;
mod revocation;

use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["revocation", ref counts @ ..] => Ok(revocation::drill(count(counts, 1_000)?).await),
        ["jwks", ref counts @ ..] => jwks::drill(count(counts, 100_000)?).await,
        ["limits", ref parts @ ..] => limits::drill(parts).await,
        [limits::NODE] => limits::node().await.map(|()| ExitCode::SUCCESS),
        [revocation::NODE] => revocation::node().await.map(|()| ExitCode::SUCCESS),
        _ => {
            eprintln!(
                "drills: revocation [REVOCATIONS] | jwks [TOKENS] | limits [windows] [faults]"
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

fn count(given: &[&str], usual: usize) -> Result<usize, Failure> {
    Ok(given.first().map(|count| count.parse()).transpose()?.unwrap_or(usual))
}
