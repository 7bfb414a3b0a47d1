//! What is told of a key: never its text.

use ipnet::IpNet;
use keygate::store::KeyFilter;
use keygate::{Access, Environment, KeyRecord, KeyStatus, Quota, RotationPolicy, Timestamp};
use serde_json::{Value, json};

use super::PERMISSIONS;
use super::form::UNITS;

pub fn key(record: &KeyRecord, now: Timestamp) -> Value {
    json!({
        "id": record.id(),
        "name": record.name(),
        "keyPrefix": record.display(),
        "environment": environment(record.environment()),
        "permissions": permissions(record.access()),
        "isActive": KeyFilter::new().active(true).admits(record, now),
        "isRevoked": record.status() == KeyStatus::Revoked,
        "createdAt": time(record.created()),
        "expiresAt": record.expires().map(time),
        "rotationPolicy": record.rotation().map(rotation),
        "rateLimit": record.quota().map(rate_limit),
        "ipWhitelist": record.networks().iter().map(network).collect::<Vec<_>>(),
    })
}

/// ISO 8601, in UTC.
pub fn time(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(time.as_nanos().into());
    time.ok().map(|time| time.to_string())
}

fn environment(environment: Environment) -> &'static str {
    match environment {
        Environment::Test => "staging",
        _ => "production",
    }
}

fn permissions(access: &Access) -> Value {
    match access {
        Access::Scopes(scopes) => json!(scopes),
        _ => json!(PERMISSIONS),
    }
}

fn rotation(policy: RotationPolicy) -> Value {
    json!({
        "enabled": true,
        "intervalDays": policy.every_days(),
        "notifyDaysBefore": policy.notify_days_before(),
    })
}

fn rate_limit(quota: &Quota) -> Value {
    json!({ "requests": quota.limit(), "window": window(quota.window().as_secs()) })
}

/// The same text that the request had, or one with a larger unit: `60m` is `1h`.
fn window(seconds: u64) -> String {
    let whole = UNITS.into_iter().find(|(_, unit)| seconds.is_multiple_of(*unit));
    let (name, unit) = whole.unwrap_or(('s', 1));
    format!("{}{name}", seconds / unit)
}

/// A network of one address is that address.
fn network(network: &IpNet) -> String {
    match network.prefix_len() == network.max_prefix_len() {
        true => network.addr().to_string(),
        false => network.to_string(),
    }
}
