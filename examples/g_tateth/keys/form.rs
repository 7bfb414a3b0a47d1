//! What a request says of a key, checked field by field.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use keygate::store::KeyFilter;
use keygate::{
    Environment, KeyRecord, KeyStatus, NewKey, Quota, RotationPolicy, ScopeSet, Tenant, Timestamp,
};
use serde::Deserialize;

use super::PERMISSIONS;
use crate::answer::Refusal;
use crate::fields::{Fields, Parameters, bad};

const LONGEST_NAME: usize = 100;
const MOST_NETWORKS: usize = 100;
const LONGEST_PAGE: usize = 100;

/// What `POST /api-keys` asks for.
pub struct Asked {
    name: String,
    environment: Environment,
    pub permissions: ScopeSet,
    expires: Option<Timestamp>,
    quota: Option<Quota>,
    networks: Vec<IpNet>,
    rotation: Option<RotationPolicy>,
}

impl Asked {
    pub fn read(mut fields: Fields, now: Timestamp) -> Result<Self, Refusal> {
        let named: Option<String> = fields.take("environment", ENVIRONMENT)?;
        let asked = Self {
            name: name(fields.need("name", NAME)?)?,
            environment: named.as_deref().map_or(Ok(Environment::Live), environment)?,
            permissions: permissions(fields.need("permissions", LIST_OF_PERMISSIONS)?)?,
            expires: fields.take("expiresAt", TIME)?.map(|at| expiry(at, now)).transpose()?,
            quota: fields.take("rateLimit", RATE_LIMIT)?.map(RateLimit::quota).transpose()?,
            networks: networks(fields.take("ipWhitelist", NETWORKS)?.unwrap_or_default())?,
            rotation: fields
                .take("rotationPolicy", ROTATION)?
                .map_or(Ok(None), Rotation::policy)?,
        };
        fields.end()?;
        Ok(asked)
    }

    pub fn key(self, tenant: Tenant) -> NewKey {
        NewKey::new(tenant, self.name)
            .environment(self.environment)
            .access(self.permissions)
            .expires(self.expires)
            .quota(self.quota)
            .networks(self.networks)
            .rotation(self.rotation)
    }
}

/// What `PATCH /api-keys/{id}` asks for.
pub struct Changes {
    name: Option<String>,
    pub permissions: Option<ScopeSet>,
    active: Option<bool>,
}

impl Changes {
    pub fn read(mut fields: Fields) -> Result<Self, Refusal> {
        let named = fields.take("permissions", LIST_OF_PERMISSIONS)?;
        let changes = Self {
            name: fields.take("name", NAME)?.map(name).transpose()?,
            permissions: named.map(permissions).transpose()?,
            active: fields.take("isActive", "true or false")?,
        };
        fields.end()?;
        Ok(changes)
    }

    pub fn write(&self, mut record: KeyRecord) -> KeyRecord {
        if let Some(name) = &self.name {
            record = record.with_name(name.as_str());
        }
        if let Some(permissions) = &self.permissions {
            record = record.with_access(permissions.clone());
        }
        match self.active {
            Some(true) => record.with_status(KeyStatus::Active),
            Some(false) => record.with_status(KeyStatus::Inactive),
            None => record,
        }
    }
}

/// Which keys `GET /api-keys` asks for.
pub struct Listing {
    environment: Option<Environment>,
    active: Option<bool>,
    pub page: usize,
    pub limit: usize,
}

impl Listing {
    pub fn read(parameters: &Parameters) -> Result<Self, Refusal> {
        Ok(Self {
            environment: parameters.text("environment").map(environment).transpose()?,
            active: parameters.read("isActive", "true or false")?,
            page: count(parameters, "page", usize::MAX)?.unwrap_or(1),
            limit: count(parameters, "limit", LONGEST_PAGE)?.unwrap_or(20),
        })
    }

    pub fn filter(&self) -> KeyFilter {
        let mut filter = KeyFilter::new().page(self.page, self.limit);
        if let Some(environment) = self.environment {
            filter = filter.environment(environment);
        }
        match self.active {
            Some(active) => filter.active(active),
            None => filter,
        }
    }
}

fn count(parameters: &Parameters, name: &str, most: usize) -> Result<Option<usize>, Refusal> {
    let form = format!("a number from 1 to {most}");
    let count = parameters.read(name, &form)?;
    match count {
        Some(count) if !(1..=most).contains(&count) => Err(bad(name, &form)),
        count => Ok(count),
    }
}

const NAME: &str = "a text of 1 to 100 characters";
const ENVIRONMENT: &str = "production or staging";
const LIST_OF_PERMISSIONS: &str = "a list of one permission or more";
const TIME: &str = "a time in the future, before 2262, such as 2030-01-31T12:00:00Z";
const NETWORKS: &str = "a list of at most 100 addresses and networks such as 203.0.113.0/24";
const RATE_LIMIT: &str = r#"of the form {"requests": 10000, "window": "1h"}"#;
const INTERVAL: &str = "an interval of at most 3650 days that is longer than its notice";
const ROTATION: &str =
    r#"of the form {"enabled": true, "intervalDays": 90, "notifyDaysBefore": 7}"#;

fn name(name: String) -> Result<String, Refusal> {
    let length = name.chars().count();
    // PostgreSQL has no texts with a NUL.
    if name.trim().is_empty() || length > LONGEST_NAME || name.contains('\0') {
        return Err(bad("name", NAME));
    }
    Ok(name)
}

fn environment(name: &str) -> Result<Environment, Refusal> {
    match name {
        "production" => Ok(Environment::Live),
        "staging" => Ok(Environment::Test),
        _ => Err(bad("environment", ENVIRONMENT)),
    }
}

fn permissions(names: Vec<String>) -> Result<ScopeSet, Refusal> {
    if names.is_empty() {
        return Err(bad("permissions", LIST_OF_PERMISSIONS));
    }
    let known = names.iter().all(|name| PERMISSIONS.contains(&name.as_str()));
    let scopes = ScopeSet::new(&names).ok().filter(|_| known);
    scopes.ok_or_else(|| bad("permissions", &format!("among {}", PERMISSIONS.join(", "))))
}

fn expiry(text: String, now: Timestamp) -> Result<Timestamp, Refusal> {
    let time = text.parse::<jiff::Timestamp>().ok();
    // Databases count with a sign, until 2262; what is later would come back as another time.
    let nanos = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    let nanos = nanos.and_then(|nanos| u64::try_from(nanos).ok());
    let expires = nanos.map(Timestamp::from_nanos).filter(|expires| *expires > now);
    expires.ok_or_else(|| bad("expiresAt", TIME))
}

fn networks(texts: Vec<String>) -> Result<Vec<IpNet>, Refusal> {
    let networks: Option<Vec<_>> = texts.iter().map(|text| network(text)).collect();
    let networks = networks.filter(|networks| networks.len() <= MOST_NETWORKS);
    networks.ok_or_else(|| bad("ipWhitelist", NETWORKS))
}

fn network(text: &str) -> Option<IpNet> {
    let address = text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
    address.ok().or_else(|| text.parse().ok())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimit {
    requests: u64,
    window: String,
}

impl RateLimit {
    fn quota(self) -> Result<Quota, Refusal> {
        let window = window(&self.window);
        let quota = window.and_then(|window| Quota::new(self.requests, window).ok());
        quota.ok_or_else(|| bad("rateLimit", RATE_LIMIT))
    }
}

/// Such as `1h`: a number of seconds, minutes, hours or days.
fn window(text: &str) -> Option<Duration> {
    let (_, unit) = UNITS.into_iter().find(|(name, _)| text.ends_with(*name))?;
    let number = text.get(..text.len() - 1)?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| digits)?;
    number.checked_mul(unit).map(Duration::from_secs)
}

/// The units of windows, in seconds.
pub const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// When a key's owner wants to be reminded of making a new one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rotation {
    enabled: bool,
    interval_days: u16,
    notify_days_before: u16,
}

impl Rotation {
    /// One that is not enabled is none.
    fn policy(self) -> Result<Option<RotationPolicy>, Refusal> {
        let policy = RotationPolicy::new(self.interval_days, self.notify_days_before);
        let policy = policy.map_err(|_| bad("rotationPolicy", INTERVAL))?;
        Ok(self.enabled.then_some(policy))
    }
}
