//! What routes ask, who may pass, and which requests a foreign page may have caused.

#![allow(clippy::unwrap_used)]

mod common;

use common::{
    basic, bearer, claims, gate, get, head, holding, live_key, one_key, record, refusal, subject,
    token, verdict, verifier,
};
use http::request::Parts;
use http::{HeaderValue, Method};
use keygate::RejectionKind::{self, *};
use keygate::policy::{Routes, SameOrigin};
use keygate::{Access, Authenticator, ConfigError, Policy, Scope, ScopeSet, Source, Tenant};
use proptest::prelude::*;

fn scope(text: &str) -> Scope {
    Scope::new(text).unwrap()
}

fn policy(groups: &[&[&str]]) -> Policy {
    let first = Policy::all_of(groups[0]).unwrap();
    groups[1..].iter().fold(first, |policy, group| policy.or(*group).unwrap())
}

/// What `policy` says to a key with this access, and to a token with these scopes.
fn judge(policy: &Policy, held: &[&str]) -> Result<(), RejectionKind> {
    let key = live_key();
    let access = ScopeSet::new(held).unwrap();
    let known = record("key_1", &key, Tenant::new("acme")).with_access(access);
    let gate = gate(holding([known])).jwt(verifier()).require(policy.clone()).into_authenticator();
    let by_key = verdict(&gate, &bearer(key.reveal())).map(drop).map_err(|why| why.kind());
    let scopes = token(&format!(r#","scope":"{}""#, held.join(" ")));
    let by_token = verdict(&gate, &bearer(&scopes)).map(drop).map_err(|why| why.kind());
    assert_eq!(by_key, by_token, "keys and tokens alike: {policy:?} {held:?}");
    by_key
}

#[test]
fn a_scope_is_a_scope_token_of_rfc_6749() {
    for good in ["a", "read:customers", "read:*", "*", "!", "~", "https://api/x", "a:b:c", ":"] {
        assert_eq!(scope(good).as_str(), good);
        assert_eq!(scope(good).to_string(), good);
        assert_eq!(format!("{:?}", scope(good)), format!("{good:?}"));
    }
    for bad in ["", " ", "a b", "a\"", "a\\", "ä", "a\n", "a\t", "a\0", "\x7F"] {
        match Scope::new(bad).unwrap_err() {
            ConfigError::Invalid { value, .. } => assert_eq!(value, bad),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_a_held_family_grants_its_members() {
    let table = [
        ("read:customers", "read:customers", true),
        ("read:customers", "read:customer", false),
        ("read:customer", "read:customers", false),
        ("read:customers", "READ:customers", false),
        ("read:*", "read:customers", true),
        ("read:*", "read:a:b", true),
        ("read:*", "read:", true),
        ("read:*", "read:*", true),
        ("read:*", "read", false),
        ("read:*", "reader:x", false),
        ("read:*", "write:customers", false),
        ("read:customers", "read:*", false),
        ("a:b:*", "a:b:c", true),
        ("a:b:*", "a:c", false),
        ("*", "read:customers", false),
        ("*", "*", true),
        ("read*", "read:customers", false),
        ("read*", "readers", false),
        (":*", ":x", true),
        (":*", "x", false),
        ("read:**", "read:x", false),
    ];
    for (held, needed, grants) in table {
        assert_eq!(scope(held).grants(&scope(needed)), grants, "{held} {needed}");
    }
}

#[test]
fn a_set_is_sorted_without_duplicates_however_it_is_written() {
    let set = ScopeSet::new(["b", "a", "b"]).unwrap();
    assert_eq!(set.iter().map(Scope::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(ScopeSet::parse("b  a b ").unwrap(), set);
    assert_eq!(format!("{set:?}"), r#"{"a", "b"}"#);
    assert_eq!((&set).into_iter().count(), 2);
    assert!(ScopeSet::parse("").unwrap().is_empty() && ScopeSet::default().is_empty());
    assert!(!ScopeSet::default().grants(&scope("a")));
    for bad in ["a\tb", "a\nb", "a \"b\"", "a,ä"] {
        assert!(ScopeSet::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn scopes_and_access_have_a_plain_form_in_json() {
    let set = ScopeSet::new(["read:b", "read:a"]).unwrap();
    assert_eq!(serde_json::to_string(&set).unwrap(), r#"["read:a","read:b"]"#);
    assert_eq!(serde_json::from_str::<ScopeSet>(r#"["read:a","read:b"]"#).unwrap(), set);
    let access = Access::from(set);
    let json = r#"{"scopes":["read:a","read:b"]}"#;
    assert_eq!(serde_json::to_string(&access).unwrap(), json);
    assert_eq!(serde_json::from_str::<Access>(json).unwrap(), access);
    assert_eq!(serde_json::from_str::<Access>(r#""full""#).unwrap(), Access::Full);
    for bad in [r#"["a b"]"#, r#"[""]"#, r#"[1]"#, r#""a""#, "null"] {
        assert!(serde_json::from_str::<ScopeSet>(bad).is_err(), "{bad}");
    }
    assert!(serde_json::from_str::<Access>(r#""everything""#).is_err());
}

/// The groups that a policy names, the scopes that are held, and whether they are enough.
type Row = (&'static [&'static [&'static str]], &'static [&'static str], bool);

#[test]
fn all_of_a_group_or_one_group_is_needed() {
    let table: [Row; 10] = [
        (&[&["a"]], &["a"], true),
        (&[&["a"]], &["b"], false),
        (&[&["a", "b"]], &["a"], false),
        (&[&["a", "b"]], &["b", "a", "c"], true),
        (&[&["a", "b"], &["admin"]], &["admin"], true),
        (&[&["a", "b"], &["admin"]], &["a"], false),
        (&[&["a", "b"], &["c", "d"]], &["a", "d"], false),
        (&[&["a", "b"], &["c", "d"]], &["d", "c"], true),
        (&[&["read:a", "read:b"]], &["read:*"], true),
        (&[&["read:a", "write:b"]], &["read:*"], false),
    ];
    for (groups, held, passes) in table {
        let expected = if passes { Ok(()) } else { Err(InsufficientScope) };
        assert_eq!(judge(&policy(groups), held), expected, "{groups:?} {held:?}");
    }
    let any = Policy::any_of(["a", "b"]).unwrap();
    assert_eq!(judge(&any, &["b"]), Ok(()));
    assert_eq!(judge(&any, &["c"]), Err(InsufficientScope));
    assert_eq!(judge(&Policy::authenticated(), &[]), Ok(()));
    assert_eq!(judge(&Policy::deny(), &["a"]), Err(NotPermitted));
    let after_deny = Policy::deny().or(["a"]).unwrap();
    assert_eq!(judge(&after_deny, &["a"]), Ok(()));
    assert_eq!(judge(&Policy::authenticated().or(["a"]).unwrap(), &[]), Err(InsufficientScope));
}

/// What was found of one policy, for a record or a token that is kept, is not believed of another.
#[test]
fn a_key_and_a_token_seen_before_are_judged_by_each_gate_and_each_route() {
    let key = live_key();
    let known = record("key_1", &key, Tenant::new("acme"));
    let store = holding([known.with_access(ScopeSet::new(["read"]).unwrap())]);
    let verifier = verifier();
    let gate = |policy: Policy| {
        let gate = gate(store.clone()).jwt(verifier.clone());
        gate.require(policy).into_authenticator()
    };
    let reads = gate(needs("read"));
    let others = [
        gate(needs("write")),
        gate(policy(&[&["read", "write"]])),
        gate(Policy::deny()),
        gate(needs("read").keys_only().or(["write"]).unwrap()),
    ];
    let token = token(r#","scope":"read""#);
    for _ in 0..3 {
        assert!(verdict(&reads, &bearer(key.reveal())).is_ok());
        assert!(verdict(&reads, &bearer(&token)).is_ok());
        for other in &others[..3] {
            assert!(verdict(other, &bearer(key.reveal())).is_err());
            assert!(verdict(other, &bearer(&token)).is_err());
        }
        assert!(verdict(&others[3], &bearer(key.reveal())).is_ok());
        assert!(verdict(&others[3], &bearer(&token)).is_err());
    }
}

#[test]
fn full_access_has_every_scope_and_still_no_denied_route() {
    let key = live_key();
    let known = record("key_1", &key, Tenant::new("acme")).with_access(Access::Full);
    let store = holding([known]);
    let gated = |policy| gate(store.clone()).require(policy).into_authenticator();
    let request = bearer(key.reveal());
    assert_eq!(subject(&gated(policy(&[&["a", "b:c"]])), &request), "key_1");
    assert_eq!(refusal(&gated(Policy::deny()), &request), NotPermitted);
    assert_eq!(refusal(&gated(Policy::authenticated().tokens_only()), &request), NotPermitted);
}

#[test]
fn a_policy_for_one_kind_of_credential_refuses_the_other_before_scopes() {
    let (store, key) = one_key();
    let gated = |policy| gate(store.clone()).jwt(verifier()).require(policy).into_authenticator();
    let (key, jwt) = (bearer(key.reveal()), bearer(&token(r#","scope":"a""#)));
    let keys = gated(Policy::authenticated().keys_only());
    assert_eq!((subject(&keys, &key), refusal(&keys, &jwt)), ("key_1".into(), NotPermitted));
    let tokens = gated(Policy::any_of(["a"]).unwrap().tokens_only());
    assert_eq!((refusal(&tokens, &key), subject(&tokens, &jwt)), (NotPermitted, "ann".into()));
    let kept = gated(Policy::any_of(["b"]).unwrap().tokens_only().or(["a"]).unwrap());
    assert_eq!(refusal(&kept, &key), NotPermitted, "`or` keeps the kind");
}

#[test]
fn a_refusal_names_the_scopes_of_the_first_group() {
    let (store, key) = one_key();
    for (policy, needed) in [
        (policy(&[&["b", "a"]]), "b a"),
        (policy(&[&["a"], &["b", "c"]]), "a"),
        (Policy::any_of(["x", "y"]).unwrap(), "x"),
    ] {
        let gate = gate(store.clone()).require(policy).into_authenticator();
        let why = verdict(&gate, &bearer(key.reveal())).unwrap_err();
        assert_eq!(why.scopes(), Some(needed));
    }
}

#[test]
fn a_policy_that_asks_for_nothing_by_mistake_is_refused_at_start_up() {
    let none: [&str; 0] = [];
    assert!(Policy::all_of(none).is_err());
    assert!(Policy::any_of(none).is_err());
    assert!(Policy::authenticated().or(none).is_err());
    assert!(Policy::all_of(["a", "b c"]).unwrap_err().to_string().contains("b c"));
    assert!(Policy::any_of([""]).is_err());
}

// Routes

fn routed(routes: Routes) -> (Authenticator, String) {
    let key = live_key();
    let known = record("key_1", &key, Tenant::new("acme"));
    let known = known.with_access(ScopeSet::new(["read"]).unwrap());
    let gate = gate(holding([known])).routes(routes).into_authenticator();
    (gate, format!("Bearer {}", key.reveal()))
}

fn call(method: Method, path: &str, authorization: &str) -> Parts {
    head(method, path, &[("authorization", authorization.as_bytes())])
}

fn needs(scope: &str) -> Policy {
    Policy::all_of([scope]).unwrap()
}

/// What a key with the scope `read` gets: `None` for a pass without being asked who it is.
fn reached(routes: &Routes, method: Method, path: &str) -> Result<Option<()>, RejectionKind> {
    let (gate, key) = routed(routes.clone());
    let verdict = verdict(&gate, &call(method, path, &key));
    verdict.map(|principal| principal.map(drop)).map_err(|why| why.kind())
}

#[test]
fn public_routes_ask_nobody_even_with_a_bad_credential() {
    let routes = Routes::new().public("/health").unwrap();
    let (gate, _) = routed(routes);
    for authorization in ["", "Bearer x", "Bearer a b", "Basic x"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let parts = call(method, "/health", authorization);
            assert!(verdict(&gate, &parts).unwrap().is_none());
        }
    }
    let twice = get(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
    assert_eq!(refusal(&gate, &twice), AmbiguousCredential, "/ is not public");
    assert_eq!(refusal(&gate, &call(Method::GET, "/health/x", "")), MissingCredential);
    assert_eq!(refusal(&gate, &call(Method::GET, "/Health", "")), MissingCredential);
}

#[test]
fn rules_hold_for_their_method_and_get_for_head() {
    let routes = Routes::new()
        .require(Method::GET, "/c/{id}", needs("read"))
        .unwrap()
        .require(Method::POST, "/c/{id}", needs("write"))
        .unwrap()
        .require_all("/admin/{*rest}", needs("admin"))
        .unwrap()
        .grpc("greet.Greeter", "SayHello", needs("greet"))
        .unwrap();
    let table = [
        (Method::GET, "/c/1", Ok(Some(()))),
        (Method::HEAD, "/c/1", Ok(Some(()))),
        (Method::POST, "/c/1", Err(InsufficientScope)),
        (Method::PUT, "/c/1", Ok(Some(()))),
        (Method::GET, "/c/1/x", Ok(Some(()))),
        (Method::GET, "/admin/a", Err(InsufficientScope)),
        (Method::HEAD, "/admin/a/b", Err(InsufficientScope)),
        (Method::OPTIONS, "/admin/a", Err(InsufficientScope)),
        (Method::POST, "/greet.Greeter/SayHello", Err(InsufficientScope)),
        (Method::POST, "/greet.Greeter/SayBye", Ok(Some(()))),
    ];
    for (method, path, expected) in table.clone() {
        assert_eq!(reached(&routes, method.clone(), path), expected, "{method} {path}");
    }
    let closed = routes.deny_unknown();
    for (method, path, expected) in table {
        let unknown = ["PUT /c/1", "GET /c/1/x", "POST /greet.Greeter/SayBye"];
        let unknown = unknown.contains(&format!("{method} {path}").as_str());
        let expected = if unknown { Err(NotPermitted) } else { expected };
        assert_eq!(reached(&closed, method.clone(), path), expected, "{method} {path}, closed");
    }
}

#[test]
fn the_first_rule_of_a_path_whose_method_fits_is_taken() {
    let routes = Routes::new()
        .require(Method::GET, "/x", needs("read"))
        .unwrap()
        .require_all("/x", needs("write"))
        .unwrap()
        .public("/x")
        .unwrap();
    assert_eq!(reached(&routes, Method::GET, "/x"), Ok(Some(())));
    assert_eq!(reached(&routes, Method::POST, "/x"), Err(InsufficientScope));
}

#[test]
fn the_gates_policy_is_asked_besides_the_routes() {
    let (store, key) = one_key();
    let routes = Routes::new().require_all("/x", Policy::authenticated()).unwrap();
    let gate = gate(store).routes(routes).require(needs("admin")).into_authenticator();
    let authorization = format!("Bearer {}", key.reveal());
    assert_eq!(refusal(&gate, &call(Method::GET, "/x", &authorization)), InsufficientScope);
}

#[test]
fn patterns_of_one_shape_are_never_taken_for_each_other() {
    // A pair is two rules or a conflict; neither takes the other's paths.
    for (one, other) in [("/{a}", "/{*a}"), ("/{*a}", "/{a}"), ("/f/{a}", "/f/{*a}")] {
        let Ok(routes) = Routes::new()
            .require_all(one, needs("read"))
            .unwrap()
            .require_all(other, needs("write"))
        else {
            continue;
        };
        let deep = if one.starts_with("/f") { "/f/x/y" } else { "/x/y" };
        let catch_all = if one.contains('*') { Ok(Some(())) } else { Err(InsufficientScope) };
        assert_eq!(reached(&routes, Method::GET, deep), catch_all, "{one} {other}");
    }
    let literal = Routes::new()
        .require_all("/a/{{id}}", needs("read"))
        .unwrap()
        .require_all("/a/{id}", needs("write"))
        .unwrap();
    assert_eq!(reached(&literal, Method::GET, "/a/5"), Err(InsufficientScope));
}

#[test]
fn a_pattern_that_contradicts_or_is_none_is_refused_at_start_up() {
    let refused = |path: &str, other: &str| {
        let routes = Routes::new().public(path);
        routes.and_then(|routes| routes.require_all(other, needs("a"))).unwrap_err()
    };
    for (path, other) in [("/c/{id}", "/c/{name}"), ("/c/{*rest}", "/c/{*other}")] {
        assert!(refused(path, other).to_string().contains(other), "{path} {other}");
    }
    for odd in ["", "health", "*", "/{", "/}", "/{}", "/{*}", "/{*a}/b", "/{a}{b}"] {
        assert!(matches!(refused("/ok", odd), ConfigError::Invalid { .. }), "{odd}");
    }
    for (service, method) in [("", "x"), ("x", ""), ("a/b", "c"), ("{a}", "b"), ("a", "{*b}")] {
        assert!(Routes::new().grpc(service, method, Policy::deny()).is_err(), "{service}/{method}");
    }
}

fn protected() -> Routes {
    Routes::new()
        .public("/public")
        .unwrap()
        .public("/static/{*file}")
        .unwrap()
        .require_all("/admin", needs("admin"))
        .unwrap()
        .require_all("/users/{id}", needs("admin"))
        .unwrap()
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_refused() {
    for path in [
        "//",
        "//admin",
        "/admin//",
        "/./admin",
        "/admin/.",
        "/../admin",
        "/static/../admin",
        "/static/..",
        "/%2fadmin",
        "/static%2f..%2fadmin",
        "/static%2F..%2Fadmin",
        "/static/%2e%2e/admin",
        "/static/.%2e/admin",
        "/%2E/admin",
        "/static/..%5cadmin",
        "/%61dmin",
        "/adm%69n",
        "/%41dmin",
        "/admin%00",
        "/admin%00.css",
        "/%2561dmin",
        "/static/%252e%252e/admin",
        "/admin;x=1",
        "/static/..;/admin",
        "/admin;",
        "/admin%3b",
        "/admin%3Bx",
        "/%",
        "/admin%",
        "/admin%2",
        "/admin%zz",
        "/admin%+5",
        "/admin%0a",
        "/admin%7f",
        "/admin%2Dx",
        "/%5f",
        "/%7e",
        "/admin/",
        "/users/5/",
        "/static//admin",
        "/static/./x",
        "/public/",
    ] {
        for routes in [protected(), protected().deny_unknown()] {
            assert_eq!(reached(&routes, Method::GET, path), Err(InvalidPath), "{path}");
        }
    }
}

#[test]
fn bytes_that_are_no_uri_are_refused_by_http_or_here() {
    for bytes in [&b"/admin\\x"[..], b"/\\admin", b"/static/..\\admin", b"/adm\xC3\xADn", b"/\xFF"]
    {
        let Ok(uri) = http::Uri::try_from(bytes) else { continue };
        let (gate, key) = routed(protected());
        let mut parts = call(Method::GET, "/", &key);
        parts.uri = uri;
        assert_eq!(refusal(&gate, &parts), InvalidPath, "{bytes:?}");
    }
    for target in ["*", "example.com:80"] {
        let (gate, key) = routed(protected());
        assert_eq!(refusal(&gate, &call(Method::CONNECT, target, &key)), InvalidPath, "{target}");
    }
}

#[test]
fn a_plain_path_is_not_refused_for_its_looks() {
    for path in [
        "/",
        "/x",
        "/static/a.b",
        "/static/...",
        "/static/a/",
        "/static/.hidden",
        "/static/a%20b",
        "/static/%C3%A9",
        "/static/a+b",
        "/static/a,b=c&d@e:f!$'()*",
        "/static/-._~",
        "/x?y=//&z=../%2f;",
        "/static/a%23b",
        "/static/a%3Fb",
    ] {
        assert!(reached(&protected(), Method::GET, path).is_ok(), "{path}");
    }
}

#[test]
fn a_trailing_slash_never_leads_around_a_rule_through_a_catch_all() {
    let routes = Routes::new()
        .public("/{*page}")
        .unwrap()
        .require_all("/admin", needs("admin"))
        .unwrap()
        .require_all("/users/{id}", needs("admin"))
        .unwrap();
    assert_eq!(reached(&routes, Method::GET, "/pages/a/"), Ok(None));
    assert_eq!(reached(&routes, Method::GET, "/admin"), Err(InsufficientScope));
    assert_eq!(reached(&routes, Method::GET, "/admin/"), Err(InvalidPath));
    assert_eq!(reached(&routes, Method::GET, "/users/5/"), Err(InvalidPath));
    let both = routes.public("/admin/").unwrap();
    assert_eq!(reached(&both, Method::GET, "/admin/"), Ok(None), "a pattern may mean its slash");
    assert_eq!(reached(&both, Method::GET, "/admin"), Err(InsufficientScope));
}

#[test]
fn without_rules_no_path_is_refused() {
    for path in ["//", "/a;b", "/%2e", "/../x"] {
        assert_eq!(reached(&Routes::new(), Method::GET, path), Ok(Some(())), "{path}");
    }
}

#[test]
fn with_optional_authentication_a_rule_still_asks_for_a_caller() {
    let (store, key) = one_key();
    let optional = |routes| gate(store.clone()).routes(routes).optional().into_authenticator();
    let rules = || Routes::new().require(Method::GET, "/admin", needs("admin")).unwrap();
    let open = optional(rules());
    let authorization = format!("Bearer {}", key.reveal());
    assert!(verdict(&open, &call(Method::GET, "/x", "")).unwrap().is_none());
    assert_eq!(refusal(&open, &head(Method::GET, "/admin", &[])), MissingCredential);
    assert_eq!(refusal(&open, &head(Method::HEAD, "/admin", &[])), MissingCredential);
    assert_eq!(refusal(&open, &head(Method::GET, "/admin/", &[])), InvalidPath);
    assert_eq!(refusal(&open, &call(Method::GET, "/admin", &authorization)), InsufficientScope);
    let closed = optional(rules().public("/public").unwrap().deny_unknown());
    assert_eq!(refusal(&closed, &head(Method::GET, "/x", &[])), MissingCredential);
    assert_eq!(refusal(&closed, &call(Method::GET, "/x", &authorization)), NotPermitted);
    assert!(verdict(&closed, &head(Method::GET, "/public", &[])).unwrap().is_none());
}

proptest! {
    #[test]
    fn no_path_reaches_what_it_normalizes_to_unless_it_is_that(
        parts in proptest::collection::vec(prop_oneof![
            Just("/"), Just("static"), Just("admin"), Just("."), Just(".."), Just("%2e"), Just("%2f"),
            Just("%5c"), Just(";"), Just("%61dmin"), Just("x"), Just("%25"), Just("%00"),
        ], 1..8),
    ) {
        let path = format!("/{}", parts.concat());
        let public = reached(&protected(), Method::GET, &path) == Ok(None);
        let lenient = normalized(&path);
        let guarded = lenient.trim_matches('/') == "admin";
        prop_assert!(!(public && guarded), "{path} is public, and {lenient} to a lenient service");
    }

    #[test]
    fn arbitrary_patterns_and_paths_never_panic_and_make_nothing_public(pattern in "/?[a{}*/.%]{0,12}", path in "/[!-~&&[^#]]{0,20}") {
        let routes = Routes::new().require_all(&pattern, needs("admin"));
        let is_uri = path.parse::<http::Uri>().is_ok_and(|uri| uri.authority().is_none());
        if let (Ok(routes), true) = (routes, is_uri) {
            prop_assert_ne!(reached(&routes, Method::GET, &path), Ok(None), "nothing is public");
        }
    }

    #[test]
    fn a_set_grants_what_one_of_its_scopes_grants(
        held in proptest::collection::vec("[a-b]{1,2}(:[a-b*]{1,2})?", 0..6),
        needed in "[a-b]{1,2}(:[a-b*]{1,2})?",
    ) {
        let needed = scope(&needed);
        let one = held.iter().any(|held| scope(held).grants(&needed));
        let set = ScopeSet::new(&held).unwrap();
        prop_assert_eq!(set.grants(&needed), one);
        prop_assert_eq!(ScopeSet::parse(&held.join(" ")).unwrap(), set.clone());
        let json = serde_json::to_string(&set).unwrap();
        prop_assert_eq!(serde_json::from_str::<ScopeSet>(&json).unwrap(), set);
    }

    #[test]
    fn any_text_is_a_scope_or_refused_with_its_value(text: String) {
        match Scope::new(&text) {
            Ok(scope) => prop_assert!(text.bytes().all(|b| (0x21..=0x7E).contains(&b)) && scope.as_str() == text),
            Err(ConfigError::Invalid { value, .. }) => prop_assert_eq!(value, text),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }
}

/// A path as the most lenient of services reads it.
fn normalized(path: &str) -> String {
    let mut path = path.to_owned();
    for _ in 0..2 {
        for (from, to) in
            [("%25", "%"), ("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("%61", "a"), ("%00", "")]
        {
            path = path.replace(from, to);
        }
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment.split(';').next().unwrap() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            plain => segments.push(plain),
        }
    }
    format!("/{}", segments.join("/"))
}

// SameOrigin

/// What a request with a cookie gets.
fn crossing(
    origin: SameOrigin,
    method: Method,
    headers: &[(&str, &str)],
) -> Result<(), RejectionKind> {
    let sources = [Source::cookie("s").unwrap(), Source::bearer()];
    let gate = gate(holding([])).jwt(verifier()).sources(sources).unwrap().same_origin(origin);
    let cookie = format!("s={}", token(""));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let mut parts = head(method, "/", &headers);
    parts.headers.insert("cookie", HeaderValue::from_str(&cookie).unwrap());
    verdict(&gate.into_authenticator(), &parts).map(drop).map_err(|why| why.kind())
}

#[test]
fn safe_methods_need_no_proof_and_unsafe_ones_do() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let foreign = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
        assert_eq!(crossing(SameOrigin::new(), method.clone(), &foreign), Ok(()), "{method}");
        let upgrade = [foreign[0], foreign[1], ("upgrade", "websocket")];
        assert_eq!(crossing(SameOrigin::new(), method, &upgrade), Err(CrossSite));
    }
    let unsafe_methods = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get"];
    for method in unsafe_methods {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(crossing(SameOrigin::new(), method.clone(), &[]), Err(CrossSite), "{method}");
    }
    let upgrade = [("upgrade", "websocket"), ("sec-fetch-site", "same-origin")];
    assert_eq!(crossing(SameOrigin::new(), Method::GET, &upgrade), Ok(()));
}

#[test]
fn the_browsers_own_word_decides_and_else_the_origin() {
    let host = ("host", "api.example:8443");
    let table: [(&[(&str, &str)], bool); 24] = [
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "SAME-ORIGIN")], false),
        (&[("sec-fetch-site", "")], false),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], false),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", "https://api.example:8443")], false),
        (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
        (&[("origin", "https://api.example:8443")], true),
        (&[("origin", "HTTPS://API.example:8443")], false),
        (&[("origin", "https://API.example:8443")], true),
        (&[("origin", "http://api.example:8443")], true),
        (&[("origin", "https://api.example")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "https://api.example:8443.evil.example")], false),
        (&[("origin", "https://evil.example/api.example:8443")], false),
        (&[("origin", "https://api.example:8443@evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", "")], false),
        (&[("origin", "api.example:8443")], false),
        (&[("origin", "https://api.example:8443"), ("origin", "https://api.example:8443")], false),
        (&[], false),
    ];
    for (headers, passes) in table {
        let headers: Vec<_> = headers.iter().copied().chain([host]).collect();
        let expected = if passes { Ok(()) } else { Err(CrossSite) };
        assert_eq!(crossing(SameOrigin::new(), Method::POST, &headers), expected, "{headers:?}");
    }
}

#[test]
fn an_origin_without_a_host_matches_no_host() {
    for host in [&[("host", "")][..], &[], &[("host", "a"), ("host", "a")]] {
        for origin in ["null", "", "https://", "http://", "a", "https://a"] {
            let headers: Vec<_> = host.iter().copied().chain([("origin", origin)]).collect();
            let verdict = crossing(SameOrigin::new(), Method::POST, &headers);
            assert_eq!(verdict, Err(CrossSite), "{headers:?}");
        }
    }
}

#[test]
fn over_http2_the_host_is_that_of_the_target() {
    let gate = gate(holding([])).jwt(verifier()).sources([Source::cookie("s").unwrap()]).unwrap();
    let gate = gate.into_authenticator();
    let cookie = format!("s={}", token(""));
    for (origin, passes) in [("https://api.example", true), ("https://evil.example", false)] {
        let headers = [("cookie", cookie.as_bytes()), ("origin", origin.as_bytes())];
        let parts = head(Method::POST, "https://api.example/x", &headers);
        assert_eq!(verdict(&gate, &parts).is_ok(), passes, "{origin}");
    }
}

#[test]
fn a_trusted_origin_passes_whatever_the_site() {
    let trusting = || SameOrigin::new().trusting("https://app.example").unwrap();
    for (headers, passes) in [
        (&[("origin", "https://app.example"), ("sec-fetch-site", "same-site")][..], true),
        (&[("origin", "https://app.example"), ("sec-fetch-site", "cross-site")], true),
        (&[("origin", "https://APP.example")], true),
        (&[("origin", "http://app.example"), ("sec-fetch-site", "cross-site")], false),
        (&[("origin", "https://app.example:444"), ("sec-fetch-site", "cross-site")], false),
        (&[("origin", "https://x.app.example"), ("sec-fetch-site", "cross-site")], false),
        (&[("origin", "https://app.example"), ("origin", "https://app.example")], false),
        (&[("sec-fetch-site", "same-site")], false),
    ] {
        let expected = if passes { Ok(()) } else { Err(CrossSite) };
        assert_eq!(crossing(trusting(), Method::POST, headers), expected, "{headers:?}");
    }
    for odd in [
        "",
        "app.example",
        "https://",
        "://app.example",
        "https://app.example/",
        "null",
        "*",
        "https://*.example",
        "https://a@b",
        "https://a?b",
        "https://a#b",
        "https://a b",
    ] {
        let error = SameOrigin::new().trusting(odd).unwrap_err().to_string();
        assert!(error.contains(odd), "{error}");
    }
}

#[test]
fn programs_pass_only_where_they_are_admitted() {
    let programs = || SameOrigin::new().admit_programs();
    assert_eq!(crossing(programs(), Method::POST, &[]), Ok(()));
    for foreign in
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")]
    {
        assert_eq!(crossing(programs(), Method::POST, &[foreign]), Err(CrossSite));
    }
}

#[test]
fn credentials_that_no_browser_adds_need_no_proof() {
    let (store, key) = one_key();
    let gate = gate(store).into_authenticator();
    let foreign = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    for (name, value) in
        [("authorization", format!("Bearer {}", key.reveal())), ("x-api-key", key.reveal().into())]
    {
        let headers: Vec<_> = foreign
            .iter()
            .map(|(n, v)| (*n, v.as_bytes()))
            .chain([(name, value.as_bytes())])
            .collect();
        assert_eq!(subject(&gate, &head(Method::POST, "/", &headers)), "key_1", "{name}");
    }
}

#[test]
fn basic_credentials_pass_for_programs_and_not_for_foreign_pages() {
    let (store, key) = one_key();
    let gate = gate(store).sources([Source::basic()]).unwrap().into_authenticator();
    let authorization = basic(&format!("{}:", key.reveal()));
    for (headers, passes) in [
        (vec![], true),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("origin", "https://evil.example"), ("host", "api.example")], false),
        (vec![("origin", "https://api.example"), ("host", "api.example")], true),
    ] {
        let own = [("authorization", authorization.as_bytes())];
        let all: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).chain(own).collect();
        let verdict = verdict(&gate, &head(Method::POST, "/", &all)).map(drop);
        assert_eq!(
            verdict.map_err(|why| why.kind()),
            if passes { Ok(()) } else { Err(CrossSite) },
            "{headers:?}"
        );
        assert!(common::verdict(&gate, &head(Method::GET, "/", &all)).is_ok());
    }
}

#[test]
fn claims_with_scopes_of_other_forms_are_judged_alike() {
    let gate = gate(holding([])).jwt(verifier()).require(needs("a")).into_authenticator();
    let base = format!(
        r#""iss":"{}","aud":"{}","exp":1800000600,"sub":"ann""#,
        common::ISSUER,
        common::AUDIENCE
    );
    for (more, passes) in [
        (r#""scope":"b a""#, true),
        (r#""scp":["a"]"#, true),
        (r#""permissions":["a","b"]"#, true),
        (r#""scope":"b""#, false),
        (r#""scope":"b","permissions":["a"]"#, false),
        (r#""role":"a""#, false),
    ] {
        let parts = bearer(&claims(&format!("{{{base},{more}}}")));
        assert_eq!(verdict(&gate, &parts).is_ok(), passes, "{more}");
    }
}
