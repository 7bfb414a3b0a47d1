//! The example `g_tateth` on PostgreSQL; `tests/g_tateth` holds the same on SQLite.

use std::time::{Duration, Instant};

use keygate::TenantId;
use keygate::store::Action;
use libtest_mimic::Trial;
use serde_json::json;
use support::PATIENCE;
use tokio_postgres::NoTls;

use crate::api::{Api, DEMO, KEYS, data};
use crate::stores::{Place, Services, where_there_is_a_server};
use crate::{restart, trial, wait};

type Test = fn(&str);

const TESTS: &[(&str, Test)] = &[
    ("keys_survive_a_restart", |url| wait(restart::keys_survive(url))),
    ("usage_survives_a_restart", |url| wait(restart::usage_survives(url))),
    ("a_suspension_survives_a_restart", |url| wait(restart::a_suspension_survives(url))),
    ("what_one_copy_changes_another_feels", |url| wait(what_one_copy_changes_another_feels(url))),
    ("what_can_not_be_kept_is_refused", |url| wait(restart::what_can_not_be_kept_is_refused(url))),
];

pub(crate) fn trials(services: &Services) -> Vec<Trial> {
    let trials = TESTS.iter().map(|(name, test)| {
        let (services, test) = (services.clone(), *test);
        let test = move || test(&wait(services.postgres()).to_text());
        where_there_is_a_server(trial(format!("g_tateth::{name}"), test), false)
    });
    let services = services.clone();
    let told = move || wait(everybody_who_changes_something_is_named(services.sqlite()));
    let told = trial("g_tateth::everybody_who_changes_something_is_named".into(), told);
    trials.chain([told]).collect()
}

/// Copies of the service answer from memory, and yet know what the others change.
async fn what_one_copy_changes_another_feels(url: &str) {
    let (one, other) = (restart::start(url), restart::start(url));
    let token = one.token(DEMO).await;
    let (id, key) = one.key(&token).await;
    answers_from_memory(&other, &key, url).await;
    data(&one.patch(&token, &id, json!({ "permissions": ["read:customers"] })).await, 200);
    feels(&other, &key, 403, "INSUFFICIENT_PERMISSIONS").await;
    data(&one.patch(&token, &id, json!({ "isActive": false })).await, 200);
    feels(&other, &key, 401, "API_KEY_INACTIVE").await;
    data(&one.patch(&token, &id, json!({ "isActive": true })).await, 200);
    feels(&other, &key, 403, "INSUFFICIENT_PERMISSIONS").await;
    data(&other.suspend(&token, true).await, 200);
    feels(&one, &key, 401, "TENANT_SUSPENDED").await;
    data(&other.suspend(&token, false).await, 200);
    data(&other.post(&format!("{KEYS}/{id}/revoke")).bearer(&token).send().await, 200);
    feels(&one, &key, 401, "API_KEY_INVALID").await;
    feels(&other, &key, 401, "API_KEY_INVALID").await;
}

/// The table is locked while the key is used: who asks it gets no answer. A copy that has just
/// started may not have heard its feed yet.
async fn answers_from_memory(api: &Api, key: &str, url: &str) {
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        data(&api.use_of(key).await, 200);
        let lock = client.transaction().await.unwrap();
        lock.batch_execute("LOCK TABLE keygate_keys IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let status = api.use_of(key).await.status;
        lock.rollback().await.unwrap();
        if status == 200 {
            return;
        }
    }
    panic!("every use asks the database");
}

/// Well before memory would have been asked for the key again.
async fn feels(api: &Api, key: &str, status: u16, code: &str) {
    let start = Instant::now();
    loop {
        let answer = api.use_of(key).await;
        if (answer.status.as_u16(), answer.json()["code"].as_str()) == (status, Some(code)) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn everybody_who_changes_something_is_named(place: Place) {
    let api = restart::start(&place.to_text());
    let token = api.token(DEMO).await;
    let (id, _) = api.key(&token).await;
    data(&api.patch(&token, &id, json!({ "name": "b", "isActive": false })).await, 200);
    data(&api.post(&format!("{KEYS}/{id}/revoke")).bearer(&token).send().await, 200);
    data(&api.call("DELETE", &format!("{KEYS}/{id}")).bearer(&token).send().await, 200);
    data(&api.suspend(&token, true).await, 200);
    let events = place.open().await.events(&TenantId::from("tenant_demo"), 0, 10).await.unwrap();
    let actions: Vec<_> = events.iter().map(|event| event.action).collect();
    let expected =
        [Action::TenantChanged, Action::Deleted, Action::Revoked, Action::Updated, Action::Issued];
    assert_eq!(actions, expected);
    assert!(events.iter().all(|event| &*event.actor == DEMO), "{events:?}");
}
