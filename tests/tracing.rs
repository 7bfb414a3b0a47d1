//! What the log says of refusals: who, why, from where, and never a secret.

#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{
    Fixed, NOW, basic, bearer, claims, gate, get, head, holding, live_key, record, token, verifier,
    wait, with_peer,
};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::Empty;
use keygate::policy::{Routes, SameOrigin};
use keygate::{
    AuthLayer, FailureBudget, KeyStatus, Limit, Policy, Quota, Rejection, RejectionKind, Require,
    Source, Tenant, TenantStatus,
};
use tower::{Layer, ServiceExt, service_fn};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The lines that are logged, at every level, while `work` is done.
fn logged<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let buffer = Buffer::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(buffer.clone())
        .finish();
    let done = tracing::subscriber::with_default(subscriber, work);
    let bytes = buffer.0.lock().unwrap().clone();
    let lines = String::from_utf8(bytes).unwrap();
    (done, lines.lines().map(str::to_owned).collect())
}

/// Sends a request through the whole layer; the refusal's kind and the log.
fn send(layer: &AuthLayer, parts: Parts) -> (Option<RejectionKind>, Vec<String>) {
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let inner = Require::new(Policy::authenticated()).layer(service);
    let request = Request::from_parts(parts, ());
    let (response, lines) = logged(|| wait(layer.layer(inner).oneshot(request)).unwrap());
    (response.extensions().get::<Rejection>().map(Rejection::kind), lines)
}

const PASSWORD: &str = "correct-horse-battery-staple";

/// One request for each kind of refusal, and the secrets in it.
struct Case {
    kind: RejectionKind,
    layer: AuthLayer,
    parts: Parts,
    secrets: Vec<String>,
    names: &'static [&'static str],
}

fn keyed(
    kind: RejectionKind,
    names: &'static [&'static str],
    change: fn(keygate::KeyRecord) -> keygate::KeyRecord,
    configure: fn(AuthLayer) -> AuthLayer,
) -> Case {
    let key = live_key();
    let store = holding([change(record("key_1", &key, Tenant::new("acme")))]);
    let authorization = basic(&format!("{}:{PASSWORD}", key.reveal()));
    let layer = gate(store).sources([Source::basic(), Source::bearer()]).unwrap();
    let encoded = authorization.clone();
    Case {
        kind,
        layer: configure(layer),
        parts: get(&[("authorization", &authorization)]),
        secrets: vec![key.reveal().into(), PASSWORD.into(), encoded],
        names,
    }
}

fn tokened(
    kind: RejectionKind,
    names: &'static [&'static str],
    jwt: String,
    configure: fn(AuthLayer) -> AuthLayer,
) -> Case {
    let layer = configure(gate(holding([])).jwt(verifier()));
    Case { kind, layer, parts: bearer(&jwt), secrets: vec![jwt], names }
}

const CALLER: &[&str] = &["subject=\"key_1\"", "tenant=\"acme\""];
const SHOWN: &[&str] = &["key=\"sk_live_"];
const NOBODY: &[&str] = &[];

fn cases() -> Vec<Case> {
    use RejectionKind::*;
    let old = claims(&format!(
        r#"{{"iss":"{}","aud":"{}","exp":1700000000,"sub":"ann","card":"4111111111111111"}}"#,
        common::ISSUER,
        common::AUDIENCE,
    ));
    let forged = format!("{}AAAA", &token("")[..token("").len() - 4]);
    let mut cases = vec![
        keyed(
            AddressDenied,
            CALLER,
            |key| key.with_networks(["198.51.100.0/24".parse().unwrap()]),
            |l| l,
        ),
        keyed(KeyExpired, CALLER, |key| key.with_expires(NOW), |layer| layer),
        keyed(KeyInactive, CALLER, |key| key.with_status(KeyStatus::Inactive), |layer| layer),
        keyed(KeyInvalid, CALLER, |key| key.with_status(KeyStatus::Revoked), |layer| layer),
        keyed(
            TenantSuspended,
            CALLER,
            |key| key.with_tenant(Tenant::new("acme").with_status(TenantStatus::Suspended)),
            |l| l,
        ),
        keyed(
            InsufficientScope,
            CALLER,
            |key| key,
            |l| l.require(Policy::all_of(["admin"]).unwrap()),
        ),
        keyed(NotPermitted, CALLER, |key| key, |layer| layer.require(Policy::deny())),
        keyed(
            RateLimited,
            CALLER,
            |key| key,
            |layer| layer.limit(Limit::per_tenant(Quota::per_hour(1).unwrap())).unwrap(),
        ),
        keyed(InvalidPath, SHOWN, |key| key, |l| l.routes(Routes::new().deny_unknown())),
        keyed(
            TooManyFailures,
            CALLER,
            |key| key.with_expires(NOW),
            |layer| layer.failures(FailureBudget::new(Quota::per_hour(1).unwrap())),
        ),
        tokened(TokenInvalid, NOBODY, forged, |layer| layer),
        tokened(TokenExpired, NOBODY, old, |layer| layer),
        tokened(CrossSite, NOBODY, token(""), |layer| {
            layer.sources([Source::cookie("s").unwrap()]).unwrap().same_origin(SameOrigin::new())
        }),
        tokened(AmbiguousCredential, NOBODY, token(""), |layer| layer),
        tokened(MissingCredential, NOBODY, "unused-credential-that-nobody-sends".into(), |l| l),
    ];
    let key = live_key();
    cases.push(Case {
        kind: Unavailable,
        layer: gate(Fixed(Err("connection refused\nby 10.0.0.5"))),
        parts: bearer(key.reveal()),
        secrets: vec![key.reveal().into()],
        names: SHOWN,
    });
    for case in &mut cases {
        match case.kind {
            InvalidPath => case.parts.uri = "/a//b".parse().unwrap(),
            CrossSite => {
                let cookie = format!("s={}", case.secrets[0]);
                case.parts = head(Method::POST, "/", &[("cookie", cookie.as_bytes())]);
            }
            AmbiguousCredential => {
                case.parts.headers.append("x-api-key", case.secrets[0].parse().unwrap());
            }
            MissingCredential => case.parts = get(&[]),
            // The first is within the budget and the quota.
            TooManyFailures | RateLimited => {
                drop(send(&case.layer, with_peer(case.parts.clone(), "192.0.2.7")))
            }
            _ => {}
        }
    }
    cases
}

#[test]
fn every_kind_of_refusal_is_logged_once_with_who_and_from_where_and_never_a_secret() {
    let mut seen = HashSet::new();
    for case in cases() {
        let (kind, lines) = send(&case.layer, with_peer(case.parts, "192.0.2.7"));
        assert_eq!(kind, Some(case.kind));
        seen.insert(case.kind);
        let ours: Vec<_> = lines.iter().filter(|line| line.contains("request refused")).collect();
        assert_eq!(ours.len(), 1, "{:?}: {lines:#?}", case.kind);
        for part in [&*format!("kind=\"{}\"", case.kind.code()), "address=192.0.2.7"] {
            assert!(ours[0].contains(part), "{part}: {}", ours[0]);
        }
        for name in case.names {
            assert!(ours[0].contains(name), "{:?} {name}: {}", case.kind, ours[0]);
        }
        let all = lines.join("\n");
        for secret in &case.secrets {
            for piece in secret.as_bytes().windows(16) {
                let piece = std::str::from_utf8(piece).unwrap();
                assert!(!all.contains(piece), "{:?}: {piece} of a secret in {all}", case.kind);
            }
        }
    }
    assert_eq!(seen, HashSet::from(RejectionKind::ALL), "no kind is left out");
}

#[test]
fn an_outage_is_an_error_with_its_cause_and_all_else_is_what_clients_do() {
    for case in cases() {
        let (_, lines) = send(&case.layer, with_peer(case.parts, "192.0.2.7"));
        let line = &lines[0];
        let level = if case.kind == RejectionKind::Unavailable { "ERROR" } else { "INFO" };
        assert!(line.trim_start().starts_with(level), "{line}");
        assert!(line.contains("keygate: "), "the target: {line}");
        let told = line.contains("the store is unavailable: connection refused\\nby 10.0.0.5");
        assert_eq!(told, case.kind == RejectionKind::Unavailable, "{line}");
    }
}

#[test]
fn who_passes_is_not_logged() {
    let (store, key) = common::one_key();
    let layer = gate(store).jwt(verifier());
    for parts in [bearer(key.reveal()), bearer(&token(""))] {
        let (kind, lines) = send(&layer, parts);
        assert_eq!((kind, lines.len()), (None, 0), "{lines:?}");
    }
}

#[test]
fn a_refusal_from_behind_the_gate_is_logged_with_its_caller() {
    let (store, key) = common::one_key();
    let layer = gate(store);
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let inner = Require::new(Policy::all_of(["admin"]).unwrap()).layer(service);
    let parts = with_peer(bearer(key.reveal()), "192.0.2.7");
    let call = || wait(layer.layer(layer.layer(inner)).oneshot(Request::from_parts(parts, ())));
    let (response, lines) = logged(call);
    assert_eq!(response.unwrap().status(), 403);
    assert_eq!(lines.len(), 1, "two gates, one event: {lines:?}");
    for part in ["insufficient_scope", "subject=\"key_1\"", "tenant=\"acme\"", "192.0.2.7"] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
}

#[test]
fn names_with_line_breaks_make_no_lines_of_their_own() {
    let evil = "x\\nERROR keygate: forged\\u001b[31m\\r\\u0007";
    let jwt = claims(&format!(
        r#"{{"iss":"{}","aud":"{}","exp":1800000600,"sub":"{evil}","tenant":"{evil}"}}"#,
        common::ISSUER,
        common::AUDIENCE,
    ));
    let layer = gate(holding([])).jwt(verifier()).require(Policy::deny());
    let (kind, lines) = send(&layer, bearer(&jwt));
    assert_eq!(kind, Some(RejectionKind::NotPermitted));
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("subject=\"x\\nERROR"), "{}", lines[0]);
    assert!(lines[0].bytes().all(|b| (0x20..0x7F).contains(&b)), "{:?}", lines[0]);
    let key = live_key();
    let store = holding([record("k\nFAKE", &key, Tenant::new("t\nFAKE"))]);
    let (_, lines) = send(&gate(store).require(Policy::deny()), bearer(key.reveal()));
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[test]
fn a_malformed_credential_is_shown_only_as_far_as_its_known_prefix_and_four_characters() {
    let layer = gate(holding([])).jwt(verifier());
    for (text, shown) in [
        ("sk_live_abcdefghijklmnop", Some("key=\"sk_live_abcd\"")),
        ("sk_live_abc", None),
        ("hunter2hunter2hunter2", None),
        ("a.b.c", None),
        ("pk_live_abcdefghijklmnop", None),
    ] {
        let (_, lines) = send(&layer, bearer(text));
        match shown {
            Some(shown) => assert!(lines[0].contains(shown), "{}", lines[0]),
            None => assert!(!lines[0].contains("key=") && !lines[0].contains(text), "{}", lines[0]),
        }
        assert!(!lines[0].contains("efgh"), "{}", lines[0]);
    }
}

/// A provider that answers this.
#[derive(Debug)]
struct Answers(Result<&'static str, &'static str>);

#[async_trait::async_trait]
impl keygate::jwt::remote::Fetch for Answers {
    async fn get(
        &self,
        _: Request<()>,
        _: usize,
    ) -> Result<Response<Bytes>, keygate::jwt::remote::FetchError> {
        Ok(Response::new(self.0?.into()))
    }

    async fn sleep(&self, _: std::time::Duration) {
        std::future::pending().await
    }
}

/// What is logged of one fetch.
fn fetched(answer: Result<&'static str, &'static str>) -> Vec<String> {
    let url = "https://issuer.example/jwks?code=hidden";
    let (keys, _task) = keygate::jwt::remote::RemoteKeys::jwks(url).build(Answers(answer)).unwrap();
    let (_, lines) = logged(|| drop(wait(keys.refresh())));
    assert!(lines.iter().all(|line| !line.contains("hidden")), "{lines:?}");
    lines
}

#[test]
fn a_fetch_of_keys_that_fails_is_a_warning_with_its_cause() {
    for (answer, told) in [
        (Err("connection refused"), "connection refused"),
        (Ok("<html>hidden</html>"), "not a JSON object with a list of keys"),
        (Ok(r#"{"keys":[]}"#), "no key that can be used"),
    ] {
        let lines = fetched(answer);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].trim_start().starts_with("WARN keygate: keys not fetched"),
            "{}",
            lines[0]
        );
        assert!(lines[0].contains(told), "{}", lines[0]);
    }
}

#[test]
fn a_key_that_is_skipped_is_a_warning_with_its_reason_and_nothing_of_the_key() {
    let good = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert_eq!(fetched(Ok(Box::leak(format!(r#"{{"keys":[{good}]}}"#).into_boxed_str()))).len(), 0);
    let secret = r#"{"kty":"oct","kid":"1\nERROR forged","k":"hidden"}"#;
    let set = Box::leak(format!(r#"{{"keys":[{good},{secret},7]}}"#).into_boxed_str());
    let lines = fetched(Ok(set));
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].trim_start().starts_with("WARN keygate: key skipped"), "{}", lines[0]);
    assert!(lines[0].contains(r#"kid="1\nERROR forged""#), "{}", lines[0]);
    assert!(lines[0].contains("a secret among public keys"), "{}", lines[0]);
    assert!(lines[1].contains("not a JWK"), "{}", lines[1]);
}
