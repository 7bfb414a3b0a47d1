//! Which requests a limit is for, and what they cost by their route.

use http::Method;

use super::*;
use crate::ScopeSet;

fn hour(limit: u64) -> Quota {
    Quota::per_hour(limit).unwrap()
}

fn call(limits: &Limits, caller: &Principal, method: &str, path: &str) -> Vec<u64> {
    let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
    let (head, ()) = request.into_parts();
    try_take(limits, &Caller::new(caller, &(&head).into(), &nowhere()), noon()).unwrap().remaining()
}

#[test]
fn a_limit_on_routes_counts_nothing_else() {
    let limit = Limit::per_key(hour(9)).on(Method::POST, "/exports").unwrap();
    let limits = limits([limit.on_path("/files/{*rest}").unwrap()]);
    let caller = key("k", "acme");
    let call = |method, path| call(&limits, &caller, method, path);
    assert_eq!(call("POST", "/exports"), [8]);
    for (method, path) in [("GET", "/exports"), ("POST", "/"), ("POST", "/exports/1")] {
        assert!(call(method, path).is_empty(), "{method} {path}");
    }
    assert_eq!(call("PUT", "/files/a/b"), [7]);
    assert_eq!(call("GET", "/files/a"), [6]);
}

#[test]
fn get_is_for_head_too() {
    let limits = limits([Limit::per_key(hour(9)).on(Method::GET, "/exports").unwrap()]);
    let caller = key("k", "acme");
    assert_eq!(call(&limits, &caller, "HEAD", "/exports"), [8]);
    assert!(call(&limits, &caller, "POST", "/exports").is_empty());
}

#[test]
fn no_spelling_of_a_path_is_a_way_around() {
    let limit = Limit::per_key(hour(99)).on(Method::GET, "/exports").unwrap();
    let limits = limits([limit.cost_on(Method::GET, "/exports", 10).unwrap()]);
    let caller = key("k", "acme");
    let mut left = 99;
    for path in [
        "/exports",
        "//exports",
        "/exports/",
        "/./exports",
        "/x/../exports",
        "/%65xports",
        "/exports;a=1",
        "/exports%2f",
        "/exports?a=/other",
    ] {
        left -= 10;
        assert_eq!(call(&limits, &caller, "GET", path), [left], "{path}");
    }
}

#[test]
fn a_route_costs_what_it_is_said_to() {
    let limit = Limit::per_key(hour(100)).cost(2);
    let limit = limit.cost_on(Method::GET, "/search", 20).unwrap();
    let limits = limits([limit.cost_on(Method::GET, "/health", 0).unwrap()]);
    let caller = key("k", "acme");
    let call = |method, path| call(&limits, &caller, method, path);
    assert_eq!(call("GET", "/search?q=a"), [80]);
    assert_eq!(call("POST", "/search"), [78]);
    assert_eq!(call("GET", "/"), [76]);
    assert_eq!(call("GET", "/health"), [76]);
    assert_eq!(call("GET", "//health"), [56], "the most of all, wherever it leads");
}

#[test]
fn clones_share_the_count_on_other_routes() {
    let plain = Limit::per_key(hour(100));
    let dear = plain.clone().on(Method::GET, "/a").unwrap().cost_on(Method::GET, "/a", 9).unwrap();
    let (plain, dear) = (limits([plain]), limits([dear]));
    let caller = key("k", "acme");
    assert_eq!(call(&dear, &caller, "GET", "/a"), [91]);
    assert_eq!(call(&plain, &caller, "GET", "/b"), [90]);
    assert!(call(&dear, &caller, "GET", "/b").is_empty());
}

#[test]
fn a_scope_has_its_limit() {
    let with = |scopes: &[&str]| {
        let record = record("k", Tenant::new("acme"));
        Principal::of_key(Arc::new(record.with_access(ScopeSet::new(scopes).unwrap())))
    };
    let limits = limits([Limit::per_key(hour(9)).for_scope("write:bulk").unwrap()]);
    assert_eq!(take(&limits, &with(&["read:a", "write:bulk"]), noon()).remaining(), [8]);
    assert_eq!(take(&limits, &with(&["write:*"]), noon()).remaining(), [7]);
    assert!(take(&limits, &with(&["write:a"]), noon()).remaining().is_empty());
    assert!(take(&limits, &with(&[]), noon()).is_admitted());
    let full = record("k", Tenant::new("acme")).with_access(crate::Access::Full);
    assert_eq!(take(&limits, &Principal::of_key(Arc::new(full)), noon()).remaining(), [6]);
}

#[test]
fn a_scope_and_a_route_are_both_asked_for() {
    let limit = Limit::per_key(hour(9)).for_scope("bulk").unwrap();
    let limits = limits([limit.on(Method::POST, "/bulk").unwrap()]);
    let record = record("k", Tenant::new("acme")).with_access(ScopeSet::new(["bulk"]).unwrap());
    let bulk = Principal::of_key(Arc::new(record));
    assert_eq!(call(&limits, &bulk, "POST", "/bulk"), [8]);
    assert!(call(&limits, &bulk, "POST", "/").is_empty());
    assert!(call(&limits, &key("k", "acme"), "POST", "/bulk").is_empty());
}

#[test]
fn what_can_never_work_is_refused_at_start() {
    let limit = || Limit::per_key(hour(10));
    assert!(limit().on(Method::GET, "exports").is_err());
    assert!(limit().on_path("/{a").is_err());
    assert!(limit().on_path("/{a}").unwrap().on_path("/{b}").is_err());
    assert!(limit().cost_on(Method::GET, "", 1).is_err());
    assert!(limit().for_scope("two words").is_err());
    let dear = limit().cost_on(Method::GET, "/a", 11).unwrap();
    let error = Limits::new([dear]).unwrap_err().to_string();
    assert!(error.contains("cost of a limit \"11\""), "{error}");
}
