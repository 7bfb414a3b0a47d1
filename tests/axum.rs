//! axum: extractors, routes, refusals by handlers, CORS, caches, over real sockets.
#![cfg(all(feature = "axum", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use common::{NOW, verifier};
use common::{all_of, claims, claims_but, clock, code, issue, issue_as, serve, token, unknown_key};
use keygate::limit::Reservation;
use keygate::policy::{ClientAddress, Routes};
use keygate::render::{Envelope, Rendered};
use keygate::store::MemoryStore;
use keygate::{AuthLayer, Limit, Policy, Principal, Quota, Rejection, RejectionKind, Require};
use serde_json::{Value, json};
use support::{Answer, Client};
use tokio::net::TcpListener;

async fn name(caller: Principal) -> String {
    caller.subject().to_owned()
}

async fn name_if_any(caller: Option<Principal>) -> String {
    caller.map_or("nobody".to_owned(), |caller| caller.subject().to_owned())
}

async fn start(app: Router) -> Client {
    Client::new(serve(app).await)
}

fn gate(store: &MemoryStore) -> AuthLayer {
    AuthLayer::new(store.clone()).clock(clock())
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), code(answer))
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

// ---- Extractors ---------------------------------------------------------------------------------

#[tokio::test]
async fn a_handler_is_told_who_calls() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let whole = |caller: Principal| async move {
        let tenant = caller.tenant_id().map(ToString::to_string);
        let claims = caller.claims::<Value>().map(Result::unwrap);
        Json(json!([format!("{:?}", caller.method()), caller.subject(), tenant, claims]))
    };
    let app = Router::new().route("/", get(whole)).layer(gate(&store).jwt(verifier()));
    let client = start(app).await;
    let by_key = client.get("/").bearer(&key).send().await;
    assert_eq!(by_key.json(), json!(["ApiKey", "key_1", "acme", null]));
    let by_token = client.get("/").bearer(&token(&claims())).send().await;
    assert_eq!(by_token.json(), json!(["Jwt", "user_1", "acme", claims()]));
}

#[tokio::test]
async fn an_optional_principal_is_none_where_nobody_is_named_and_no_excuse_for_a_bad_credential() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let app = Router::new()
        .route("/", get(name_if_any))
        .route("/named", get(name))
        .layer(gate(&store).optional());
    let client = start(app).await;
    assert_eq!(client.get("/").send().await.body, "nobody");
    assert_eq!(client.get("/").bearer(&key).send().await.body, "key_1");
    assert_eq!(refusal(&client.get("/named").send().await), is(401, "missing_credential"));
    for bad in [&unknown_key(), "sk_live_mistyped", "a.b.c", "%", "sk live"] {
        let answer = client.get("/").bearer(bad).send().await;
        assert_eq!(refusal(&answer), is(401, "key_invalid"), "{bad}");
    }
    for malformed in ["Bearer", "Bearer ", "bearer  "] {
        let answer = client.get("/").header("authorization", malformed).send().await;
        assert_eq!(refusal(&answer), is(401, "key_invalid"), "{malformed:?}");
    }
    let twice = client.get("/").bearer(&key).bearer(&key).send().await;
    assert_eq!(refusal(&twice), is(400, "ambiguous_credential"));
}

#[tokio::test]
async fn an_extractor_without_a_gate_refuses_and_an_optional_one_finds_nobody() {
    let app = Router::new().route("/", get(name)).route("/any", get(name_if_any));
    let client = start(app).await;
    let refused = client.get("/").bearer(&unknown_key()).send().await;
    assert_eq!(refusal(&refused), is(401, "missing_credential"));
    assert!(refused.header("www-authenticate").is_some());
    assert_eq!(client.get("/any").bearer(&unknown_key()).send().await.body, "nobody");
}

#[tokio::test]
async fn a_handler_settles_what_was_reserved() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let tokens = Limit::per_key(Quota::per_hour(100).unwrap()).cost(40).settle_later();
    let settled = |reservation: Reservation| async move { reservation.commit(3) };
    let if_any =
        |reservation: Option<Reservation>| async move { reservation.is_some().to_string() };
    let app = || Router::new().route("/", get(settled)).route("/any", get(if_any));
    let client = start(app().layer(gate(&store).limit(tokens).unwrap())).await;
    for left in ["60", "57", "54"] {
        let answer = client.get("/").bearer(&key).send().await;
        assert_eq!(
            (answer.status, answer.header("x-ratelimit-remaining")),
            (StatusCode::OK, Some(left))
        );
    }
    assert_eq!(client.get("/any").bearer(&key).send().await.body, "true");
    let answer = client.get("/").bearer(&key).send().await;
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("51"), "nothing was paid there");

    let client = start(app().layer(gate(&store))).await;
    assert_eq!(client.get("/any").bearer(&key).send().await.body, "false");
    let refused = client.get("/").bearer(&key).send().await;
    assert_eq!(refusal(&refused), is(503, "unavailable"), "the wrong gate");
}

#[tokio::test]
async fn public_paths_have_no_caller() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let routes = Routes::new().public("/health").unwrap();
    let app = Router::new()
        .route("/health", get(name_if_any))
        .route("/", get(name_if_any))
        .layer(gate(&store).routes(routes));
    let client = start(app).await;
    for call in [
        client.get("/health"),
        client.get("/health").bearer(&key),
        client.get("/health").bearer("bad"),
    ] {
        assert_eq!(call.send().await.body, "nobody");
    }
    assert_eq!(client.get("/").send().await.status, 401);
}

/// A handler that forgets the extractor is guarded all the same, and so is a path without a route.
#[tokio::test]
async fn the_layer_guards_whatever_is_behind_it() {
    let store = MemoryStore::new();
    let app = Router::new()
        .route("/forgetful", get(|| async { "secret" }))
        .fallback(|| async { "fallback" })
        .layer(gate(&store));
    let client = start(app).await;
    for path in ["/forgetful", "/nowhere"] {
        assert_eq!(refusal(&client.get(path).send().await), is(401, "missing_credential"));
    }
}

// ---- Require ------------------------------------------------------------------------------------

#[tokio::test]
async fn require_asks_of_the_routes_before_it() {
    let store = MemoryStore::new();
    let reader = issue(&store, "reader").await;
    let writer =
        issue_as(&store, "writer", |r| r.with_access(keygate::ScopeSet::new(["write"]).unwrap()))
            .await;
    let app = Router::new()
        .route("/notes", get(name))
        .route_layer(Require::new(all_of(&["read"])))
        .route("/open", get(name))
        .layer(gate(&store));
    let client = start(app).await;
    assert_eq!(client.get("/notes").bearer(&reader).send().await.body, "reader");
    assert_eq!(client.get("/open").bearer(&writer).send().await.body, "writer");
    let refused = client.get("/notes").bearer(&writer).send().await;
    assert_eq!(refusal(&refused), is(403, "insufficient_scope"));
    assert_eq!(
        refused.header("www-authenticate"),
        Some(r#"Bearer realm="api", error="insufficient_scope", scope="read""#)
    );
    assert_eq!(refusal(&client.get("/notes").send().await), is(401, "missing_credential"));
    // A route layer leaves unknown paths to the fallback.
    assert_eq!(client.get("/nowhere").bearer(&writer).send().await.status, 404);
}

#[tokio::test]
async fn require_without_a_gate_fails_closed() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    for policy in [Policy::authenticated(), all_of(&["read"]), Policy::deny()] {
        let app = Router::new().route("/", get(|| async { "secret" }));
        let client = start(app.route_layer(Require::new(policy))).await;
        let answer = client.get("/").bearer(&key).header("x-user-id", "root").send().await;
        assert_eq!(refusal(&answer), is(401, "missing_credential"));
        assert!(answer.header("www-authenticate").is_some());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let head = client.call(Method::HEAD, "/").send().await;
        assert_eq!((head.status.as_u16(), head.body.len()), (401, 0));
    }
}

#[tokio::test]
async fn require_tells_keys_from_tokens() {
    let store = MemoryStore::new();
    let key = issue_as(&store, "all", |r| r.with_access(keygate::Access::Full)).await;
    let people = Router::new()
        .route("/people", get(name))
        .route_layer(Require::new(Policy::authenticated().tokens_only()));
    let machines = Router::new()
        .route("/machines", get(name))
        .route_layer(Require::new(Policy::authenticated().keys_only()));
    let app = people.merge(machines).layer(gate(&store).jwt(verifier()));
    let client = start(app).await;
    let token = token(&claims());
    for (path, credential, status) in [
        ("/people", &token, 200),
        ("/people", &key, 403),
        ("/machines", &key, 200),
        ("/machines", &token, 403),
    ] {
        let answer = client.get(path).bearer(credential).send().await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}

// ---- Refusals by handlers -----------------------------------------------------------------------

async fn export(caller: Principal) -> Result<&'static str, Rejection> {
    caller.require(&all_of(&["export"]))?;
    Ok("everything")
}

async fn suspended() -> Rejection {
    RejectionKind::TenantSuspended.into()
}

/// An answer that was begun already: with the headers of another body, and one of its own.
async fn begun() -> Response {
    let mut response = ([("x-trace", "7"), ("etag", "\"1\"")], "the secret so far").into_response();
    response.extensions_mut().insert(Rejection::new(RejectionKind::NotPermitted));
    response
}

#[tokio::test]
async fn a_refusal_by_a_handler_has_the_form_of_the_gate_and_its_rate_limit_headers() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_key(Quota::per_minute(9).unwrap());
    let gate = gate(&store).render(Envelope::g_tateth()).limit(limit).unwrap();
    let app = Router::new()
        .route("/export", get(export))
        .route("/suspended", get(suspended))
        .route("/begun", get(begun))
        .layer(gate.realm("notes").unwrap());
    let client = start(app).await;

    let answer = client.get("/export").bearer(&key).send().await;
    assert_eq!(answer.status, 403);
    let json = answer.json();
    assert_eq!(
        (&json["success"], &json["code"]),
        (&json!(false), &json!("INSUFFICIENT_PERMISSIONS"))
    );
    assert_eq!(answer.number("content-length"), answer.body.len() as u64);
    assert_eq!(answer.number("x-ratelimit-remaining"), 8);
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="notes", error="insufficient_scope", scope="export""#)
    );

    let answer = client.get("/suspended").bearer(&key).send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (401, &json!("TENANT_SUSPENDED")));
    assert_eq!(answer.number("x-ratelimit-remaining"), 7);

    let answer = client.get("/begun").bearer(&key).send().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["code"]),
        (403, &json!("INSUFFICIENT_PERMISSIONS"))
    );
    assert_eq!(answer.header("x-trace"), Some("7"), "a header that is not the old body's stays");
    assert_eq!(answer.header("etag"), None);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
}

#[tokio::test]
async fn a_refusal_by_a_handler_without_a_gate_is_a_problem_document() {
    let client = start(Router::new().route("/", get(suspended))).await;
    let answer = client.get("/").send().await;
    assert_eq!(refusal(&answer), is(401, "tenant_suspended"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.header("www-authenticate").is_some());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn an_envelope_may_be_a_closure() {
    let store = MemoryStore::new();
    let render = |why: &Rejection| Rendered::json(&json!({"oops": why.kind().code()}));
    let app = Router::new().route("/", get(name)).layer(gate(&store).render(render));
    let answer = start(app).await.get("/").send().await;
    assert_eq!(answer.json(), json!({"oops": "missing_credential"}));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("www-authenticate").is_some(), "which no envelope can forget");
}

/// An outer layer finds out why.
#[tokio::test]
async fn the_reason_of_a_refusal_is_in_its_extensions() {
    let store = MemoryStore::new();
    let app = Router::new().route("/", get(suspended)).layer(gate(&store).optional()).layer(
        axum::middleware::map_response(|response: Response| async move {
            let why = response.extensions().get::<Rejection>().map(|why| why.kind().code());
            ([("x-why", why.unwrap_or("none"))], response)
        }),
    );
    let client = start(app).await;
    assert_eq!(client.get("/").send().await.header("x-why"), Some("tenant_suspended"));
    let unknown = client.get("/").bearer(&unknown_key()).send().await;
    assert_eq!(unknown.header("x-why"), Some("key_invalid"));
    let missing = client.get("/nowhere").send().await;
    assert_eq!((missing.status.as_u16(), missing.header("x-why")), (404, Some("none")));
}

// ---- Gates within gates -------------------------------------------------------------------------

#[tokio::test]
async fn nested_gates_do_not_render_twice() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = |n, name| Limit::per_key(Quota::per_minute(n).unwrap()).name(name).unwrap();
    let inner = gate(&store)
        .render(Envelope::convotic())
        .require(all_of(&["admin"]))
        .realm("inner")
        .unwrap();
    let outer = gate(&store).render(Envelope::g_tateth()).limit(limit(9, "outer")).unwrap();
    let app = Router::new().route("/", get(suspended)).layer(inner).layer(outer);
    let client = start(app).await;

    let by_outer = client.get("/").send().await;
    assert_eq!(by_outer.json()["code"], "AUTH_REQUIRED");
    let by_inner = client.get("/").bearer(&key).send().await;
    assert_eq!(by_inner.status, 403);
    assert_eq!(by_inner.json(), json!({"error": "insufficient_permissions"}));
    assert_eq!(by_inner.number("content-length"), by_inner.body.len() as u64);
    let challenge = by_inner.header("www-authenticate").unwrap();
    assert!(challenge.starts_with(r#"Bearer realm="inner""#), "{challenge}");
    assert_eq!(by_inner.number("x-ratelimit-remaining"), 8, "the outer gate's count is told");
}

#[tokio::test]
async fn an_inner_gate_sees_the_same_caller_and_its_own_form_comes_first() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let inner = gate(&store).render(Envelope::convotic());
    let outer = gate(&store).render(Envelope::g_tateth());
    let app = Router::new()
        .route("/", get(name))
        .route("/suspended", get(suspended))
        .layer(inner)
        .layer(outer);
    let client = start(app).await;
    assert_eq!(client.get("/").bearer(&key).send().await.body, "key_1");
    let refused = client.get("/suspended").bearer(&key).send().await;
    assert_eq!(refused.json(), json!({"error": "invalid_api_key"}));
}

// ---- CORS ---------------------------------------------------------------------------------------

/// Fetch: a preflight carries no credential and must not be refused for that.
#[tokio::test]
async fn a_preflight_passes_and_a_plain_options_does_not() {
    let store = MemoryStore::new();
    let allow = any(|caller: Option<Principal>| async move {
        let caller = caller.map_or("nobody".to_owned(), |caller| caller.subject().to_owned());
        (StatusCode::NO_CONTENT, [("access-control-allow-origin", "*"), ("x-caller", "")], caller)
    });
    let app = Router::new().route("/", allow).layer(gate(&store));
    let client = start(app).await;
    let options = || client.call(Method::OPTIONS, "/");
    let preflight = options()
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "DELETE")
        .header("access-control-request-headers", "authorization")
        .send()
        .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    for call in [
        options(),
        options().header("origin", "https://app.example.com"),
        options().header("access-control-request-method", "DELETE"),
        client
            .get("/")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "DELETE"),
    ] {
        assert_eq!(refusal(&call.send().await), is(401, "missing_credential"));
    }
}

/// Whoever answers it may stand behind `Require` too.
#[tokio::test]
async fn a_preflight_that_the_gate_lets_pass_passes_require() {
    let store = MemoryStore::new();
    let require = || Require::new(all_of(&["read"]));
    let app = || Router::new().route("/", any(|| async { "reached" })).route_layer(require());
    let open = start(app().layer(gate(&store))).await;
    let closed = start(app().layer(gate(&store).optional().refuse_preflights())).await;
    let unguarded = start(app()).await;
    let strict = gate(&store).optional().refuse_preflights();
    let strict_within_open = start(app().layer(strict).layer(gate(&store))).await;
    for (client, method, asked, status) in [
        (&strict_within_open, Method::OPTIONS, true, 401),
        (&open, Method::OPTIONS, true, 200),
        (&open, Method::OPTIONS, false, 401),
        (&open, Method::GET, true, 401),
        (&closed, Method::OPTIONS, true, 401),
        (&unguarded, Method::OPTIONS, true, 401),
    ] {
        let mut call = client.call(method.clone(), "/").header("origin", "https://a.example");
        if asked {
            call = call.header("access-control-request-method", "GET");
        }
        assert_eq!(call.send().await.status.as_u16(), status, "{method} {asked}");
    }
}

#[tokio::test]
async fn a_preflight_has_no_caller_and_uses_nothing_up() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_key(Quota::per_minute(1).unwrap());
    let app = Router::new().route("/", any(name_if_any)).layer(gate(&store).limit(limit).unwrap());
    let client = start(app).await;
    for _ in 0..3 {
        let preflight = client
            .call(Method::OPTIONS, "/")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET")
            .bearer(&key)
            .send()
            .await;
        assert_eq!(preflight.body, "nobody");
        assert_eq!(preflight.header("x-ratelimit-limit"), None);
    }
    assert_eq!(client.get("/").bearer(&key).send().await.status, 200);
}

// ---- Headers ------------------------------------------------------------------------------------

/// RFC 9111 section 3.5 protects answers to `Authorization`, and nothing else.
#[tokio::test]
async fn an_answer_to_a_key_in_a_header_of_its_own_is_private() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let token = token(&claims_but("aud", json!("orders")));
    let own = || async { ([("cache-control", "public, max-age=60")], "shared") };
    let app = Router::new()
        .route("/", get(name_if_any))
        .route("/own", get(own))
        .layer(gate(&store).jwt(verifier()).optional());
    let client = start(app).await;
    for (call, expected) in [
        (client.get("/").header("x-api-key", &key), Some("private")),
        (client.get("/").bearer(&key), None),
        (client.get("/").bearer(&token), None),
        (client.get("/"), None),
        (client.get("/own").header("x-api-key", &key), Some("public, max-age=60")),
        (client.get("/own").bearer(&key), Some("public, max-age=60")),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), expected);
    }
}

#[tokio::test]
async fn headers_that_name_a_caller_are_stripped_on_the_way_in() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let seen = |headers: HeaderMap| async move {
        let names = headers.keys().map(ToString::to_string);
        Json(names.filter(|name| name.starts_with("x-")).collect::<Vec<_>>())
    };
    let gate = gate(&store).strip_headers(["X-User-Id", "x-tenant"]).unwrap();
    let client = start(Router::new().route("/", get(seen)).layer(gate)).await;
    let answer = client
        .get("/")
        .bearer(&key)
        .header("x-user-id", "root")
        .header("X-USER-ID", "admin")
        .header("x-tenant", "other")
        .header("x-other", "stays")
        .send()
        .await;
    assert_eq!(answer.json(), json!(["x-other"]));
    assert!(AuthLayer::new(MemoryStore::new()).strip_headers(["no name"]).is_err());
}

#[tokio::test]
async fn the_peer_is_found_in_axums_connect_info() {
    let store = MemoryStore::new();
    let bind = |net: &str| [net.parse::<ipnet::IpNet>().unwrap()];
    let here = issue_as(&store, "here", |r| r.with_networks(bind("127.0.0.0/8"))).await;
    let there = issue_as(&store, "there", |r| r.with_networks(bind("192.0.2.0/24"))).await;
    let peer = ClientAddress::peer_from(|extensions| -> Option<IpAddr> {
        extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
    });
    let app = Router::new().route("/", get(name)).layer(gate(&store).client_address(peer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(format!("http://{}", listener.local_addr().unwrap()));
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, service).into_future());
    assert_eq!(client.get("/").bearer(&here).send().await.status, 200);
    let refused = client.get("/").bearer(&there).send().await;
    assert_eq!(refusal(&refused), is(403, "address_denied"));
}

#[tokio::test]
async fn a_refused_scope_counts_and_a_refused_credential_does_not() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_tenant(Quota::per_minute(3).unwrap());
    let app = Router::new()
        .route("/admin", get(name))
        .route_layer(Require::new(all_of(&["admin"])))
        .route("/", get(name))
        .layer(gate(&store).limit(limit).unwrap());
    let client = start(app).await;
    for _ in 0..5 {
        let refused = client.get("/").bearer(&unknown_key()).send().await;
        assert_eq!((refused.status.as_u16(), refused.header("x-ratelimit-limit")), (401, None));
    }
    let forbidden = client.get("/admin").bearer(&key).send().await;
    assert_eq!((forbidden.status.as_u16(), forbidden.number("x-ratelimit-remaining")), (403, 2));
    let good = client.get("/").bearer(&key).send().await;
    assert_eq!((good.status.as_u16(), good.number("x-ratelimit-remaining")), (200, 1));
    assert_eq!(good.number("x-ratelimit-reset"), NOW + 60);
}
