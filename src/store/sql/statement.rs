//! All SQL of the stores but their migrations. SQLite and PostgreSQL read the same text.
//!
//! Parameters are numbered in the order in which they first stand in a statement: SQLite takes `$1`
//! for a name and counts for itself.

use super::{Query, Step};

/// What databases say differently.
pub(in crate::store) struct Dialect {
    /// Gives a row when the table of migrations exists.
    pub(in crate::store) is_migrated: &'static str,
    /// Makes migrations wait for each other.
    pub(in crate::store) lock: Option<&'static str>,
    /// Each brings the tables to its version, counted from 1.
    pub(in crate::store) migrations: &'static [&'static str],
    /// [`insert_key`] with the number that stands for the order of issue.
    pub(in crate::store) insert_key: &'static str,
}

macro_rules! select_keys {
    ($which:expr) => {
        concat!(
            "SELECT k.digest, k.display, k.name, k.environment, k.access, k.created, k.expires,",
            " k.status, k.networks, k.quota, k.rotation, k.deprecated, k.successor, k.revision,",
            " k.id, t.id, t.status, t.plan",
            " FROM keygate_keys k JOIN keygate_tenants t ON t.id = k.tenant ",
            $which
        )
    };
}

macro_rules! filtered {
    () => {
        "WHERE k.tenant = $1 \
         AND (CAST($2 AS TEXT) IS NULL OR k.environment = $2) \
         AND (CAST($3 AS BIGINT) IS NULL OR $3 = CASE WHEN k.status = 'active' \
         AND (k.expires IS NULL OR k.expires > $4) THEN 1 ELSE 0 END)"
    };
}

macro_rules! insert_key {
    ($issued:literal) => {
        concat!(
            "INSERT INTO keygate_keys (digest, display, name, environment, access, created,",
            " expires, status, networks, quota, rotation, deprecated, successor, revision, id,",
            " tenant, issued) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,",
            " $14, $15, $16, ",
            $issued,
            ")"
        )
    };
}
pub(in crate::store) use insert_key;

pub(super) const FIND: &str = select_keys!("WHERE k.digest = $1");
pub(super) const GET: &str = select_keys!("WHERE k.id = $1 AND k.tenant = $2");
pub(super) const LIST: &str =
    select_keys!(concat!(filtered!(), " ORDER BY k.issued LIMIT $5 OFFSET $6"));
pub(super) const COUNT: &str = concat!("SELECT count(*) FROM keygate_keys k ", filtered!());

pub(super) const REPLACE: &str = "UPDATE keygate_keys SET digest = $1, display = $2, name = $3, \
     environment = $4, access = $5, created = $6, expires = $7, status = $8, networks = $9, \
     quota = $10, rotation = $11, deprecated = $12, successor = $13, revision = $14 \
     WHERE id = $15 AND tenant = $16 AND revision = $17";
pub(super) const DELETE: &str = "DELETE FROM keygate_keys WHERE id = $1 AND tenant = $2";

pub(super) const TENANT: &str = "SELECT id, status, plan FROM keygate_tenants WHERE id = $1";
/// A tenant that is kept already stays as it is: a suspended one gets no key that works.
pub(super) const MEET_TENANT: &str = "INSERT INTO keygate_tenants (id, status, plan) \
     VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
pub(super) const PUT_TENANT: &str = "INSERT INTO keygate_tenants (id, status, plan) \
     VALUES ($1, $2, $3) ON CONFLICT (id) \
     DO UPDATE SET status = excluded.status, plan = excluded.plan";

pub(super) const TELL: &str = "INSERT INTO keygate_events (at, actor, action, tenant, key_id) \
     VALUES ($1, $2, $3, $4, $5)";
pub(super) const EVENTS: &str = "SELECT at, actor, action, tenant, key_id FROM keygate_events \
     WHERE tenant = $1 ORDER BY seq DESC LIMIT $2 OFFSET $3";

/// Endpoints are counted by name as long as there are few for one key and month, the rest as
/// `other`, as in memory. `WHERE TRUE` tells SQLite that ON CONFLICT is no join's.
pub(super) const ADD_USE: &str = "INSERT INTO keygate_uses (key_id, month, endpoint, amount) \
     SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CASE WHEN \
     EXISTS (SELECT 1 FROM keygate_uses WHERE key_id = $1 AND month = $2 AND endpoint = $3) \
     OR (SELECT count(*) FROM keygate_uses WHERE key_id = $1 AND month = $2) < 1000 \
     THEN CAST($3 AS TEXT) ELSE 'other' END, CAST($4 AS BIGINT) WHERE TRUE \
     ON CONFLICT (key_id, month, endpoint) DO UPDATE SET amount = \
     CASE WHEN keygate_uses.amount > 9223372036854775807 - excluded.amount \
     THEN 9223372036854775807 ELSE keygate_uses.amount + excluded.amount END";
pub(super) const LAST_USE: &str = "INSERT INTO keygate_last_uses (key_id, at) VALUES ($1, $2) \
     ON CONFLICT (key_id) DO UPDATE SET at = excluded.at \
     WHERE excluded.at > keygate_last_uses.at";
/// The last use of all is the row without an endpoint.
pub(super) const USAGE: &str = "SELECT endpoint, amount FROM keygate_uses \
     WHERE key_id = $1 AND month = $2 \
     UNION ALL SELECT NULL, at FROM keygate_last_uses WHERE key_id = $1";

pub(super) const MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS keygate_migrations \
     (version BIGINT NOT NULL PRIMARY KEY)";
pub(super) const VERSION: &str = "SELECT max(version) FROM keygate_migrations";
pub(super) const CLAIM_VERSION: &str = "INSERT INTO keygate_migrations (version) VALUES ($1)";

impl Dialect {
    /// What a migration begins with.
    pub(super) fn locked(&self) -> Vec<Step> {
        self.lock.into_iter().map(Step::Batch).collect()
    }
}

impl From<&'static str> for Query {
    /// A statement without values.
    fn from(sql: &'static str) -> Self {
        Self::new(sql, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters of `sql` in the order in which they first stand there.
    fn parameters(sql: &str) -> Vec<usize> {
        let mut found = Vec::new();
        for part in sql.split('$').skip(1) {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let number = part[..end].parse().expect("a number follows");
            if !found.contains(&number) {
                found.push(number);
            }
        }
        found
    }

    #[test]
    fn parameters_first_stand_in_the_order_of_their_numbers() {
        let all = [
            FIND,
            GET,
            LIST,
            COUNT,
            REPLACE,
            DELETE,
            TENANT,
            MEET_TENANT,
            PUT_TENANT,
            TELL,
            EVENTS,
            ADD_USE,
            LAST_USE,
            USAGE,
            VERSION,
            CLAIM_VERSION,
            insert_key!("1"),
        ];
        for sql in all {
            let found = parameters(sql);
            assert!(found.iter().copied().eq(1..=found.len()), "{found:?} in {sql}");
        }
        assert_eq!(parameters("a = $2 AND b = $1 OR c = $2"), [2, 1], "the check can see it");
    }
}
