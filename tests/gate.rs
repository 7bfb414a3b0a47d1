//! The gate: which refusal wins, whom JWTs speak for, what reaches the service behind.

#![allow(clippy::unwrap_used)]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    Counting, Fixed, NOW, bearer, clock, gate, get, head, holding, live_key, one_key, record,
    refusal, subject, token, verdict, verifier, wait, with_peer,
};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use keygate::RejectionKind::{self, *};
use keygate::policy::Routes;
use keygate::store::{KeyAdmin, MemoryStore, StoreError, TenantDirectory};
use keygate::{
    AuthLayer, Environment, EnvironmentPolicy, FailureBudget, KeyFormat, KeyRecord, KeyStatus,
    KeyToken, Limit, Method as Proof, Policy, Principal, Quota, Rejection, Require, Source, Tenant,
    TenantId, TenantStatus,
};
use tower::{Layer, ServiceExt, service_fn};

/// What the service behind saw, and the answer.
struct Trip {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    why: Option<RejectionKind>,
    seen: Option<Parts>,
}

fn send(layer: &AuthLayer, parts: Parts) -> Trip {
    let seen = Arc::new(std::sync::Mutex::new(None));
    let kept = Arc::clone(&seen);
    let service = service_fn(move |request: Request<()>| {
        *kept.lock().unwrap() = Some(request.into_parts().0);
        async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("inside")))) }
    });
    let response = wait(layer.layer(service).oneshot(Request::from_parts(parts, ()))).unwrap();
    let why = response.extensions().get::<Rejection>().map(Rejection::kind);
    let (parts, body) = response.into_parts();
    let body = wait(body.collect()).unwrap().to_bytes();
    let seen = seen.lock().unwrap().take();
    Trip { status: parts.status.as_u16(), headers: parts.headers, body, why, seen }
}

fn suspended() -> Tenant {
    Tenant::new("acme").with_status(TenantStatus::Suspended)
}

type Change = fn(KeyRecord) -> KeyRecord;

const REVOKED: Change = |record| record.with_status(KeyStatus::Revoked);
const INACTIVE: Change = |record| record.with_status(KeyStatus::Inactive);
const EXPIRED: Change = |record| record.with_expires(NOW);
const SUSPENDED: Change = |record| record.with_tenant(suspended());
const ELSEWHERE: Change = |record| record.with_networks(["192.0.2.0/24".parse().unwrap()]);
const TEST: Change = |record| record.with_environment(Environment::Test);

fn changed(key: &KeyToken, changes: &[Change]) -> KeyRecord {
    changes.iter().fold(record("key_1", key, Tenant::new("acme")), |record, change| change(record))
}

#[test]
fn of_several_faults_of_a_key_the_worst_is_told() {
    let table: [(&[Change], Option<RejectionKind>); 20] = [
        (&[], None),
        (&[REVOKED], Some(KeyInvalid)),
        (&[INACTIVE], Some(KeyInactive)),
        (&[EXPIRED], Some(KeyExpired)),
        (&[SUSPENDED], Some(TenantSuspended)),
        (&[ELSEWHERE], Some(AddressDenied)),
        (&[TEST], Some(KeyInvalid)),
        (&[REVOKED, EXPIRED], Some(KeyInvalid)),
        (&[REVOKED, SUSPENDED], Some(KeyInvalid)),
        (&[REVOKED, ELSEWHERE], Some(KeyInvalid)),
        (&[INACTIVE, EXPIRED], Some(KeyInactive)),
        (&[INACTIVE, SUSPENDED], Some(KeyInactive)),
        (&[INACTIVE, ELSEWHERE], Some(KeyInactive)),
        (&[EXPIRED, SUSPENDED], Some(KeyExpired)),
        (&[EXPIRED, ELSEWHERE], Some(KeyExpired)),
        (&[SUSPENDED, ELSEWHERE], Some(TenantSuspended)),
        (&[TEST, INACTIVE], Some(KeyInvalid)),
        (&[TEST, EXPIRED, SUSPENDED, ELSEWHERE], Some(KeyInvalid)),
        (&[INACTIVE, EXPIRED, SUSPENDED, ELSEWHERE], Some(KeyInactive)),
        (&[REVOKED, TEST, EXPIRED, SUSPENDED, ELSEWHERE], Some(KeyInvalid)),
    ];
    for (index, (changes, expected)) in table.into_iter().enumerate() {
        let key = live_key();
        let store = Fixed(Ok(Some(Arc::new(changed(&key, changes)))));
        let gate = gate(store).require(Policy::authenticated()).into_authenticator();
        let parts = with_peer(bearer(key.reveal()), "203.0.113.9");
        let why = verdict(&gate, &parts).err().map(|why| why.kind());
        assert_eq!(why, expected, "row {index}");
    }
}

#[test]
fn a_key_expires_at_its_moment_and_not_before() {
    let (clock, key) = (clock(), live_key());
    let end = NOW.saturating_add(Duration::from_secs(1));
    let store = holding([record("key_1", &key, Tenant::new("acme")).with_expires(end)]);
    let gate = AuthLayer::new(store).clock(clock.clone()).into_authenticator();
    clock.advance(Duration::from_nanos(999_999_999));
    assert_eq!(subject(&gate, &bearer(key.reveal())), "key_1");
    clock.advance(Duration::from_nanos(1));
    assert_eq!(refusal(&gate, &bearer(key.reveal())), KeyExpired);
    clock.set(NOW);
    assert_eq!(subject(&gate, &bearer(key.reveal())), "key_1", "time is the clock's alone");
}

#[test]
fn a_record_that_contradicts_the_keys_text_is_none() {
    for (says, is) in
        [(Environment::Test, Environment::Live), (Environment::Live, Environment::Test)]
    {
        let key = KeyFormat::sk().generate(says).unwrap();
        let store = holding([record("key_1", &key, Tenant::new("acme")).with_environment(is)]);
        let gate = gate(store).environment(EnvironmentPolicy::TestAndLive).into_authenticator();
        assert_eq!(refusal(&gate, &bearer(key.reveal())), KeyInvalid, "{says:?} {is:?}");
    }
}

#[test]
fn a_store_that_answers_with_another_keys_record_lets_nobody_in() {
    let (asked, other) = (live_key(), live_key());
    let store = Fixed(Ok(Some(Arc::new(record("key_2", &other, Tenant::new("acme"))))));
    let gate = gate(store).into_authenticator();
    assert_eq!(refusal(&gate, &bearer(asked.reveal())), KeyInvalid);
    assert_eq!(subject(&gate, &bearer(other.reveal())), "key_2");
}

#[test]
fn a_failing_store_is_503_and_lets_nobody_in() {
    let layer = gate(Fixed(Err("the database is at 10.0.0.5"))).jwt(verifier());
    let gate = layer.clone().into_authenticator();
    assert_eq!(refusal(&gate, &bearer(live_key().reveal())), Unavailable);
    let optional = layer.clone().optional().into_authenticator();
    assert_eq!(refusal(&optional, &bearer(live_key().reveal())), Unavailable);
    let trip = send(&layer, bearer(live_key().reveal()));
    assert_eq!((trip.status, trip.why), (503, Some(Unavailable)));
    assert!(trip.seen.is_none() && trip.headers.contains_key("retry-after"));
    assert!(!String::from_utf8_lossy(&trip.body).contains("10.0.0.5"));
    assert_eq!(subject(&gate, &bearer(&token(""))), "ann", "tokens do not need it");
    assert_eq!(refusal(&gate, &bearer("sk_live_x")), KeyInvalid, "nor do malformed keys");
}

#[test]
fn unknown_revoked_malformed_and_misplaced_keys_are_answered_alike_byte_for_byte() {
    let (revoked, contradicting, stranger) = (live_key(), live_key(), live_key());
    let test = KeyFormat::sk().generate(Environment::Test).unwrap();
    let store = holding([
        record("key_1", &revoked, Tenant::new("acme")).with_status(KeyStatus::Revoked),
        record("key_2", &contradicting, Tenant::new("acme")).with_environment(Environment::Test),
        record("key_3", &test, Tenant::new("acme")).with_environment(Environment::Test),
    ]);
    let layer = gate(store);
    let brand = KeyFormat::cvtk().generate(Environment::Live).unwrap();
    let answer = |credential: &str| {
        let trip = send(&layer, bearer(credential));
        assert_eq!((trip.status, trip.why), (401, Some(KeyInvalid)), "{credential}");
        (trip.headers, trip.body)
    };
    let expected = answer(stranger.reveal());
    for key in [&revoked, &contradicting, &test, &brand] {
        assert_eq!(answer(key.reveal()), expected);
    }
    for text in ["sk_live_", "sk_live_x", "x", &token(""), &"a".repeat(20_000)] {
        assert_eq!(answer(text), expected);
    }
}

// Tenants of tokens

enum Directory {
    Knows(Tenant),
    Empty,
    Away,
}

#[async_trait]
impl TenantDirectory for Directory {
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        match self {
            Self::Knows(tenant) => Ok(Some(tenant).filter(|t| t.id() == id).cloned().map(Arc::new)),
            Self::Empty => Ok(None),
            Self::Away => Err(StoreError::unavailable("away")),
        }
    }
}

fn tokens(directory: Directory) -> AuthLayer {
    AuthLayer::tokens_only(verifier()).clock(clock()).tenants(directory)
}

fn of_acme() -> Parts {
    bearer(&token(r#","tenant":"acme""#))
}

#[test]
fn a_tokens_tenant_has_to_be_in_the_directory_and_in_order() {
    let table = [
        (Directory::Knows(Tenant::new("acme")), None),
        (Directory::Knows(suspended()), Some(TenantSuspended)),
        (Directory::Knows(Tenant::new("other")), Some(TokenInvalid)),
        (Directory::Knows(Tenant::new("ACME")), Some(TokenInvalid)),
        (Directory::Empty, Some(TokenInvalid)),
        (Directory::Away, Some(Unavailable)),
    ];
    for (index, (directory, expected)) in table.into_iter().enumerate() {
        let gate = tokens(directory).into_authenticator();
        let why = verdict(&gate, &of_acme()).err().map(|why| why.kind());
        assert_eq!(why, expected, "row {index}");
    }
    let known = tokens(Directory::Knows(Tenant::new("acme"))).into_authenticator();
    assert_eq!(refusal(&known, &bearer(&token(""))), TokenInvalid, "a token without a tenant");
    let away = tokens(Directory::Away).into_authenticator();
    assert_eq!(refusal(&away, &bearer("a.b.c")), TokenInvalid, "a bad one asks nobody");
    let old = format!(
        r#"{{"iss":"{}","aud":"{}","exp":1700000000,"sub":"ann","tenant":"acme"}}"#,
        common::ISSUER,
        common::AUDIENCE
    );
    assert_eq!(refusal(&away, &bearer(&common::claims(&old))), TokenExpired, "nor an old one");
}

#[test]
fn the_directory_tells_the_plan_and_without_one_the_token_names_the_tenant() {
    let plan = Directory::Knows(Tenant::new("acme").with_plan("pro"));
    let principal = verdict(&tokens(plan).into_authenticator(), &of_acme()).unwrap().unwrap();
    assert_eq!(principal.tenant().unwrap().plan(), Some("pro"));
    let bare = AuthLayer::tokens_only(verifier()).clock(clock()).into_authenticator();
    let principal = verdict(&bare, &of_acme()).unwrap().unwrap();
    assert_eq!(principal.tenant_id(), Some(&TenantId::from("acme")));
    assert_eq!(principal.tenant().unwrap().plan(), None);
    assert!(verdict(&bare, &bearer(&token(""))).unwrap().unwrap().tenant().is_none());
}

#[test]
fn a_directory_in_memory_is_asked_without_a_future_and_answers_alike() {
    let store = MemoryStore::new();
    let gate = || gate(store.clone()).jwt(verifier()).tenants(store.clone()).into_authenticator();
    assert_eq!(refusal(&gate(), &of_acme()), TokenInvalid);
    wait(store.put_tenant(suspended())).unwrap();
    assert_eq!(refusal(&gate(), &of_acme()), TenantSuspended);
    wait(store.put_tenant(Tenant::new("acme"))).unwrap();
    assert_eq!(subject(&gate(), &of_acme()), "ann");
}

#[test]
fn suspended_tenants_pass_only_where_they_are_admitted() {
    let key = live_key();
    let gate = |change: fn(AuthLayer) -> AuthLayer| {
        let store = holding([record("key_1", &key, suspended())]);
        change(gate(store.clone()).jwt(verifier()).tenants(store)).into_authenticator()
    };
    let (closed, open) = (gate(|layer| layer), gate(AuthLayer::admit_suspended));
    for (parts, who) in [(bearer(key.reveal()), "key_1"), (of_acme(), "ann")] {
        assert_eq!(refusal(&closed, &parts), TenantSuspended);
        assert_eq!(subject(&open, &parts), who);
    }
    let unknown = bearer(&token(r#","tenant":"other""#));
    assert_eq!(refusal(&open, &unknown), TokenInvalid, "an unknown tenant is not suspended");
}

#[test]
fn optional_lets_only_requests_without_a_credential_pass_unknown() {
    let (store, key) = one_key();
    let gate = gate(store).jwt(verifier()).optional().into_authenticator();
    assert!(verdict(&gate, &get(&[])).unwrap().is_none());
    assert_eq!(subject(&gate, &bearer(key.reveal())), "key_1");
    for (bad, kind) in [("", KeyInvalid), ("x", KeyInvalid), ("a.b.c", TokenInvalid)] {
        assert_eq!(refusal(&gate, &bearer(bad)), kind, "{bad}");
    }
    assert_eq!(refusal(&gate, &bearer(live_key().reveal())), KeyInvalid);
    let two = get(&[("authorization", "Bearer x"), ("x-api-key", "y")]);
    assert_eq!(refusal(&gate, &two), AmbiguousCredential);
}

#[test]
fn optional_lets_nobody_past_a_policy_that_asks_for_more() {
    for policy in [
        Policy::deny(),
        Policy::all_of(["a"]).unwrap(),
        Policy::authenticated().keys_only(),
        Policy::authenticated().tokens_only(),
    ] {
        let gate = gate(holding([])).optional().require(policy).into_authenticator();
        assert_eq!(refusal(&gate, &get(&[])), MissingCredential);
    }
}

#[test]
fn preflights_can_be_refused_like_other_requests_without_a_credential() {
    let cors = [("origin", &b"https://a"[..]), ("access-control-request-method", b"PUT")];
    let preflight = || head(Method::OPTIONS, "/x", &cors);
    let (open, closed) = (gate(holding([])), gate(holding([])).refuse_preflights());
    let passed = send(&open, preflight());
    assert!(passed.status == 200 && passed.seen.unwrap().extensions.get::<Principal>().is_none());
    let refused = send(&closed, preflight());
    assert!(refused.seen.is_none() && refused.why == Some(MissingCredential));
}

#[test]
fn a_gate_for_tokens_knows_no_keys() {
    let gate = AuthLayer::tokens_only(verifier()).clock(clock()).into_authenticator();
    assert_eq!(subject(&gate, &bearer(&token(""))), "ann");
    assert_eq!(refusal(&gate, &bearer(live_key().reveal())), TokenInvalid);
    assert_eq!(refusal(&gate, &get(&[("x-api-key", live_key().reveal())])), MissingCredential);
    let sources = [Source::bearer(), Source::header("x-api-key").unwrap()];
    let wider = AuthLayer::tokens_only(verifier()).clock(clock()).sources(sources).unwrap();
    let wider = wider.into_authenticator();
    assert_eq!(refusal(&wider, &bearer(live_key().reveal())), KeyInvalid, "no format, no key");
    assert_eq!(subject(&wider, &bearer(&token(""))), "ann");
}

#[test]
fn a_principal_tells_who_and_how() {
    let (store, key) = one_key();
    let gate = gate(store).jwt(verifier()).into_authenticator();
    let of_key = verdict(&gate, &bearer(key.reveal())).unwrap().unwrap();
    assert_eq!((of_key.subject(), of_key.method()), ("key_1", Proof::ApiKey));
    assert_eq!(of_key.key_id().unwrap().as_str(), "key_1");
    assert_eq!(of_key.environment(), Some(Environment::Live));
    assert!(of_key.token().is_none() && of_key.claims::<serde_json::Value>().is_none());
    let of_token = verdict(&gate, &bearer(&token(r#","age":7"#))).unwrap().unwrap();
    assert_eq!((of_token.subject(), of_token.method()), ("ann", Proof::Jwt));
    assert!(of_token.key().is_none() && of_token.environment().is_none());
    let claims: serde_json::Value = of_token.claims().unwrap().unwrap();
    assert_eq!(claims["age"], 7);
    assert!(of_token.claims::<String>().unwrap().is_err());
}

// Order

#[test]
fn a_limit_counts_before_the_policy_and_not_for_bad_credentials() {
    let (store, key) = one_key();
    let quota = Quota::per_hour(2).unwrap();
    let layer = gate(store).limit(Limit::per_tenant(quota)).unwrap();
    let gate = layer.require(Policy::all_of(["admin"]).unwrap()).into_authenticator();
    for _ in 0..5 {
        assert_eq!(refusal(&gate, &bearer(live_key().reveal())), KeyInvalid);
        assert_eq!(refusal(&gate, &get(&[])), MissingCredential);
    }
    let request = bearer(key.reveal());
    for (left, kind) in [(1, InsufficientScope), (0, InsufficientScope), (0, RateLimited)] {
        let outcome = wait(gate.authenticate(&request));
        assert_eq!(outcome.verdict.unwrap_err().kind(), kind);
        assert_eq!(outcome.standings.tightest().unwrap().remaining, left);
    }
}

#[test]
fn an_invalid_path_comes_before_the_credential_and_a_preflight_before_both() {
    let (store, _) = one_key();
    let counting = Counting::over(store);
    let routes = Routes::new().require_all("/x", Policy::deny()).unwrap().deny_unknown();
    let gate = gate(counting.clone()).routes(routes).into_authenticator();
    let key = format!("Bearer {}", live_key().reveal());
    let bad = head(Method::GET, "/a//b", &[("authorization", key.as_bytes())]);
    assert_eq!(refusal(&gate, &bad), InvalidPath);
    let cors = [("origin", &b"https://a"[..]), ("access-control-request-method", b"PUT")];
    assert!(verdict(&gate, &head(Method::OPTIONS, "/x", &cors)).unwrap().is_none());
    for (method, headers) in
        [(Method::OPTIONS, &cors[..1]), (Method::OPTIONS, &cors[1..]), (Method::PUT, &cors[..])]
    {
        assert_eq!(refusal(&gate, &head(method, "/x", headers)), MissingCredential);
    }
    assert_eq!(counting.asked(), 0);
}

#[test]
fn failures_are_counted_by_address_and_good_callers_pass_still() {
    let (store, key) = one_key();
    let budget = FailureBudget::new(Quota::per_hour(2).unwrap());
    let gate = gate(store).failures(budget).into_authenticator();
    let from = |parts, peer| with_peer(parts, peer);
    let bad = || bearer(live_key().reveal());
    for kind in [KeyInvalid, KeyInvalid, TooManyFailures, TooManyFailures] {
        assert_eq!(refusal(&gate, &from(bad(), "192.0.2.1")), kind);
    }
    assert_eq!(refusal(&gate, &from(bad(), "192.0.2.2")), KeyInvalid, "another address");
    assert_eq!(refusal(&gate, &from(get(&[]), "192.0.2.1")), MissingCredential, "no attempt");
    assert_eq!(subject(&gate, &from(bearer(key.reveal()), "192.0.2.1")), "key_1");
}

#[test]
fn a_budget_before_verification_asks_no_store() {
    let counting = Counting::over(holding([]));
    let budget = FailureBudget::new(Quota::per_hour(1).unwrap()).before_verification();
    let gate = gate(counting.clone()).failures(budget).into_authenticator();
    for (kind, asked) in [(KeyInvalid, 1), (TooManyFailures, 1), (TooManyFailures, 1)] {
        let parts = with_peer(bearer(live_key().reveal()), "192.0.2.1");
        let why = verdict(&gate, &parts).unwrap_err();
        assert_eq!((why.kind(), counting.asked()), (kind, asked));
        assert_eq!(why.retry_after().is_some(), kind == TooManyFailures);
    }
}

// Through the service

#[test]
fn who_passes_is_in_the_requests_extensions_and_nobody_else() {
    let (store, key) = one_key();
    let layer = gate(store).routes(Routes::new().public("/public").unwrap());
    let trip = send(&layer, bearer(key.reveal()));
    assert_eq!((trip.status, &trip.body[..]), (200, &b"inside"[..]));
    let seen = trip.seen.unwrap();
    assert_eq!(seen.extensions.get::<Principal>().unwrap().subject(), "key_1");
    let open = send(&layer, head(Method::GET, "/public", &[("x-api-key", b"sk_live_x")]));
    assert!(open.seen.unwrap().extensions.get::<Principal>().is_none());
    let refused = send(&layer, get(&[]));
    assert!(refused.seen.is_none() && refused.why == Some(MissingCredential));
}

#[test]
fn a_store_on_a_network_gives_the_same_answers() {
    let (store, key) = one_key();
    let layer = gate(Counting::over(store));
    let trip = send(&layer, bearer(key.reveal()));
    assert_eq!(trip.status, 200);
    assert!(trip.seen.unwrap().extensions.get::<Principal>().is_some());
    assert_eq!(send(&layer, bearer(live_key().reveal())).why, Some(KeyInvalid));
}

#[test]
fn answers_to_one_caller_are_private_where_no_cache_could_know() {
    let (store, key) = one_key();
    let layer = gate(store).routes(Routes::new().public("/public").unwrap());
    let cache =
        |trip: Trip| trip.headers.get("cache-control").map(|v| v.to_str().unwrap().to_owned());
    let by_header = send(&layer, get(&[("x-api-key", key.reveal())]));
    assert_eq!(cache(by_header).as_deref(), Some("private"));
    assert_eq!(cache(send(&layer, bearer(key.reveal()))), None, "RFC 9111 protects these");
    assert_eq!(cache(send(&layer, head(Method::GET, "/public", &[]))), None);
    assert_eq!(cache(send(&layer, get(&[]))).as_deref(), Some("no-store"));
}

#[test]
fn a_refusal_from_behind_gets_the_gates_form() {
    let (store, key) = one_key();
    let layer = gate(store).render(keygate::Envelope::convotic());
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("inside"))))
    });
    let inner = Require::new(Policy::all_of(["admin"]).unwrap()).layer(service);
    let request = Request::from_parts(bearer(key.reveal()), ());
    let response = wait(layer.layer(inner).oneshot(request)).unwrap();
    assert_eq!(response.status(), 403);
    let body = wait(response.into_body().collect()).unwrap().to_bytes();
    assert_eq!(body, r#"{"error":"insufficient_permissions"}"#);
}

#[test]
fn require_without_a_gate_refuses_everybody() {
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let alone = Require::new(Policy::authenticated()).layer(service);
    let response = wait(alone.oneshot(Request::new(()))).unwrap();
    assert_eq!(response.status(), 401);
}

#[test]
fn headers_that_name_a_caller_are_removed_however_they_are_sent() {
    let (store, key) = one_key();
    let layer = gate(store).strip_headers(["X-User-Id", "x-tenant"]).unwrap().optional();
    let spoofed: [(&str, &[u8]); 5] = [
        ("x-user-id", b"admin"),
        ("X-USER-ID", b"root"),
        ("x-user-id", b"\xFF"),
        ("x-tenant", b"other"),
        ("x-other", b"kept"),
    ];
    let authorization = format!("Bearer {}", key.reveal());
    for credential in [Some(authorization.as_bytes()), None] {
        let own = credential.map(|value| ("authorization", value));
        let all: Vec<_> = spoofed.iter().copied().chain(own).collect();
        let seen = send(&layer, head(Method::GET, "/", &all)).seen.unwrap();
        assert!(!seen.headers.contains_key("x-user-id") && !seen.headers.contains_key("x-tenant"));
        assert_eq!(seen.headers["x-other"], "kept");
        assert_eq!(seen.extensions.get::<Principal>().is_some(), credential.is_some());
    }
    let error = gate(holding([])).strip_headers(["a b"]).unwrap_err().to_string();
    assert!(error.contains("a b"), "{error}");
}

#[test]
fn nothing_that_can_be_printed_holds_a_secret() {
    let (store, key) = one_key();
    let jwt = token(r#","tenant":"acme","email":"ann@secret.example""#);
    let layer = gate(store).jwt(verifier());
    let gate = layer.clone().into_authenticator();
    let mut shown = vec![format!("{layer:#?}"), format!("{gate:#?}")];
    for credential in [key.reveal(), &jwt, "sk_live_0123456789abcdefghij", "a.b.c"] {
        let outcome = wait(gate.authenticate(&bearer(credential)));
        shown.push(format!("{outcome:#?}"));
        if let Ok(Some(principal)) = &outcome.verdict {
            shown.push(format!("{principal:#?} {:#?}", principal.token()));
        }
    }
    for text in shown {
        let secrets = [&key.reveal()[12..], &jwt[20..40], "0123456789abcdef", common::SECRET];
        for secret in secrets.into_iter().chain(["ann@secret.example"]) {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn changing_a_layer_leaves_the_gate_that_it_made_alone() {
    let (store, key) = one_key();
    let first = gate(store);
    let service = first.layer(());
    let second = first.clone().environment(Environment::Test);
    assert_eq!(subject(&first.into_authenticator(), &bearer(key.reveal())), "key_1");
    assert_eq!(refusal(&second.into_authenticator(), &bearer(key.reveal())), KeyInvalid);
    assert!(format!("{service:?}").contains("LiveOnly"));
}
