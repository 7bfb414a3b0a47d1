//! Names on the server.

use crate::limit::Quota;
use crate::limit::identity::Identity;
use crate::limit::redis::key::{Digest, Key, check_prefix};

fn digest(identity: &Identity<'_>) -> Digest {
    Digest::of(identity.parts())
}

fn key(owner: &Identity<'_>, quota: &Quota, limit: &str) -> String {
    let tag = digest(&Identity::Tenant("acme"));
    Key::new("keygate:", tag, digest(owner), quota, limit).name.to_string()
}

#[test]
fn identities_of_different_kinds_have_different_names() {
    let split = |issuer, subject| Identity::Subject { issuer, subject };
    let identities = [
        Identity::Tenant("a"),
        Identity::Key("a"),
        Identity::Text("a".into()),
        Identity::Nowhere,
        Identity::Text("".into()),
        split("a", "b"),
        split("ab", ""),
        split("", "ab"),
    ];
    let quota = Quota::per_hour(1).unwrap();
    let mut names: Vec<_> = identities.iter().map(|owner| key(owner, &quota, "x")).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), identities.len());
}

#[test]
fn quotas_and_limits_have_different_names() {
    let hour = Quota::per_hour(10).unwrap();
    let owner = Identity::Key("a");
    let mut names = vec![
        key(&owner, &hour, "x"),
        key(&owner, &hour.sliding(), "x"),
        key(&owner, &hour.gcra(), "x"),
        key(&owner, &Quota::per_day(10).unwrap(), "x"),
        key(&owner, &Quota::per_hour(11).unwrap(), "x"),
        key(&owner, &hour, "y"),
    ];
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn a_name_has_one_hash_tag() {
    let name = key(&Identity::Key("a} {b"), &Quota::per_hour(10).unwrap(), "n} {");
    let (before, rest) = name.split_once('{').unwrap();
    assert_eq!(before, "keygate:");
    let (tag, rest) = rest.split_once('}').unwrap();
    assert_eq!(tag.len(), 22);
    assert!(rest.ends_with(":f10/3600000:n} {"), "{rest}");
}

#[test]
fn a_prefix_with_a_brace_would_be_another_hash_tag() {
    for prefix in ["", "a:", &"x".repeat(64)] {
        assert_eq!(check_prefix(prefix.into()).unwrap(), prefix);
    }
    for prefix in ["{", "a}", "a b", "ä", "\n", &"x".repeat(65)] {
        let error = check_prefix(prefix.into()).unwrap_err().to_string();
        assert!(error.contains("prefix of keys in Redis"), "{error}");
    }
}
