//! Uses as a script, and rows as usage.

use std::collections::BTreeMap;

use super::value::Row;
use super::{Query, Step, record, statement};
use crate::store::{Month, StoreError, Usage, Use};
use crate::{KeyId, Timestamp};

/// Uses that are alike become one statement. Sorted, so that two batches never wait for each other
/// in a circle.
pub(super) fn script(uses: &[Use]) -> Vec<Step> {
    let mut counts: BTreeMap<(&KeyId, Month, &str), u64> = BTreeMap::new();
    let mut last: BTreeMap<&KeyId, Timestamp> = BTreeMap::new();
    for used in uses {
        let count = counts.entry((&used.key, Month::of(used.at), &used.endpoint)).or_default();
        *count = count.saturating_add(used.count);
        let last = last.entry(&used.key).or_default();
        *last = used.at.max(*last);
    }
    let counts = counts.into_iter().map(|((key, month, endpoint), count)| {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let key = key.as_str().into();
        let values = vec![key, month.to_string().into(), endpoint.into(), count.into()];
        Query::new(statement::ADD_USE, values)
    });
    let last = last.into_iter().map(|(key, at)| {
        Query::new(statement::LAST_USE, vec![key.as_str().into(), record::time(at).into()])
    });
    counts.chain(last).map(Step::Run).collect()
}

pub(super) fn read(rows: Vec<Row>) -> Result<Usage, StoreError> {
    let mut usage = Usage::default();
    for mut row in rows {
        match (row.text_or_null("endpoint")?, row.int("amount")?) {
            (Some(endpoint), amount) => {
                let amount = u64::try_from(amount).unwrap_or(0);
                usage.total = usage.total.saturating_add(amount);
                usage.by_endpoint.insert(endpoint, amount);
            }
            (None, last) => usage.last_used = Some(record::last_use(last)?),
        }
    }
    Ok(usage)
}
