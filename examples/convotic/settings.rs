//! What the environment says, checked before anything starts.

use std::env::{self, VarError};
use std::error::Error;
use std::net::SocketAddr;

use axum::http::Uri;
use keygate::Environment;
use openidconnect::{ClientId, ClientSecret};

use crate::http::is_safe;
use crate::provider::Registration;

pub(crate) struct Settings {
    pub(crate) listen: String,
    pub(crate) environment: Environment,
    pub(crate) secret: Vec<u8>,
    provider: Option<Registration>,
    public_url: Option<String>,
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
            provider: provider()?,
            public_url: public_url()?,
            redis: variable("REDIS_URL")?,
        })
    }
}

impl Settings {
    /// The provider, and where it sends people back to.
    pub(crate) fn provider(
        &self,
        address: SocketAddr,
    ) -> Result<Option<(Registration, String)>, &'static str> {
        let Some(registration) = self.provider.clone() else { return Ok(None) };
        match &self.public_url {
            Some(url) => Ok(Some((registration, url.clone()))),
            None if address.ip().is_loopback() => {
                Ok(Some((registration, format!("http://{address}"))))
            }
            // Neither the address nor the `Host` of a request says how browsers come here.
            None => Err("PUBLIC_URL is needed where a provider sends people back from elsewhere"),
        }
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

/// All three, or none. A provider that is only half configured must not become a demo.
fn provider() -> Result<Option<Registration>, String> {
    let names = ["OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"];
    let [issuer, client, secret] = names.map(variable);
    match (issuer?, client?, secret?) {
        (None, None, None) => Ok(None),
        (Some(issuer), Some(client), Some(secret)) if !client.is_empty() && !secret.is_empty() => {
            let (client, secret) = (ClientId::new(client), ClientSecret::new(secret));
            Ok(Some(Registration { issuer: checked("OIDC_ISSUER", issuer)?, client, secret }))
        }
        _ => Err(format!("{} go together, and none of them is empty", names.join(", "))),
    }
}

fn public_url() -> Result<Option<String>, String> {
    let Some(url) = variable("PUBLIC_URL")? else { return Ok(None) };
    let url = checked("PUBLIC_URL", url)?;
    let is_base = url.parse().is_ok_and(|url: Uri| url.path() == "/" && url.query().is_none());
    match is_base && !url.ends_with('/') {
        true => Ok(Some(url)),
        false => Err(format!("PUBLIC_URL is {url:?}, not of the form https://host")),
    }
}

/// A URL of which nobody on the network can read or change what is sent there.
fn checked(name: &str, url: String) -> Result<String, String> {
    match url.parse::<Uri>() {
        Ok(parsed) if is_safe(&parsed) => Ok(url),
        Ok(_) => Err(format!("{name} is {url:?}, neither https nor http on loopback")),
        Err(why) => Err(format!("{name} is {url:?}: {why}")),
    }
}

fn random_secret() -> Result<Vec<u8>, getrandom::Error> {
    let mut secret = vec![0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}
