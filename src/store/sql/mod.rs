//! What the stores on SQL databases share: every rule, every statement, and how a row becomes a
//! record. A database of its own adds only how it is reached.

mod commit;
mod delegate;
mod migrate;
mod record;
mod statement;
mod usage;
mod value;

use std::sync::Arc;
use std::time::Duration;

pub(super) use delegate::sql_store;
pub(super) use statement::{Dialect, insert_key};
pub(super) use value::{Row, Value};

use super::{AuditEvent, Commit, KeyFilter, KeyPage, Month, StoreError, Usage, Use};
use crate::{Clock, KeyDigest, KeyId, KeyRecord, SystemClock, Tenant, TenantId};

/// Longer waits for a database are none: a deadline has to be a point in time that can be told.
pub(super) const LONGEST_CALL: std::time::Duration = std::time::Duration::from_secs(3600);

const READ: Duration = Duration::from_secs(2);
const WRITE: Duration = Duration::from_secs(5);

/// One statement with its values, in the order of its parameters.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
}

impl Query {
    pub(super) fn new(sql: &'static str, values: Vec<Value>) -> Self {
        Self { sql, values }
    }
}

/// One step of a script, which is done whole, in one transaction, or not at all. No step depends on
/// what another has read, so a script can be repeated when two transactions got in each other's way.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Statements without values, one after the other.
    Batch(&'static str),
    /// A statement that must change a row, and what it means when it does not.
    Must(Query, &'static str),
    /// A statement.
    Run(Query),
}

/// A database: what it says differently, and the two ways to ask it. Each call ends within the given
/// time, and one that does not is [unavailable](StoreError::unavailable).
pub(super) trait Database: Clone + Send + Sync + 'static {
    const DIALECT: Dialect;

    fn read(
        &self,
        query: Query,
        within: Duration,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    fn write(
        &self,
        script: Vec<Step>,
        within: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A store on a database.
#[derive(Clone)]
pub(super) struct Sql<D> {
    pub(super) database: D,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) read: Duration,
    pub(super) write: Duration,
}

impl<D: Database> Sql<D> {
    /// A store on `database`, whose tables are brought up to date first.
    pub(super) async fn start(database: D) -> Result<Self, StoreError> {
        migrate::migrate(&database).await?;
        Ok(Self { database, clock: Arc::new(SystemClock::new()), read: READ, write: WRITE })
    }

    async fn rows(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.database.read(Query::new(sql, values), self.read).await
    }

    pub(super) async fn find(
        &self,
        digest: &KeyDigest,
    ) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        let rows = self.rows(statement::FIND, vec![digest.as_bytes().as_slice().into()]).await?;
        rows.into_iter().next().map(record::read).transpose()
    }

    pub(super) async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        let rows = self.rows(statement::TENANT, vec![id.as_str().into()]).await?;
        rows.into_iter().next().map(record::read_tenant).transpose()
    }

    pub(super) async fn get(
        &self,
        tenant: &TenantId,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        let values = vec![id.as_str().into(), tenant.as_str().into()];
        let rows = self.rows(statement::GET, values).await?;
        rows.into_iter().next().map(record::read).transpose()
    }

    pub(super) async fn list(
        &self,
        tenant: &TenantId,
        filter: &KeyFilter,
    ) -> Result<KeyPage, StoreError> {
        let asked = self.filter(tenant, filter);
        let (limit, offset) = (count(filter.limit()), count(filter.offset()));
        let page = [asked.clone(), vec![limit.into(), offset.into()]].concat();
        let rows = self.rows(statement::LIST, page).await?;
        let total = match rows.len() {
            // The last page tells the total by its end.
            n if n < filter.limit() && (n > 0 || offset == 0) => filter.offset() + n,
            _ => self.total(asked).await?,
        };
        let keys = rows.into_iter().map(record::read).collect::<Result<_, _>>()?;
        Ok(KeyPage::new(keys, total))
    }

    fn filter(&self, tenant: &TenantId, filter: &KeyFilter) -> Vec<Value> {
        vec![
            tenant.as_str().into(),
            filter.only_environment().map(record::name).into(),
            filter.only_active().map(i64::from).into(),
            record::time(self.clock.now()).into(),
        ]
    }

    async fn total(&self, asked: Vec<Value>) -> Result<usize, StoreError> {
        let rows = self.rows(statement::COUNT, asked).await?;
        let total = rows.into_iter().next().map(|mut row| row.int("total")).transpose()?;
        Ok(usize::try_from(total.unwrap_or(0)).unwrap_or(0))
    }

    pub(super) async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.database.write(commit::script(&D::DIALECT, commit), self.write).await
    }

    pub(super) async fn events(
        &self,
        tenant: &TenantId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let values = vec![tenant.as_str().into(), count(limit).into(), count(offset).into()];
        let rows = self.rows(statement::EVENTS, values).await?;
        rows.into_iter().map(record::read_event).collect()
    }

    pub(super) async fn add_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        self.database.write(usage::script(uses), self.write).await
    }

    pub(super) async fn usage(&self, key: &KeyId, month: Month) -> Result<Usage, StoreError> {
        let values = vec![key.as_str().into(), month.to_string().into()];
        usage::read(self.rows(statement::USAGE, values).await?)
    }
}

/// As large as a database takes it for LIMIT and OFFSET together.
fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX).min(i64::MAX / 2)
}
