//! What the environment says, checked before anything starts.

use std::env::{self, VarError};
use std::error::Error;

use keygate::Environment;

pub(crate) struct Settings {
    pub(crate) listen: String,
    pub(crate) environment: Environment,
    pub(crate) secret: Vec<u8>,
    /// May hold a password, and so is never printed.
    pub(crate) redis: Option<String>,
}

impl Settings {
    pub(crate) fn from_env() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            listen: variable("LISTEN")?.unwrap_or_else(|| "127.0.0.1:3002".to_owned()),
            environment: environment(variable("APP_ENV")?.as_deref())?,
            secret: match variable("JWT_SECRET")? {
                Some(secret) => secret.into_bytes(),
                None => random_secret()?,
            },
            redis: variable("REDIS_URL")?,
        })
    }
}

fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// A misspelt environment must not become one of the two by default.
fn environment(name: Option<&str>) -> Result<Environment, String> {
    match name {
        None | Some("production") => Ok(Environment::Live),
        Some("staging") => Ok(Environment::Test),
        Some(other) => Err(format!("APP_ENV is {other:?}, not \"production\" or \"staging\"")),
    }
}

fn random_secret() -> Result<Vec<u8>, getrandom::Error> {
    let mut secret = vec![0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}
