//! Records, tenants and events as rows, and rows as them again.

use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value};

use super::value::{Row, Value, unreadable};
use crate::store::{AuditEvent, StoreError};
use crate::{Access, KeyDigest, KeyId, KeyRecord, Tenant, TenantId, TenantStatus, Timestamp};

/// A time as it is kept: nanoseconds since 1970. What lies beyond April 2262 is kept, and read, as
/// the end of time: databases count with a sign.
pub(super) fn time(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanos()).unwrap_or(i64::MAX)
}

fn read_time(nanos: i64) -> Result<Timestamp, &'static str> {
    match nanos {
        i64::MAX => Ok(Timestamp::MAX),
        nanos => u64::try_from(nanos).map(Timestamp::from_nanos).map_err(|_| "before 1970"),
    }
}

/// The word for a variant, as in JSON.
pub(super) fn name(variant: impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

fn named<T: DeserializeOwned>(column: &'static str, name: &str) -> Result<T, StoreError> {
    let read = T::deserialize(name.into_deserializer());
    read.map_err(|error: value::Error| unreadable(column, error))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn from_json<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

/// The facts of a record under `revision`, in the order of their columns, the id and tenant last.
pub(super) fn facts(record: &KeyRecord, revision: u64) -> Vec<Value> {
    let networks: Vec<_> = record.networks().iter().map(IpNet::to_string).collect();
    vec![
        record.digest().as_bytes().as_slice().into(),
        record.display().into(),
        record.name().into(),
        name(record.environment()).into(),
        json(record.access()).into(),
        time(record.created()).into(),
        record.expires().map(time).into(),
        name(record.status()).into(),
        json(&networks).into(),
        record.quota().map(json).into(),
        record.rotation().as_ref().map(json).into(),
        record.deprecated().map(time).into(),
        record.successor().map(KeyId::as_str).into(),
        self::revision(revision).into(),
        record.id().as_str().into(),
        record.tenant().id().as_str().into(),
    ]
}

/// A revision is only ever compared for being the same, so its bits may stand for a number with a
/// sign.
pub(super) fn revision(revision: u64) -> i64 {
    revision.cast_signed()
}

/// Reads a record, its columns in the order of [`facts`], then its tenant's.
pub(super) fn read(mut row: Row) -> Result<Arc<KeyRecord>, StoreError> {
    let row = &mut row;
    let facts = Facts::read(row)?;
    let (end, revision) = (Succession::read(row)?, row.int("revision")?.cast_unsigned());
    let id = KeyId::new(row.text("id")?);
    let record = KeyRecord::new(id, facts.digest, tenant(row)?);
    Ok(Arc::new(end.add_to(facts.add_to(record)).with_revision(revision)))
}

/// All columns up to the rotation.
struct Facts {
    digest: KeyDigest,
    display: String,
    name: String,
    environment: crate::Environment,
    access: Access,
    created: Timestamp,
    expires: Option<Timestamp>,
    status: crate::KeyStatus,
    networks: Vec<IpNet>,
    quota: Option<crate::Quota>,
    rotation: Option<crate::RotationPolicy>,
}

impl Facts {
    fn read(row: &mut Row) -> Result<Self, StoreError> {
        Ok(Self {
            digest: digest(&row.bytes("digest")?)?,
            display: row.text("display")?,
            name: row.text("name")?,
            environment: named("environment", &row.text("environment")?)?,
            access: from_json("access", &row.text("access")?)?,
            created: at("created", row.int("created")?)?,
            expires: row.int_or_null("expires")?.map(|end| at("expires", end)).transpose()?,
            status: named("status", &row.text("status")?)?,
            networks: networks(&row.text("networks")?)?,
            quota: optional("quota", row)?,
            rotation: optional("rotation", row)?,
        })
    }

    fn add_to(self, record: KeyRecord) -> KeyRecord {
        record
            .with_display(self.display)
            .with_name(self.name)
            .with_environment(self.environment)
            .with_access(self.access)
            .with_created(self.created)
            .with_expires(self.expires)
            .with_status(self.status)
            .with_networks(self.networks)
            .with_quota(self.quota)
            .with_rotation(self.rotation)
    }
}

/// Which key follows, and since when.
struct Succession(Option<(KeyId, Timestamp)>);

impl Succession {
    fn read(row: &mut Row) -> Result<Self, StoreError> {
        let deprecated = row.int_or_null("deprecated")?;
        match (row.text_or_null("successor")?, deprecated) {
            (None, None) => Ok(Self(None)),
            (Some(id), Some(since)) => Ok(Self(Some((KeyId::new(id), at("deprecated", since)?)))),
            _ => {
                Err(unreadable("successor", "it stands without the time since when, or that alone"))
            }
        }
    }

    fn add_to(self, record: KeyRecord) -> KeyRecord {
        match self.0 {
            Some((id, since)) => record.with_successor(id, since),
            None => record,
        }
    }
}

fn at(column: &'static str, nanos: i64) -> Result<Timestamp, StoreError> {
    read_time(nanos).map_err(|reason| unreadable(column, reason))
}

fn digest(bytes: &[u8]) -> Result<KeyDigest, StoreError> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|error| unreadable("digest", error))?;
    Ok(KeyDigest::from_bytes(bytes))
}

fn networks(text: &str) -> Result<Vec<IpNet>, StoreError> {
    let texts: Vec<String> = from_json("networks", text)?;
    let networks = texts.iter().map(|network| network.parse::<IpNet>());
    networks.collect::<Result<_, _>>().map_err(|error| unreadable("networks", error))
}

fn optional<T: DeserializeOwned>(
    column: &'static str,
    row: &mut Row,
) -> Result<Option<T>, StoreError> {
    let text = row.text_or_null(column)?;
    text.map(|text| from_json(column, &text)).transpose()
}

/// A tenant's columns.
pub(super) fn tenant_facts(tenant: &Tenant) -> Vec<Value> {
    vec![tenant.id().as_str().into(), name(tenant.status()).into(), tenant.plan().into()]
}

pub(super) fn read_tenant(mut row: Row) -> Result<Arc<Tenant>, StoreError> {
    tenant(&mut row).map(Arc::new)
}

fn tenant(row: &mut Row) -> Result<Tenant, StoreError> {
    let id = TenantId::new(row.text("tenant")?);
    let status: TenantStatus = named("status of the tenant", &row.text("status of the tenant")?)?;
    let tenant = Tenant::new(id).with_status(status);
    Ok(match row.text_or_null("plan")? {
        Some(plan) => tenant.with_plan(plan),
        None => tenant,
    })
}

/// An event's columns.
pub(super) fn event_facts(event: &AuditEvent) -> Vec<Value> {
    vec![
        time(event.at).into(),
        (*event.actor).into(),
        event.action.as_str().into(),
        event.tenant.as_str().into(),
        event.key.as_ref().map(KeyId::as_str).into(),
    ]
}

pub(super) fn read_event(mut row: Row) -> Result<AuditEvent, StoreError> {
    let when = at("at", row.int("at")?)?;
    let actor = row.text("actor")?;
    let action = row.text("action")?.parse().map_err(|error| unreadable("action", error))?;
    let tenant = TenantId::new(row.text("tenant")?);
    let key = row.text_or_null("key_id")?.map(KeyId::new);
    Ok(AuditEvent::new(when, actor, action, tenant, key))
}

/// A time as it is read from a column, for what is no record.
pub(super) fn last_use(nanos: i64) -> Result<Timestamp, StoreError> {
    at("at", nanos)
}
