//! The example `g_tateth` on PostgreSQL; `tests/g_tateth` holds the same on SQLite.

use keygate::TenantId;
use keygate::store::Action;
use libtest_mimic::Trial;
use serde_json::json;

use crate::api::{DEMO, KEYS, data};
use crate::stores::{Place, Services, where_there_is_a_server};
use crate::{restart, trial, wait};

type Test = fn(&str);

const TESTS: &[(&str, Test)] = &[
    ("keys_survive_a_restart", |url| wait(restart::keys_survive(url))),
    ("usage_survives_a_restart", |url| wait(restart::usage_survives(url))),
    ("a_suspension_survives_a_restart", |url| wait(restart::a_suspension_survives(url))),
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
