//! What the environment says; whatever is wrong with it is said at start-up.

use std::env::{self, VarError};
use std::error::Error;
use std::net::SocketAddr;

use keygate::Environment;

use crate::store::Place;

/// The length of HS256's hash, below which a secret is weaker than it (RFC 7518 section 3.2).
const SECRET_LENGTH: usize = 32;

pub struct Settings {
    pub listen: SocketAddr,
    pub environment: Environment,
    pub secret: Vec<u8>,
    pub place: Place,
    /// Where limits are counted; a URL that may hold a password, and so is never printed.
    pub redis: Option<String>,
}

impl Settings {
    pub fn from_env() -> Result<Self, Box<dyn Error>> {
        let listen = variable("LISTEN")?.unwrap_or_else(|| "127.0.0.1:3001".into());
        Ok(Self {
            listen: listen.parse().map_err(|_| format!("LISTEN={listen:?} is no address"))?,
            environment: environment(variable("APP_ENV")?.as_deref())?,
            secret: secret(variable("JWT_SECRET")?)?,
            place: Place::read(variable("DATABASE_URL")?.as_deref())?,
            redis: variable("REDIS_URL")?,
        })
    }
}

fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} is no text")),
    }
}

fn environment(name: Option<&str>) -> Result<Environment, String> {
    match name {
        None | Some("production") => Ok(Environment::Live),
        Some("staging") => Ok(Environment::Test),
        Some(other) => Err(format!("APP_ENV={other:?} is neither production nor staging")),
    }
}

fn secret(given: Option<String>) -> Result<Vec<u8>, Box<dyn Error>> {
    let Some(given) = given else {
        let mut random = vec![0; SECRET_LENGTH];
        getrandom::fill(&mut random)?;
        return Ok(random);
    };
    if given.len() < SECRET_LENGTH {
        return Err(format!("JWT_SECRET has fewer than {SECRET_LENGTH} bytes").into());
    }
    Ok(given.into_bytes())
}
