//! Counters at hand beside a record.

use super::*;
use crate::limit::identity::Identity;
use crate::limit::seats::{Seat, place};
use crate::limit::table::{Place, Table};

fn hourly() -> Quota {
    Quota::per_hour(10).unwrap()
}

fn is_seated(found: &(Place, Option<&Seat>)) -> bool {
    found.1.is_some()
}

fn by_key(record: &KeyRecord) -> Identity<'_> {
    Identity::Key(record.id().as_str())
}

fn by_tenant(record: &KeyRecord) -> Identity<'_> {
    Identity::Tenant(record.tenant().id().as_str())
}

#[test]
fn the_first_two_tables_are_seated_and_later_ones_served() {
    let tables = [Table::new(10), Table::new(10), Table::new(10)];
    let record = record("k", Tenant::new("acme"));
    for table in &tables {
        assert!(!is_seated(&place(&record, table, &by_key(&record), &hourly(), noon()).unwrap()));
    }
    let seated =
        |table| is_seated(&place(&record, table, &by_key(&record), &hourly(), noon()).unwrap());
    assert_eq!(tables.each_ref().map(seated), [true, true, false]);
    for table in &tables {
        let held = place(&record, table, &by_key(&record), &hourly(), noon()).unwrap();
        assert_eq!(held.0, table.place(&by_key(&record), &hourly(), noon()).unwrap());
    }
}

#[test]
fn two_records_of_a_tenant_hold_one_counter() {
    let table = Table::new(10);
    let (one, two) = (record("k1", Tenant::new("acme")), record("k2", Tenant::new("acme")));
    let first = place(&one, &table, &by_tenant(&one), &hourly(), noon()).unwrap();
    let second = place(&two, &table, &by_tenant(&two), &hourly(), noon()).unwrap();
    assert_eq!(first.0, second.0);
    assert_eq!(table.len(), 1);
}

#[test]
fn a_clone_of_a_record_has_empty_seats() {
    let table = Table::new(10);
    let one = record("k", Tenant::new("acme"));
    place(&one, &table, &by_key(&one), &hourly(), noon()).unwrap();
    let clone = one.clone();
    assert!(!is_seated(&place(&clone, &table, &by_key(&clone), &hourly(), noon()).unwrap()));
    assert!(is_seated(&place(&clone, &table, &by_key(&clone), &hourly(), noon()).unwrap()));
}

#[test]
fn a_seat_serves_its_owner_only() {
    let table = Table::new(10);
    let one = record("same", Tenant::new("same"));
    let key = place(&one, &table, &by_key(&one), &hourly(), noon()).unwrap();
    let tenant = place(&one, &table, &by_tenant(&one), &hourly(), noon()).unwrap();
    assert!(!is_seated(&tenant));
    assert_ne!(key.0, tenant.0);

    let moved = one.with_tenant(Tenant::new("other"));
    let held = place(&moved, &table, &by_tenant(&moved), &hourly(), noon()).unwrap();
    let other = table.find(&Identity::Tenant("other"), &hourly()).unwrap().unwrap();
    assert_eq!(held.0, other);
}

#[test]
fn one_text_for_key_and_tenant_is_still_two_owners() {
    let table = Table::new(10);
    let text: Arc<str> = "same".into();
    let tenant = Tenant::new(crate::TenantId::new(text.clone()));
    let one = KeyRecord::new(crate::KeyId::new(text), KeyDigest::of("k"), tenant);
    let key = place(&one, &table, &by_key(&one), &hourly(), noon()).unwrap();
    let tenant = place(&one, &table, &by_tenant(&one), &hourly(), noon()).unwrap();
    assert_ne!(key.0, tenant.0);
}

#[test]
fn a_seat_serves_its_quota_only() {
    let table = Table::new(10);
    let one = record("k", Tenant::new("acme"));
    let (hour, day) = (hourly(), Quota::per_day(10).unwrap());
    let first = place(&one, &table, &by_key(&one), &hour, noon()).unwrap();
    let other = place(&one, &table, &by_key(&one), &day, noon()).unwrap();
    assert_ne!(first.0, other.0);
    for _ in 0..2 {
        let held = place(&one, &table, &by_key(&one), &day, noon()).unwrap();
        assert!(!is_seated(&held) && held.0 == other.0);
        let held = place(&one, &table, &by_key(&one), &hour, noon()).unwrap();
        assert!(is_seated(&held) && held.0 == first.0);
    }
}
