//! What outlives a process.

use std::process::Child;
use std::sync::Arc;

use keygate::store::{KeyFilter, KeyStore};
use keygate::{KeyDigest, KeyRecord, Tenant, TenantId};

use crate::stores::{Place, Store};
use crate::{Test, child, wait};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("keys_survive_reopening", keys_survive_reopening),
    ("eight_processes_make_the_tables_at_once", eight_processes_make_the_tables_at_once),
    ("eight_tasks_make_the_tables_at_once", eight_tasks_make_the_tables_at_once),
    ("a_killed_writer_loses_nothing_acknowledged", a_killed_writer_loses_nothing_acknowledged),
    ("tables_of_a_later_version_are_left_alone", tables_of_a_later_version_are_left_alone),
];

fn acme() -> TenantId {
    TenantId::from("acme")
}

fn keys_survive_reopening(place: Place) {
    let record = KeyRecord::new("k1", KeyDigest::of("k1"), Tenant::new("acme").with_plan("pro"));
    wait(async { place.open().await.insert(record.with_name("kept")).await.unwrap() });
    for _ in 0..2 {
        let found = wait(async {
            let store = place.open().await;
            store.find(&KeyDigest::of("k1")).await.unwrap().unwrap()
        });
        assert_eq!((found.name(), found.tenant().plan()), ("kept", Some("pro")));
    }
}

fn eight_processes_make_the_tables_at_once(place: Place) {
    let children: Vec<Child> = (0..8).map(|_| child::start("open", &place).0).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    wait(the_tables_are_complete(&place));
}

fn eight_tasks_make_the_tables_at_once(place: Place) {
    wait(async {
        let open = |place: Place| async move { place.open().await };
        let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(open(place.clone()))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        the_tables_are_complete(&place).await;
    });
}

async fn the_tables_are_complete(place: &Place) {
    let versions = place.number("SELECT count(*) FROM keygate_migrations").await;
    let latest = place.number("SELECT max(version) FROM keygate_migrations").await;
    assert!(versions > 0 && versions == latest, "{versions} {latest}");
    let store = place.open().await;
    let record = KeyRecord::new("k1", KeyDigest::of("k1"), Tenant::new("acme"));
    store.insert(record).await.unwrap();
    assert_eq!(store.list(&acme(), &KeyFilter::new()).await.unwrap().total, 1);
}

/// Two writers at once, killed by SIGKILL in the middle of what they do, three times.
fn a_killed_writer_loses_nothing_acknowledged(place: Place) {
    for round in 0..3 {
        let names = ["a", "b"].map(|name| format!("{name}{round}"));
        let mut writers = names.each_ref().map(|name| child::start(name, &place));
        let mut last = [0; 2];
        for (n, (_, lines)) in writers.iter_mut().enumerate() {
            while last[n] < 15 + round {
                last[n] = child::next(lines).unwrap();
            }
        }
        for (child, _) in &mut writers {
            child.kill().unwrap();
        }
        for (n, (child, lines)) in writers.iter_mut().enumerate() {
            child.wait().unwrap();
            last[n] = std::iter::from_fn(|| child::next(lines)).last().unwrap_or(last[n]);
        }
        wait(all_is_there(&place, &names, last));
    }
}

async fn all_is_there(place: &Place, names: &[String; 2], last: [usize; 2]) {
    let store = place.open().await;
    for (name, last) in names.iter().zip(last) {
        for n in 0..=last {
            let found = store.find(&KeyDigest::of(&child::id(name, n))).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("{name} {n} was acknowledged"));
            assert!(found.successor().is_some() || n == last || n + 1 > last, "{name} {n}");
        }
    }
    commits_are_whole(&store).await;
}

/// Each commit made one key and one event.
async fn commits_are_whole(store: &Arc<dyn Store>) {
    let total = store.list(&acme(), &KeyFilter::new()).await.unwrap().total;
    let events = store.events(&acme(), 0, usize::MAX).await.unwrap();
    assert_eq!(total, events.len());
}

/// While the nodes are replaced one by one, those of the version before start again.
fn tables_of_a_later_version_are_left_alone(place: Place) {
    wait(async {
        drop(place.open().await);
        place.sql("INSERT INTO keygate_migrations (version) VALUES (99)").await;
        let store = place.open().await;
        assert!(store.find(&KeyDigest::of("k1")).await.unwrap().is_none());
    });
}
