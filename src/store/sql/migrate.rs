//! Brings the tables up to date, however many nodes do so at once.
//!
//! A node claims a version by the primary key of its row, in the transaction that makes the tables
//! of that version. Who comes second waits, conflicts, and looks again. Tables of a later version
//! are left as they are: migrations only add, so that a node of the version before keeps working
//! while the nodes are replaced one by one. Nothing is written, and no right to write is needed,
//! when the tables are up to date.

use std::time::Duration;

use super::{Database, Query, Step, statement};
use crate::store::StoreError;

/// Whether there is a server at all is known sooner than what the migrations of others come to.
const LOOK: Duration = Duration::from_secs(10);
const MIGRATE: Duration = Duration::from_secs(60);

pub(super) async fn migrate<D: Database>(database: &D) -> Result<(), StoreError> {
    let all = D::DIALECT.migrations;
    loop {
        let version = version(database).await?;
        let Some(next) = all.get(version) else { return Ok(()) };
        match database.write(script::<D>(version + 1, next), MIGRATE).await {
            Err(error) if !error.is_conflict() => return Err(error),
            _ => {}
        }
    }
}

/// The version of the tables; 0 for none.
async fn version<D: Database>(database: &D) -> Result<usize, StoreError> {
    if database.read(D::DIALECT.is_migrated.into(), LOOK).await?.is_empty() {
        return Ok(0);
    }
    let rows = database.read(statement::VERSION.into(), LOOK).await?;
    let version = rows.into_iter().next().map(|mut row| row.int_or_null("version")).transpose()?;
    Ok(version.flatten().and_then(|version| usize::try_from(version).ok()).unwrap_or(0))
}

fn script<D: Database>(version: usize, migration: &'static str) -> Vec<Step> {
    let claim = vec![i64::try_from(version).unwrap_or(i64::MAX).into()];
    let mut script = D::DIALECT.locked();
    script.push(Step::Batch(statement::MIGRATIONS));
    script.push(Step::Run(Query::new(statement::CLAIM_VERSION, claim)));
    script.push(Step::Batch(migration));
    script
}
