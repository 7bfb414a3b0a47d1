//! Identities never meet unless they are the same.

use std::borrow::Cow;

use crate::limit::identity::{Identity, Kept};

fn subject<'a>(issuer: &'a str, subject: &'a str) -> Identity<'a> {
    Identity::Subject { issuer, subject }
}

fn all() -> Vec<Identity<'static>> {
    let network = |text: &str| Identity::network(Some(text.parse().unwrap()), 64);
    vec![
        Identity::Tenant("a"),
        Identity::Tenant(""),
        Identity::Key("a"),
        Identity::Key("ab"),
        Identity::Text(Cow::Borrowed("a")),
        Identity::Text(Cow::Borrowed("sab")),
        Identity::Nowhere,
        subject("", "a"),
        subject("a", ""),
        subject("ab", "c"),
        subject("a", "bc"),
        subject("", "abc"),
        network("192.0.2.1"),
        network("192.0.2.2"),
        network("255.255.255.255"),
        network("2001:db8:0:1::1"),
        network("2001:db8:0:2::1"),
        network("ffff:ffff:ffff:ffff::1"),
        network("::"),
    ]
}

#[test]
fn each_is_itself_and_no_other() {
    for (i, one) in all().iter().enumerate() {
        let kept = Kept::new(one.parts());
        assert_eq!(kept.parts(), one.parts(), "{one:?}");
        for (j, other) in all().iter().enumerate() {
            assert_eq!(kept.is(other.parts()), i == j, "{one:?} and {other:?}");
        }
    }
}

#[test]
fn an_owned_text_is_the_borrowed_one() {
    let kept = Kept::new(Identity::Text(Cow::Owned("a".into())).parts());
    assert!(kept.is(Identity::Text(Cow::Borrowed("a")).parts()));
}

fn same(one: &str, other: &str, prefix: u8) -> bool {
    let network = |text: &str| Identity::network(Some(text.parse().unwrap()), prefix);
    Kept::new(network(one).parts()).is(network(other).parts())
}

#[test]
fn an_ipv6_network_is_one_caller() {
    assert!(same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", 64));
    assert!(!same("2001:db8::1", "2001:db8:0:1::1", 64));
    assert!(same("2001:db8::1", "2001:db8:0:ff::1", 56));
    assert!(!same("2001:db8::1", "2001:db8::2", 128));
    assert!(same("2001:db8::1", "2001:db8::1", 128));
    assert!(same("::1", "7fff::1", 1));
}

#[test]
fn an_ipv4_address_is_the_same_in_ipv6_clothes_and_never_grouped() {
    assert!(same("192.0.2.1", "::ffff:192.0.2.1", 64));
    assert!(!same("192.0.2.1", "192.0.2.2", 64));
    assert!(!same("192.0.2.1", "::ffff:192.0.2.2", 64));
    assert!(!same("192.0.2.1", "::192.0.2.1", 64));
}

#[test]
fn only_a_long_text_becomes_a_digest() {
    let (short, long) = ("x".repeat(64), "x".repeat(65));
    assert!(Identity::Key(&short).digest().is_none());
    assert!(Identity::Key(&long).digest().is_some());
    assert!(subject(&short, "").digest().is_none());
    assert!(subject(&short, "x").digest().is_some(), "both together");
    assert!(all().iter().all(|one| one.digest().is_none()));
}

#[test]
fn digests_meet_only_when_their_texts_do() {
    let (x, y) = ("x".repeat(100), "x".repeat(100) + "y");
    let long = [
        Identity::Tenant(&x),
        Identity::Tenant(&y),
        Identity::Key(&x),
        Identity::Text(Cow::Borrowed(&x)),
        subject(&x, ""),
        subject("", &x),
        subject(&x, "y"),
        subject("x", &y),
        subject(&x[..50], &y[50..]),
    ];
    let digests: Vec<_> = long.iter().map(|one| one.digest().unwrap()).collect();
    for (i, one) in digests.iter().enumerate() {
        let kept = Kept::new(one.parts());
        assert_eq!(kept.parts(), one.parts());
        for (j, other) in digests.iter().enumerate() {
            assert_eq!(kept.is(other.parts()), i == j, "{one:?} and {other:?}");
        }
    }
}
