//! Digests from elsewhere, digests with a pepper, and how old ones are kept anew.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/life.rs"]
mod life;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use common::{Counting, Fixed, NOW, bearer, clock, holding, live_key, record, refusal, subject};
use common::{verdict, wait};
use keygate::RejectionKind::{KeyExpired, KeyInactive, KeyInvalid, Unavailable};
use keygate::lifecycle::Upgrades;
use keygate::store::{Action, KeyAdmin, KeyStore, MemoryStore, StoreError};
use keygate::{
    AuthLayer, Authenticator, ConfigError, KeyDigest, KeyFormat, KeyId, KeyRecord, KeyStatus,
    KeyToken, Keys, NewKey, Pepper, Peppers, Tenant,
};
use life::{Faulty, acme};
use proptest::prelude::*;

const NEW: &[u8] = b"the pepper of this year, 32 bytes or more";
const OLD: &[u8] = b"the pepper of last year, 32 bytes or more";
const OLDER: &[u8] = b"the pepper of the year before that, as long";

fn pepper(secret: &[u8]) -> Pepper {
    Pepper::new(secret).unwrap()
}

fn peppers() -> Peppers {
    Peppers::new(pepper(NEW)).retired(pepper(OLD)).unwrap().retired(pepper(OLDER)).unwrap()
}

fn gate(store: impl KeyStore, peppers: Peppers) -> Authenticator {
    AuthLayer::new(store).clock(clock()).peppers(peppers).into_authenticator()
}

fn kept(id: &str, digest: KeyDigest) -> KeyRecord {
    KeyRecord::new(id, digest, Tenant::new("acme"))
}

fn head(key: &KeyToken) -> http::request::Parts {
    bearer(key.reveal())
}

/// Every way in which the digest of `key` may be kept.
fn ways(key: &KeyToken) -> [(&'static str, KeyDigest); 4] {
    [
        ("new", pepper(NEW).digest(key.reveal())),
        ("old", pepper(OLD).digest(key.reveal())),
        ("older", pepper(OLDER).digest(key.reveal())),
        ("plain", key.digest()),
    ]
}

/// The same keys, asked for over a network: `find` alone, which answers at its second poll.
#[derive(Clone)]
struct Remote(MemoryStore);

#[async_trait]
impl KeyStore for Remote {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        tokio::task::yield_now().await;
        self.0.find(digest).await
    }
}

// ---- Digests from elsewhere ---------------------------------------------------------------------

/// FIPS 180-2, appendix B.1: SHA-256 of "abc".
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn digests_are_read_from_hex() {
    assert_eq!(KeyDigest::from_hex(ABC).unwrap(), KeyDigest::of("abc"));
    assert_eq!(KeyDigest::from_hex(&ABC.to_uppercase()).unwrap(), KeyDigest::of("abc"));
    for wrong in [
        "",
        &ABC[1..],
        &ABC[2..],
        &format!("{ABC}00"),
        &format!(" {ABC}"),
        &format!("{ABC}\n"),
        &format!("0x{}", &ABC[2..]),
        &format!("+{}", &ABC[1..]),
        &ABC.replace('b', "g"),
        &ABC.replace("ba", "é"),
    ] {
        KeyDigest::from_hex(wrong).unwrap_err();
    }
}

#[test]
fn digests_are_read_from_base64() {
    let digest = KeyDigest::of("sk_live_1");
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        let text = engine.encode(digest.as_bytes());
        assert_eq!(KeyDigest::from_base64(&text).unwrap(), digest, "{text}");
    }
    // 32 bytes of 0xFB: both alphabets' own characters.
    let text = STANDARD.encode([0xFB; 32]);
    assert!(text.contains('+') && text.contains('/'));
    assert_eq!(KeyDigest::from_base64(&text).unwrap().as_bytes(), &[0xFB; 32]);
    let mixed = text.replacen('+', "-", 1);
    let last = text.trim_end_matches('=').len() - 1;
    let loose_bits = format!("{}t=", &text[..last]);
    for wrong in [
        "",
        &mixed,
        &loose_bits,
        &text[1..],
        &format!("{text}="),
        &format!(" {text}"),
        &format!("{text}\n"),
        &STANDARD.encode([7; 31]),
        &STANDARD.encode([7; 33]),
        ABC,
    ] {
        KeyDigest::from_base64(wrong).unwrap_err();
    }
}

#[test]
fn an_error_does_not_show_what_could_not_be_read() {
    for error in [
        KeyDigest::from_hex("c0ffee-secret").unwrap_err(),
        KeyDigest::from_base64("c0ffee-secret").unwrap_err(),
        Pepper::new("c0ffee-secret").unwrap_err(),
    ] {
        assert!(!format!("{error} {error:?}").contains("c0ffee"), "{error:?}");
        assert!(matches!(error, ConfigError::Unusable { .. }));
    }
}

#[test]
fn an_imported_digest_with_a_pepper_opens_the_gate() {
    let key = "old-0123456789abcdefghij";
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, OLD), key.as_bytes());
    let digest = KeyDigest::from_base64(&STANDARD.encode(mac)).unwrap();
    let keys = Keys::new(MemoryStore::new(), KeyFormat::sk()).clock(clock());
    wait(keys.by("migration").import(kept("old_1", digest))).unwrap();
    let formats = [KeyFormat::sk(), KeyFormat::existing("old-", 20..=20).unwrap()];
    let layer = AuthLayer::new(keys.store().clone()).key_formats(formats).unwrap();
    let gate = layer.clock(clock()).peppers(Peppers::new(pepper(OLD))).into_authenticator();
    assert_eq!(subject(&gate, &bearer(key)), "old_1");
}

// ---- Peppers ------------------------------------------------------------------------------------

/// RFC 4231, test case 6, 7: a secret longer than a block. Its shorter ones are below 32 bytes.
#[test]
fn a_pepper_is_hmac_sha_256() {
    let mut secret = vec![0xAA; 131];
    assert!(Pepper::new(secret.clone()).is_err(), "one byte over and over");
    secret[0] = 0xAB;
    for (secret, text) in [
        (secret, "Test Using Larger Than Block-Size Key - Hash Key First"),
        ((0..64).collect(), "sk_live_0123456789"),
        ((0..65).collect(), ""),
        ((1..33).collect(), "what do ya want for nothing?"),
    ] {
        let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        let digest = Pepper::new(secret).unwrap().digest(text);
        assert_eq!(digest.as_bytes(), expected.as_ref());
    }
}

proptest! {
    #[test]
    fn a_pepper_is_the_hmac_of_another_library(
        secret in prop::collection::vec(any::<u8>(), 32..200),
        text in "[ -~]{0,200}",
    ) {
        prop_assume!(secret.windows(2).any(|pair| pair[0] != pair[1]));
        let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        let digest = Pepper::new(secret).unwrap().digest(&text);
        prop_assert_eq!(digest.as_bytes().as_slice(), expected.as_ref());
    }

    #[test]
    fn digests_survive_both_forms(bytes in any::<[u8; 32]>()) {
        let digest = KeyDigest::from_bytes(bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(KeyDigest::from_hex(&hex).unwrap(), digest);
        prop_assert_eq!(KeyDigest::from_base64(&URL_SAFE_NO_PAD.encode(bytes)).unwrap(), digest);
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in ".{0,80}") {
        let _ = (KeyDigest::from_hex(&text), KeyDigest::from_base64(&text));
    }
}

#[test]
fn weak_peppers_and_too_many_are_refused_at_the_start() {
    assert!(Pepper::new([1, 2].repeat(15)).is_err(), "30 bytes");
    assert!(Pepper::new([1, 2].repeat(16)).is_ok());
    assert!(Pepper::new(vec![0; 64]).is_err(), "an unset buffer");
    let full = (0..8).try_fold(Peppers::new(pepper(NEW)), |all, _| all.retired(pepper(OLD)));
    assert!(full.unwrap().retired(pepper(OLD)).is_err());
}

#[test]
fn a_pepper_is_never_shown() {
    let upgrades = Upgrades::new();
    let peppers = peppers().upgrades(&upgrades);
    let keys = Keys::new(MemoryStore::new(), KeyFormat::sk()).peppers(peppers.clone());
    let layer = AuthLayer::new(MemoryStore::new()).peppers(peppers.clone());
    let shown = format!("{peppers:?} {keys:?} {layer:?} {upgrades:?} {:?}", pepper(NEW));
    assert!(shown.contains("Pepper([redacted])"));
    assert!(!shown.contains("year") && !shown.contains(&format!("{NEW:?}")[1..20]), "{shown}");
}

#[test]
fn keys_issued_with_the_pepper_open_the_gate_with_it_and_no_other() {
    let keys = Keys::new(MemoryStore::new(), KeyFormat::sk()).clock(clock()).peppers(peppers());
    let issued = wait(keys.by("ann").issue(NewKey::new("acme", "x"))).unwrap();
    assert_ne!(issued.record.digest(), &issued.token.digest());
    let store = keys.store().clone();
    assert!(verdict(&gate(store.clone(), peppers()), &head(&issued.token)).is_ok());
    let other = Peppers::new(pepper(OLD)).accept_plain();
    assert_eq!(refusal(&gate(store.clone(), other), &head(&issued.token)), KeyInvalid);
    let without = AuthLayer::new(store).clock(clock()).into_authenticator();
    assert_eq!(refusal(&without, &head(&issued.token)), KeyInvalid, "a stolen table is not enough");
}

#[test]
fn a_key_is_found_by_the_digests_that_are_configured() {
    let key = live_key();
    for (way, digest) in ways(&key) {
        let store = holding([kept("key_1", digest)]);
        let all = peppers().accept_plain();
        let now_only = Peppers::new(pepper(NEW));
        let one_retired = now_only.clone().retired(pepper(OLD)).unwrap();
        for (peppers, good) in [
            (now_only.clone(), &["new"][..]),
            (one_retired, &["new", "old"]),
            (peppers(), &["new", "old", "older"]),
            (now_only.accept_plain(), &["new", "plain"]),
            (all, &["new", "old", "older", "plain"]),
        ] {
            let here = gate(store.clone(), peppers.clone());
            let remote = gate(Remote(store.clone()), peppers);
            let passes = good.contains(&way);
            assert_eq!(verdict(&here, &head(&key)).is_ok(), passes, "{way} of {good:?}");
            assert_eq!(verdict(&remote, &head(&key)).is_ok(), passes, "{way} of {good:?}");
        }
    }
}

#[test]
fn the_digest_of_now_is_asked_for_first_and_is_enough() {
    let key = live_key();
    for (asked, (_, digest)) in (1..).zip(ways(&key)) {
        let store = Counting::over(holding([kept("key_1", digest)]));
        let gate = gate(store.clone(), peppers().accept_plain());
        assert_eq!(subject(&gate, &head(&key)), "key_1");
        assert_eq!(store.asked(), asked);
    }
    let store = Counting::over(MemoryStore::new());
    assert_eq!(refusal(&gate(store.clone(), Peppers::new(pepper(NEW))), &head(&key)), KeyInvalid);
    assert_eq!(store.asked(), 1, "nothing to look for besides");
}

/// A cache in front of a database: it knows some digests at once, and has to ask for others.
struct Partly {
    known: MemoryStore,
    absent: Vec<KeyDigest>,
    asked: Arc<AtomicUsize>,
    database: MemoryStore,
}

#[async_trait]
impl KeyStore for Partly {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.database.find(digest).await
    }

    fn peek(&self, digest: &KeyDigest) -> Option<Result<Option<Arc<KeyRecord>>, StoreError>> {
        if self.absent.contains(digest) {
            return Some(Ok(None));
        }
        self.known.peek(digest).filter(|found| found.as_ref().is_ok_and(Option::is_some))
    }
}

#[test]
fn a_store_that_knows_some_digests_at_once_is_asked_for_the_rest_only() {
    let key = live_key();
    let [(_, new), (_, old), ..] = ways(&key);
    for (known, absent, asked) in
        [(None, vec![], 2), (None, vec![new], 1), (Some(old), vec![new], 0), (Some(new), vec![], 0)]
    {
        let database = holding([kept("key_1", known.unwrap_or(old))]);
        let known = known.map_or_else(MemoryStore::new, |digest| holding([kept("key_1", digest)]));
        let count = Arc::new(AtomicUsize::new(0));
        let store = Partly { known, absent, asked: Arc::clone(&count), database };
        assert_eq!(subject(&gate(store, peppers()), &head(&key)), "key_1");
        assert_eq!(count.load(Ordering::SeqCst), asked);
    }
}

#[test]
fn every_digest_that_misses_is_answered_alike() {
    let key = live_key();
    let (upgrades, all) = (Upgrades::new(), peppers().accept_plain());
    let gate = |store| gate(store, all.clone().upgrades(&upgrades));
    let unknown = verdict(&gate(MemoryStore::new()), &head(&key)).unwrap_err();
    for (_, digest) in ways(&key) {
        let revoked = kept("key_1", digest).with_status(KeyStatus::Revoked);
        let refused = verdict(&gate(holding([revoked])), &head(&key)).unwrap_err();
        assert_eq!(format!("{refused:?}"), format!("{unknown:?}"));
        let inactive = kept("key_1", digest).with_status(KeyStatus::Inactive);
        assert_eq!(refusal(&gate(holding([inactive])), &head(&key)), KeyInactive);
        let expired = kept("key_1", digest).with_expires(NOW);
        assert_eq!(refusal(&gate(holding([expired])), &head(&key)), KeyExpired);
    }
}

#[test]
fn an_outage_is_never_taken_for_a_miss() {
    let away = || Fixed(Err("db-7 is away"));
    assert_eq!(refusal(&gate(away(), peppers().accept_plain()), &head(&live_key())), Unavailable);
    // The digest of now misses; then the store goes away.
    let store = Faulty::over(MemoryStore::new());
    struct Second(Faulty, AtomicUsize);
    #[async_trait]
    impl KeyStore for Second {
        async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
            if self.1.fetch_add(1, Ordering::SeqCst) == 1 {
                self.0.outages.store(1, Ordering::SeqCst);
            }
            self.0.find(digest).await
        }
    }
    let gate = gate(Second(store, AtomicUsize::new(0)), peppers());
    assert_eq!(refusal(&gate, &head(&live_key())), Unavailable);
}

// ---- Upgrades -----------------------------------------------------------------------------------

struct World {
    store: MemoryStore,
    upgrades: Upgrades,
    gate: Authenticator,
}

fn world(records: impl IntoIterator<Item = KeyRecord>) -> World {
    let store = holding(records);
    let upgrades = Upgrades::new().clock(clock());
    let gate = gate(store.clone(), peppers().accept_plain().upgrades(&upgrades));
    World { store, upgrades, gate }
}

impl World {
    fn digest(&self, id: &str) -> KeyDigest {
        *wait(self.store.get(&acme(), &id.into())).unwrap().unwrap().digest()
    }

    fn actions(&self) -> Vec<(Action, Option<KeyId>, Arc<str>)> {
        let events = wait(self.store.events(&acme(), 0, 100)).unwrap();
        events.into_iter().map(|event| (event.action, event.key, event.actor)).collect()
    }
}

#[test]
fn a_used_key_is_kept_under_the_digest_of_now() {
    let key = live_key();
    for (way, digest) in ways(&key) {
        let world = world([kept("key_1", digest)]);
        assert_eq!(subject(&world.gate, &head(&key)), "key_1");
        assert_eq!(world.digest("key_1"), digest, "not before the task runs");
        let is_old = way != "new";
        assert_eq!(world.upgrades.waiting(), usize::from(is_old));
        assert_eq!(wait(world.upgrades.drain(&world.store)), usize::from(is_old));
        assert_eq!(world.digest("key_1"), ways(&key)[0].1);
        let events = world.actions();
        let expected = (Action::Rehashed, Some("key_1".into()), "keygate".into());
        assert_eq!(events, if is_old { vec![expected] } else { vec![] }, "{way}");
        assert_eq!(subject(&world.gate, &head(&key)), "key_1");
        assert_eq!(world.upgrades.waiting(), 0, "once");
        let strict = gate(world.store, Peppers::new(pepper(NEW)));
        assert_eq!(subject(&strict, &head(&key)), "key_1", "the old peppers can go");
    }
}

#[test]
fn a_key_that_is_used_often_waits_once_and_the_queue_is_bounded() {
    let keys: Vec<_> = (0..5).map(|_| live_key()).collect();
    let records = (0..).zip(&keys).map(|(i, key)| kept(&format!("key_{i}"), key.digest()));
    let store = holding(records);
    let upgrades = Upgrades::with_capacity(3).unwrap().actor("rehash");
    let gate = gate(store.clone(), peppers().accept_plain().upgrades(&upgrades));
    for _ in 0..3 {
        keys.iter().for_each(|key| drop(verdict(&gate, &head(key)).unwrap()));
    }
    assert_eq!((upgrades.waiting(), upgrades.dropped()), (3, 6), "no request was refused");
    assert_eq!(wait(upgrades.drain(&store)), 3);
    keys.iter().for_each(|key| drop(verdict(&gate, &head(key)).unwrap()));
    assert_eq!(wait(upgrades.drain(&store)), 2, "noted when they were used again");
    assert_eq!(&*wait(store.events(&acme(), 0, 1)).unwrap()[0].actor, "rehash");
    assert!(Upgrades::with_capacity(0).is_err());
}

#[test]
fn an_upgrade_changes_nothing_that_was_changed_meanwhile() {
    let (key, other) = (live_key(), live_key());
    let world = world([kept("key_1", key.digest()), record("key_2", &other, Tenant::new("acme"))]);
    let note = |key: &KeyToken| drop(verdict(&world.gate, &head(key)).unwrap());
    let read =
        |id: &str| KeyRecord::clone(&wait(world.store.get(&acme(), &id.into())).unwrap().unwrap());
    note(&key);
    wait(world.store.replace(read("key_1").with_name("renamed"))).unwrap();
    assert_eq!(wait(world.upgrades.drain(&world.store)), 1);
    assert_eq!(read("key_1").name(), "renamed", "the record is read again");
    note(&other);
    wait(world.store.replace(read("key_2").with_status(KeyStatus::Revoked))).unwrap();
    assert_eq!(wait(world.upgrades.drain(&world.store)), 0, "revoked meanwhile");
    assert_eq!(read("key_2").status(), KeyStatus::Revoked);
    let third = live_key();
    wait(world.store.insert(kept("key_3", third.digest()))).unwrap();
    note(&third);
    wait(world.store.delete(&acme(), &"key_3".into())).unwrap();
    assert_eq!(wait(world.upgrades.drain(&world.store)), 0, "deleted meanwhile");
    assert_eq!(world.upgrades.failed(), 0);
    assert_eq!(world.actions().len(), 1);
}

#[test]
fn an_upgrade_that_fails_is_made_when_the_key_is_next_used() {
    let key = live_key();
    let world = world([kept("key_1", key.digest())]);
    let store = Faulty::over(world.store.clone());
    let note = || drop(verdict(&world.gate, &head(&key)).unwrap());
    note();
    store.outages.store(1, Ordering::SeqCst);
    assert_eq!(wait(world.upgrades.drain(&store)), 0);
    assert_eq!(world.upgrades.failed(), 1);
    note();
    store.conflicts.store(1, Ordering::SeqCst);
    assert_eq!(wait(world.upgrades.drain(&store)), 0);
    assert_eq!(world.upgrades.failed(), 1, "a conflict is no failure");
    note();
    assert_eq!(wait(world.upgrades.drain(&store)), 1);
    assert_eq!(world.digest("key_1"), ways(&key)[0].1);
}

#[test]
fn a_store_that_is_away_is_not_asked_for_each_key_that_waits() {
    let keys = [live_key(), live_key(), live_key()];
    let records = keys.iter().enumerate().map(|(n, key)| kept(&format!("key_{n}"), key.digest()));
    let world = world(records);
    let store = Faulty::over(world.store.clone());
    let note = || keys.iter().for_each(|key| drop(verdict(&world.gate, &head(key)).unwrap()));
    note();
    store.outages.store(1, Ordering::SeqCst);
    assert_eq!(wait(world.upgrades.drain(&store)), 0, "it would answer the second question");
    assert_eq!(world.upgrades.failed(), 3);
    note();
    assert_eq!(wait(world.upgrades.drain(&store)), 3, "all are noted again");
}

/// Whoever holds a key must not get another's record under a digest of his own.
#[test]
fn a_store_that_answers_with_another_keys_record_upgrades_nothing() {
    struct Confused(Arc<KeyRecord>, KeyDigest);
    #[async_trait]
    impl KeyStore for Confused {
        async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
            Ok(Some(Arc::clone(&self.0)).filter(|_| *digest != self.1))
        }
    }
    let key = live_key();
    let victim = Arc::new(kept("key_1", KeyDigest::of("the victim's")));
    let upgrades = Upgrades::new();
    let store = Confused(victim, ways(&key)[0].1);
    let gate = gate(store, peppers().accept_plain().upgrades(&upgrades));
    assert_eq!(refusal(&gate, &head(&key)), KeyInvalid);
    assert_eq!(upgrades.waiting(), 0);
}

#[test]
fn a_revoked_key_is_not_noted() {
    let key = live_key();
    let world = world([kept("key_1", key.digest()).with_status(KeyStatus::Revoked)]);
    assert_eq!(refusal(&world.gate, &head(&key)), KeyInvalid);
    assert_eq!(world.upgrades.waiting(), 0);
}

#[test]
fn a_task_upgrades_what_is_noted_and_ends_when_it_is_closed() {
    let (key, late) = (live_key(), live_key());
    let world = world([kept("key_1", key.digest()), kept("key_2", late.digest())]);
    let (upgrades, store) = (world.upgrades.clone(), world.store.clone());
    let mut task: Pin<Box<dyn Future<Output = ()>>> =
        Box::pin(async move { upgrades.run(&store).await });
    let poll = |task: &mut Pin<Box<dyn Future<Output = ()>>>| {
        task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    assert!(poll(&mut task).is_pending());
    verdict(&world.gate, &head(&key)).unwrap();
    assert!(poll(&mut task).is_pending());
    assert_eq!(world.digest("key_1"), ways(&key)[0].1);
    verdict(&world.gate, &head(&late)).unwrap();
    world.upgrades.close();
    assert!(poll(&mut task).is_ready());
    assert_eq!(world.digest("key_2"), ways(&late)[0].1, "what waited was made first");
}

/// The task is woken, and not polled by luck.
#[tokio::test]
async fn a_task_is_woken_by_a_request() {
    let key = live_key();
    let store = MemoryStore::new();
    store.insert(kept("key_1", key.digest())).await.unwrap();
    let upgrades = Upgrades::new();
    let gate = gate(store.clone(), peppers().accept_plain().upgrades(&upgrades));
    let task = tokio::spawn({
        let (upgrades, store) = (upgrades.clone(), store.clone());
        async move { upgrades.run(&store).await }
    });
    tokio::task::yield_now().await;
    gate.authenticate(&head(&key)).await.verdict.unwrap();
    while store.find(&ways(&key)[0].1).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    upgrades.close();
    task.await.unwrap();
}

/// A key moves while it is looked for: its old digest is gone when that is asked for, and its new
/// one was not there yet.
#[test]
fn a_key_that_moves_while_it_is_looked_for_is_found() {
    struct Moving(MemoryStore, KeyDigest, KeyRecord);
    #[async_trait]
    impl KeyStore for Moving {
        async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
            if *digest == self.1 {
                self.0.replace(self.2.clone()).await.ok();
            }
            self.0.find(digest).await
        }
    }
    let key = live_key();
    let [(_, new), (_, old), ..] = ways(&key);
    let store = holding([kept("key_1", old)]);
    let moving = Moving(store, old, kept("key_1", new));
    assert_eq!(subject(&gate(moving, peppers()), &head(&key)), "key_1");
}

#[test]
fn no_request_is_refused_while_digests_move() {
    for _ in 0..200 {
        let key = live_key();
        let world = world([kept("key_1", key.digest())]);
        drop(verdict(&world.gate, &head(&key)).unwrap());
        thread::scope(|scope| {
            scope.spawn(|| wait(world.upgrades.drain(&world.store)));
            scope.spawn(|| (0..50).for_each(|_| drop(verdict(&world.gate, &head(&key)).unwrap())));
        });
        assert_eq!(world.digest("key_1"), ways(&key)[0].1);
    }
}
