//! Attacks that other gates fell to, each with the answer that it gets here, by the rows of
//! `attacks.md`. Those on signatures and claims are the verifier's own and stand with its tests.

#![allow(clippy::unwrap_used)]

mod common;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use common::{
    AUDIENCE, Counting, ISSUER, NOW, SECRET, bearer, gate, get, head, holding, live_key, one_key,
    record, refusal, signed, subject, token, verdict, verifier, wait,
};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use keygate::RejectionKind::*;
use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
use keygate::policy::Routes;
use keygate::{
    AuthLayer, Envelope, Environment, KeyDigest, KeyFormat, KeyStatus, Policy, Principal, Problem,
    Render, Source, Tenant,
};
use support::quickest;
use tower::{Layer, ServiceExt, service_fn};

/// The whole answer, and whether the service behind was reached.
fn answer(layer: &AuthLayer, parts: Parts) -> String {
    let service = service_fn(|request: Request<()>| async move {
        let who = request.extensions().get::<Principal>().map(|who| who.subject().to_owned());
        let text = format!("inside as {who:?}, {:?}", request.headers());
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
    });
    let response = wait(layer.layer(service).oneshot(Request::from_parts(parts, ()))).unwrap();
    let (parts, body) = response.into_parts();
    let body = wait(body.collect()).unwrap().to_bytes();
    format!("{} {:?} {}", parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body))
}

fn good_claims() -> String {
    format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":1800000600,"sub":"ann"}}"#)
}

fn with_kid() -> JwtVerifier {
    let key = JwtKey::secret(Algorithm::HS256, SECRET).unwrap().with_kid("2026");
    JwtVerifier::builder(ISSUER, AUDIENCE).key(key).build().unwrap()
}

const KIDS: [&str; 9] = [
    "../../../../dev/null",
    "/etc/passwd",
    "' OR 1=1 --",
    "| sleep 10",
    "\\u0000",
    "\\n[forged] line",
    "\\u001b[31mforged",
    "http://evil.example/jwks",
    "\\\" onload=forged",
];

#[test]
fn row_6_a_kid_is_neither_a_path_nor_a_query_and_is_never_repeated() {
    fn holds_nothing(render: impl Render) {
        let layer = gate(holding([])).jwt(with_kid()).render(render);
        for kid in KIDS {
            let jwt = signed(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), &good_claims());
            let told = answer(&layer, bearer(&jwt));
            assert!(told.starts_with("401 "), "{told}");
            for part in ["passwd", "dev/null", "OR 1", "sleep", "forged", "evil", "onload"] {
                assert!(!told.contains(part), "{told}");
            }
        }
    }
    holds_nothing(Problem::new());
    holds_nothing(Envelope::g_tateth());
    holds_nothing(Envelope::nested());
    let good = signed(r#"{"alg":"HS256","kid":"2026"}"#, &good_claims());
    assert!(answer(&gate(holding([])).jwt(with_kid()), bearer(&good)).starts_with("200 "));
}

#[test]
fn row_6_a_kid_of_a_megabyte_is_refused_unread() {
    let kid = "k".repeat(1 << 20);
    let jwt = signed(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), &good_claims());
    let told = answer(&gate(holding([])).jwt(with_kid()), bearer(&jwt));
    assert!(told.starts_with("401 ") && !told.contains("kkkk"), "{}", told.len());
}

#[test]
fn row_16_oversized_credentials_and_many_dots_cost_nothing() {
    let counting = Counting::over(holding([]));
    let layer = gate(counting.clone()).jwt(verifier());
    let gate = layer.into_authenticator();
    for text in [".".repeat(1 << 20), "a.".repeat(1 << 19), "A".repeat(1 << 20)] {
        let head = bearer(&text);
        let hashed = quickest(|| KeyDigest::of(&text));
        let refused = quickest(|| assert!(verdict(&gate, &head).is_err()));
        assert!(refused * 5 < hashed, "{refused:?}, and to hash it takes {hashed:?}");
    }
    assert_eq!(counting.asked(), 0);
}

#[test]
fn row_28_the_first_of_two_credentials_is_never_chosen() {
    let (store, key) = one_key();
    let gate = gate(store).jwt(verifier()).into_authenticator();
    let (mine, good) = (format!("Bearer {}", key.reveal()), token(""));
    let bearer = format!("Bearer {good}");
    for headers in [
        vec![("authorization", &*mine), ("authorization", &*mine)],
        vec![("authorization", &*mine), ("authorization", &*bearer)],
        vec![("authorization", &*bearer), ("authorization", "Basic x")],
        vec![("authorization", &*mine), ("x-api-key", key.reveal())],
        vec![("authorization", &*bearer), ("x-api-key", key.reveal())],
        vec![("authorization", &*bearer), ("x-api-key", "")],
        vec![("x-api-key", key.reveal()), ("x-api-key", key.reveal())],
    ] {
        let why = verdict(&gate, &get(&headers)).unwrap_err();
        assert_eq!((why.kind(), why.status().as_u16()), (AmbiguousCredential, 400), "{headers:?}");
    }
}

#[test]
fn row_28_a_key_in_the_query_is_neither_read_nor_a_second_credential() {
    let (store, key) = one_key();
    let gate = gate(store).into_authenticator();
    let path = format!("/?api_key={0}&access_token={0}", key.reveal());
    assert_eq!(refusal(&gate, &head(Method::GET, &path, &[])), MissingCredential);
    let own = [("x-api-key", key.reveal().as_bytes())];
    assert_eq!(subject(&gate, &head(Method::GET, &path, &own)), "key_1");
}

#[test]
fn row_29_identity_headers_of_the_client_do_not_reach_the_service() {
    let (store, key) = one_key();
    let names = ["x-user-id", "x-tenant-id", "x-forwarded-user", "x-remote-user"];
    let layer = gate(store).strip_headers(names).unwrap();
    let own = [("x-api-key", key.reveal()), ("x-keep", "kept")];
    let spoofed: Vec<_> = names.iter().flat_map(|name| [(*name, "admin"), (*name, "")]).collect();
    let told = answer(&layer, get(&[&own[..], &spoofed].concat()));
    assert!(told.contains("inside as Some(\"key_1\")") && told.contains("kept"), "{told}");
    assert!(!told.contains("admin") && names.iter().all(|name| !told.contains(name)), "{told}");
}

#[test]
fn row_29_no_header_makes_a_principal() {
    let layer = gate(holding([])).optional();
    let headers = [
        ("x-user-id", "admin"),
        ("x-keygate-subject", "admin"),
        ("principal", "admin"),
        ("x-forwarded-user", "admin"),
        ("x-authenticated", "true"),
    ];
    assert!(answer(&layer, get(&headers)).contains("inside as None"));
}

#[test]
fn row_30_no_spelling_of_a_path_leads_around_its_rule() {
    let (store, key) = one_key();
    let routes = Routes::new()
        .public("/{*page}")
        .unwrap()
        .require_all("/admin", Policy::deny())
        .unwrap()
        .require_all("/admin/{*rest}", Policy::deny())
        .unwrap();
    let layer = gate(store).routes(routes);
    let own = format!("Bearer {}", key.reveal());
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "//admin",
        "//admin/x",
        "/admin//x",
        "/./admin",
        "/x/../admin",
        "/%61dmin",
        "/adm%69n",
        "/admin%2fx",
        "/admin%2Fx",
        "/x%2f..%2fadmin",
        "/x/%2e%2e/admin",
        "/x/.%2e/admin",
        "/admin%00",
        "/admin;v=1",
        "/admin;/x",
        "/x;/../admin",
        "/admin%3bx",
        "/admin%5cx",
        "/%2561dmin",
        "/x/%252e%252e/admin",
        "/admin%23",
        "/admin%3f",
        "/admin%20",
    ] {
        for headers in [&[][..], &[("authorization", own.as_bytes())]] {
            let told = answer(&layer, head(Method::GET, path, headers));
            // What is no other spelling of `/admin` to any reader is a page like others.
            let a_page = ["/admin%23", "/admin%3f", "/admin%20"].contains(&path);
            assert_eq!(told.starts_with("200 "), a_page, "{path}: {told}");
        }
    }
    assert!(answer(&layer, head(Method::GET, "/about", &[])).starts_with("200 "));
}

#[test]
fn row_31_bad_keys_of_every_kind_cost_the_same_work_and_get_the_same_answer() {
    let (revoked, unknown) = (live_key(), live_key());
    let known = record("key_1", &revoked, Tenant::new("acme")).with_status(KeyStatus::Revoked);
    let counting = Counting::over(holding([known]));
    let layer = gate(counting.clone());
    let first = answer(&layer, bearer(unknown.reveal()));
    assert!(first.starts_with("401 "));
    assert_eq!(counting.asked(), 1);
    assert_eq!(answer(&layer, bearer(revoked.reveal())), first);
    assert_eq!(counting.asked(), 2, "one look for a revoked key as for an unknown one");
    let test = KeyFormat::sk().generate(Environment::Test).unwrap();
    for text in [test.reveal(), "sk_live_x", "nothing"] {
        assert_eq!(answer(&layer, bearer(text)), first, "{text}");
    }
    assert_eq!(counting.asked(), 2, "what cannot be a key is no question at all");
}

#[test]
fn row_31_keys_that_share_a_beginning_with_a_good_one_are_as_unknown_as_others() {
    let (store, key) = one_key();
    let format = KeyFormat::sk().without_checksum();
    let gate = gate(store).key_formats([format]).unwrap();
    let layer = gate;
    let stranger = "sk_live_00000000000000000000000000000000";
    let expected = answer(&layer, bearer(stranger));
    for shared in (8..40).step_by(4) {
        let near = format!("{}{}", &key.reveal()[..shared], &stranger[shared..]);
        assert_eq!(answer(&layer, bearer(&near)), expected);
    }
}

fn with_session(layer: AuthLayer) -> AuthLayer {
    let sources = [Source::cookie("__Host-session").unwrap(), Source::bearer()];
    layer.jwt(verifier()).sources(sources).unwrap()
}

fn ridden(method: Method, more: &[(&str, &str)]) -> Parts {
    let cookie = format!("__Host-session={}", token(""));
    let own = [("cookie", cookie.as_bytes()), ("host", b"app.example".as_slice())];
    let more = more.iter().map(|(name, value)| (*name, value.as_bytes()));
    head(method, "/transfer", &own.into_iter().chain(more).collect::<Vec<_>>())
}

#[test]
fn row_32_a_foreign_page_cannot_ride_on_a_session() {
    let gate = with_session(gate(holding([]))).into_authenticator();
    for foreign in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://sub.app.example"), ("sec-fetch-site", "same-site")],
        &[("origin", "https://app.example.evil.example")],
        &[("origin", "null")],
        &[("origin", "https://app.example"), ("origin", "https://evil.example")],
        &[("referer", "https://app.example/")],
        &[("x-requested-with", "XMLHttpRequest")],
        &[("x-http-method-override", "GET")],
        &[("content-type", "text/plain")],
        &[],
    ] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(refusal(&gate, &ridden(method, foreign)), CrossSite, "{foreign:?}");
        }
    }
    for own in [&[("origin", "https://app.example")][..], &[("sec-fetch-site", "same-origin")]] {
        assert_eq!(subject(&gate, &ridden(Method::POST, own)), "ann", "{own:?}");
    }
}

#[test]
fn row_32_a_foreign_page_cannot_open_a_websocket_with_a_session() {
    let gate = with_session(gate(holding([]))).into_authenticator();
    let upgrade = [("upgrade", "websocket"), ("origin", "https://evil.example")];
    assert_eq!(refusal(&gate, &ridden(Method::GET, &upgrade)), CrossSite);
    assert_eq!(
        refusal(&gate, &ridden(Method::CONNECT, &[("origin", "https://evil.example")])),
        CrossSite
    );
}

#[test]
fn row_32_a_tossed_cookie_beside_the_real_one_is_refused() {
    let gate = with_session(gate(holding([]))).into_authenticator();
    let good = format!("__Host-session={}", token(""));
    let tossed = "__Host-session=attacker.s.token";
    for line in [format!("{good}; {tossed}"), format!("{tossed}; {good}")] {
        assert_eq!(refusal(&gate, &get(&[("cookie", &line)])), AmbiguousCredential);
    }
    assert_eq!(refusal(&gate, &get(&[("cookie", &good), ("cookie", tossed)])), AmbiguousCredential);
    let lower = good.to_lowercase();
    assert_eq!(refusal(&gate, &get(&[("cookie", &lower)])), MissingCredential, "no other case");
}

#[test]
fn row_32_a_session_beside_a_bearer_token_is_ambiguous() {
    let gate = with_session(gate(holding([]))).into_authenticator();
    let bearer = format!("Bearer {}", token(""));
    let parts = ridden(Method::POST, &[("authorization", &bearer)]);
    assert_eq!(refusal(&gate, &parts), AmbiguousCredential);
}

#[test]
fn row_34_weak_secrets_verify_nothing() {
    let padded = |word: &str| format!("{word:\0<64}");
    for weak in [
        "",
        "secret",
        "password",
        "your-256-bit-secret",
        "changeme",
        "jwt",
        "s3cr3t",
        "0123456789abcdef0123456789abcde",
        &"a".repeat(64),
        &"0".repeat(64),
        &" ".repeat(64),
        &padded("secret"),
        &padded(""),
    ] {
        assert!(JwtKey::secret(Algorithm::HS256, weak).is_err(), "{weak:?}");
    }
    assert!(JwtKey::secret(Algorithm::HS256, SECRET).is_ok());
}

#[test]
fn row_34_keys_are_never_made_weak() {
    assert!(KeyFormat::sk().body_length(26).is_err());
    assert!(KeyFormat::existing("", 1..=255).is_err());
}

#[test]
fn row_22_a_credential_is_judged_by_the_gates_clock_when_the_store_has_answered() {
    let key = live_key();
    let clock = keygate::ManualClock::new(NOW);
    let end = NOW.saturating_add(Duration::from_secs(1));

    #[derive(Clone)]
    struct Slow(keygate::store::MemoryStore, keygate::ManualClock);
    #[async_trait::async_trait]
    impl keygate::store::KeyStore for Slow {
        async fn find(
            &self,
            digest: &keygate::KeyDigest,
        ) -> Result<Option<std::sync::Arc<keygate::KeyRecord>>, keygate::store::StoreError>
        {
            self.1.advance(Duration::from_secs(2));
            self.0.find(digest).await
        }
    }

    let store = holding([record("key_1", &key, Tenant::new("acme")).with_expires(end)]);
    let gate = AuthLayer::new(Slow(store, clock.clone())).clock(clock).into_authenticator();
    assert_eq!(refusal(&gate, &bearer(key.reveal())), KeyExpired);
}
