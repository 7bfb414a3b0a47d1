//! The life of keys over a database: what holds in memory holds there.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/life.rs"]
mod life;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use common::{NOW, bearer, clock};
use keygate::lifecycle::Upgrades;
use keygate::store::{Action, KeyAdmin, KeyFilter, Month, SqliteStore, UsageStore};
use keygate::usage::UsageRecorder;
use keygate::{
    AuthLayer, KeyFormat, KeyId, KeyStatus, Keys, KeysError, NewKey, Pepper, Peppers,
    RotationPolicy, Timestamp,
};
use life::{DAY, acme};

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("keygate-life-{}", KeyId::random().unwrap());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    async fn store(&self) -> SqliteStore {
        let store = SqliteStore::open(self.0.join("keys.db")).await.unwrap();
        store.with_read_timeout(support::PATIENCE).with_write_timeout(support::PATIENCE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn keys(store: SqliteStore) -> Keys<SqliteStore> {
    Keys::new(store, KeyFormat::sk()).clock(clock())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_life_survives_a_restart() {
    let folder = Folder::new();
    let keys_of = async || keys(folder.store().await);
    let first = keys_of().await;
    let asked = NewKey::new("acme", "job").rotation(RotationPolicy::new(90, 7).unwrap());
    let old = first.by("ann").issue(asked).await.unwrap();
    let id = old.record.id();
    first.by("ann").update(&acme(), id, |key| key.with_name("renamed")).await.unwrap();
    let week = Duration::from_secs(7 * DAY);
    let new = first.by("bob").rotate(&acme(), id, week).await.unwrap();
    drop(first);

    let again = keys_of().await;
    let kept = again.get(&acme(), id).await.unwrap();
    assert_eq!((kept.name(), kept.successor()), ("renamed", Some(new.record.id())));
    assert_eq!(kept.expires(), Some(NOW.saturating_add(week)));
    let next = again.get(&acme(), new.record.id()).await.unwrap();
    assert_eq!((next.name(), next.rotation()), ("renamed", old.record.rotation()));
    let gate = AuthLayer::new(again.store().clone()).clock(clock()).into_authenticator();
    let outcome = gate.authenticate(&bearer(old.token.reveal())).await;
    assert_eq!(outcome.deprecation.unwrap().sunset, kept.expires());
    assert!(gate.authenticate(&bearer(new.token.reveal())).await.verdict.is_ok());
    let error = again.by("eve").rotate(&acme(), id, week).await.unwrap_err();
    assert!(matches!(error, KeysError::AlreadyRotated { .. }));
    let events = again.store().events(&acme(), 0, 10).await.unwrap();
    let told: HashSet<_> = events.iter().map(|event| (event.action, &*event.actor)).collect();
    let expected = [
        (Action::Issued, "ann"),
        (Action::Updated, "ann"),
        (Action::Rotated, "bob"),
        (Action::Issued, "bob"),
    ];
    assert_eq!((events.len(), told), (4, HashSet::from(expected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_and_rotations_at_the_same_time_lose_nothing() {
    let folder = Folder::new();
    let keys = keys(folder.store().await);
    let id = keys.by("ann").issue(NewKey::new("acme", "job")).await.unwrap().record.id().clone();
    let update = |mark: usize| {
        let (keys, id) = (keys.clone(), id.clone());
        tokio::spawn(async move {
            let add = |key: keygate::KeyRecord| {
                let longer = format!("{} {mark}", key.name());
                key.with_name(longer)
            };
            keys.by("ann").update(&acme(), &id, add).await
        })
    };
    let rotate = || {
        let (keys, id) = (keys.clone(), id.clone());
        let day = Duration::from_secs(DAY);
        tokio::spawn(async move { keys.by("bob").rotate(&acme(), &id, day).await })
    };
    let updates: Vec<_> = (0..20).map(update).collect();
    let rotations: Vec<_> = (0..5).map(|_| rotate()).collect();
    for task in updates {
        task.await.unwrap().unwrap();
    }
    let mut rotated = 0;
    for task in rotations {
        rotated += usize::from(task.await.unwrap().is_ok());
    }
    let after = keys.get(&acme(), &id).await.unwrap();
    let marks: HashSet<_> = after.name().split(' ').skip(1).collect();
    assert_eq!((marks.len(), rotated, after.revision()), (20, 1, 21));
    assert_eq!(keys.list(&acme(), &KeyFilter::new()).await.unwrap().total, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_digest_is_upgraded_in_the_database() {
    let folder = Folder::new();
    let store = folder.store().await;
    let issued = keys(store.clone()).by("ann").issue(NewKey::new("acme", "job")).await.unwrap();
    let upgrades = Upgrades::new();
    let pepper = Pepper::new("the pepper of this year, 32 bytes or more").unwrap();
    let only = Peppers::new(pepper);
    let both = only.clone().accept_plain().upgrades(&upgrades);
    let gate = |peppers| {
        AuthLayer::new(store.clone()).clock(clock()).peppers(peppers).into_authenticator()
    };
    let head = bearer(issued.token.reveal());
    assert!(gate(only.clone()).authenticate(&head).await.verdict.is_err());
    assert!(gate(both).authenticate(&head).await.verdict.is_ok());
    assert_eq!(upgrades.drain(&store).await, 1);
    assert!(gate(only).authenticate(&head).await.verdict.is_ok());
    let kept = store.get(&acme(), issued.record.id()).await.unwrap().unwrap();
    assert_eq!((kept.status(), kept.revision()), (KeyStatus::Active, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn use_is_written_and_read_back() {
    let folder = Folder::new();
    let store = folder.store().await;
    let keys = keys(store.clone());
    let issued = keys.by("ann").issue(NewKey::new("acme", "job")).await.unwrap();
    let (recorder, id) = (UsageRecorder::new(), issued.record.id());
    let later = NOW.saturating_add(Duration::from_secs(5));
    let times: [Timestamp; 3] = [NOW, later, NOW];
    times.into_iter().for_each(|at| recorder.record(id, "GET /a", at));
    recorder.flush(&store).await.unwrap();
    recorder.record(id, "GET /b", NOW);
    recorder.close();
    recorder.run(&store, || std::future::ready(())).await.unwrap();
    let usage = store.usage(id, Month::of(NOW)).await.unwrap();
    assert_eq!((usage.total, usage.last_used), (4, Some(later)), "forward only");
    assert_eq!(usage.by_endpoint["GET /a"], 3);
}
