//! A commit as a script.

use super::statement::{self, Dialect};
use super::{Query, Step, record};
use crate::KeyRecord;
use crate::store::{Change, Commit};

pub(super) fn script(dialect: &Dialect, commit: Commit) -> Vec<Step> {
    let mut script = Vec::new();
    commit.changes.into_iter().for_each(|change| script.extend(steps(dialect, change)));
    let told = commit.events.iter().map(record::event_facts);
    script.extend(told.map(|facts| Step::Run(Query::new(statement::TELL, facts))));
    script
}

fn steps(dialect: &Dialect, change: Change) -> Vec<Step> {
    match change {
        Change::Insert(record) => insert(dialect, &record),
        Change::Replace(record) => vec![replace(&record)],
        Change::Delete { tenant, id } => {
            let values = vec![id.as_str().into(), tenant.as_str().into()];
            vec![Step::Must(Query::new(statement::DELETE, values), "there is no such key")]
        }
        Change::PutTenant(tenant) => {
            let facts = record::tenant_facts(&tenant);
            vec![Step::Run(Query::new(statement::PUT_TENANT, facts))]
        }
    }
}

fn insert(dialect: &Dialect, record: &KeyRecord) -> Vec<Step> {
    let tenant = record::tenant_facts(record.tenant());
    let facts = record::facts(record, record.revision());
    vec![
        Step::Run(Query::new(statement::MEET_TENANT, tenant)),
        Step::Run(Query::new(dialect.insert_key, facts)),
    ]
}

fn replace(record: &KeyRecord) -> Step {
    let mut values = record::facts(record, record.revision().wrapping_add(1));
    values.push(record::revision(record.revision()).into());
    let query = Query::new(statement::REPLACE, values);
    Step::Must(query, "the key was changed or removed meanwhile")
}
