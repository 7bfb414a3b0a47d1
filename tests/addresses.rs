//! Which address a request comes from, and whether a key may be used there.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::IpAddr;

use common::{
    bearer, gate, get, head, holding, live_key, record, refusal, subject, verdict, with_peer,
};
use http::request::Parts;
use ipnet::IpNet;
use keygate::RejectionKind::AddressDenied;
use keygate::Tenant;
use keygate::policy::ForwardingHeader::{Forwarded, XForwardedFor};
use keygate::policy::{ClientAddress, ForwardingHeader, PeerAddr};
use proptest::prelude::*;

fn proxied(lines: &[(&str, &str)]) -> Parts {
    with_peer(get(lines), "10.0.0.1")
}

fn nets(networks: &[&str]) -> Vec<IpNet> {
    networks.iter().map(|network| network.parse().unwrap()).collect()
}

fn behind(header: ForwardingHeader) -> ClientAddress {
    ClientAddress::default().behind_networks(nets(&["10.0.0.0/8", "fd00::/8"]), header)
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn by_default_the_client_is_the_peer_whatever_headers_say() {
    let spoofed = [
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("x-real-ip", "192.0.2.1"),
        ("x-client-ip", "192.0.2.1"),
        ("cf-connecting-ip", "192.0.2.1"),
        ("true-client-ip", "192.0.2.1"),
    ];
    let address = ClientAddress::default();
    assert_eq!(address.of(&proxied(&spoofed)), ip("10.0.0.1"));
    assert_eq!(address.of(&get(&spoofed)), None, "no peer, no address");
}

#[test]
fn the_peer_may_be_found_elsewhere() {
    let address = ClientAddress::peer_from(|extensions| extensions.get::<IpAddr>().copied());
    let mut parts = proxied(&[]);
    assert_eq!(address.of(&parts), None);
    parts.extensions.insert(ip("192.0.2.7").unwrap());
    assert_eq!(address.of(&parts), ip("192.0.2.7"));
    let peer = PeerAddr::new("192.0.2.7:80".parse().unwrap());
    assert_eq!(Some(peer.ip()), ip("192.0.2.7"));
}

#[test]
fn a_peer_in_ipv6_form_is_its_ipv4_address() {
    let parts = with_peer(get(&[]), "::ffff:192.0.2.1");
    assert_eq!(ClientAddress::default().of(&parts), ip("192.0.2.1"));
    let parts = with_peer(get(&[("x-forwarded-for", "192.0.2.9")]), "::ffff:10.0.0.1");
    assert_eq!(behind(XForwardedFor).of(&parts), ip("192.0.2.9"), "and is trusted as such");
}

#[test]
fn the_header_is_walked_from_the_right_to_the_first_who_is_not_trusted() {
    let table = [
        (vec![], "10.0.0.1"),
        (vec!["192.0.2.1"], "192.0.2.1"),
        (vec!["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
        (vec!["10.0.0.9, 192.0.2.1"], "192.0.2.1"),
        (vec!["6.6.6.6, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (vec!["6.6.6.6, 192.0.2.1, fd00::1, 10.0.0.2"], "192.0.2.1"),
        (vec!["6.6.6.6", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (vec!["6.6.6.6, 192.0.2.1", "10.0.0.3,10.0.0.2"], "192.0.2.1"),
        (vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (vec!["192.0.2.1,\t10.0.0.2 "], "192.0.2.1"),
    ];
    for (lines, client) in table {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        assert_eq!(behind(XForwardedFor).of(&proxied(&lines)), ip(client), "{lines:?}");
    }
}

#[test]
fn a_peer_who_is_not_trusted_speaks_for_nobody() {
    let parts = with_peer(get(&[("x-forwarded-for", "10.0.0.2")]), "192.0.2.66");
    assert_eq!(behind(XForwardedFor).of(&parts), ip("192.0.2.66"));
}

#[test]
fn an_entry_that_cannot_be_read_stops_at_the_hop_that_wrote_it() {
    for odd in
        ["", "unknown", "_hidden", "x", "1.2.3", "1.2.3.4.5", "1.2.3.4:x", "::g", "localhost"]
    {
        let first = format!("192.0.2.1, {odd}");
        assert_eq!(
            behind(XForwardedFor).of(&proxied(&[("x-forwarded-for", &first)])),
            ip("10.0.0.1"),
            "{odd}"
        );
        let second = format!("192.0.2.1, {odd}, 10.0.0.2");
        assert_eq!(
            behind(XForwardedFor).of(&proxied(&[("x-forwarded-for", &second)])),
            ip("10.0.0.2"),
            "{odd}"
        );
    }
    let lines: [(&str, &[u8]); 2] =
        [("x-forwarded-for", b"192.0.2.1"), ("x-forwarded-for", b"\xFF, 192.0.2.2")];
    let parts = with_peer(head(http::Method::GET, "/", &lines), "10.0.0.1");
    assert_eq!(behind(XForwardedFor).of(&parts), ip("10.0.0.1"), "a line that is no text");
}

#[test]
fn addresses_are_read_as_proxies_write_them() {
    let table = [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:47011", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
    ];
    for (written, client) in table {
        let parts = proxied(&[("x-forwarded-for", written)]);
        assert_eq!(behind(XForwardedFor).of(&parts), ip(client), "{written}");
    }
}

#[test]
fn forwarded_is_read_as_rfc_7239_writes_it() {
    let table = [
        // Section 4 of the RFC, and section 6.3.
        ("for=\"_gazonk\"", "10.0.0.1"),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
        ("for=192.0.2.43, for=10.0.0.17", "192.0.2.43"),
        ("for=_hidden, for=_SEVKISEK", "10.0.0.1"),
        ("for=192.0.2.43, for=unknown", "10.0.0.1"),
        ("for=192.0.2.43,for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"),
        ("for=192.0.2.43,for=\"[fd00::17]\";proto=https", "192.0.2.43"),
        ("by=203.0.113.43;FOR=192.0.2.60", "192.0.2.60"),
        ("for=\"192.0.2.60:8080\"", "192.0.2.60"),
        ("proto=https;for=192.0.2.60 ; host=h", "192.0.2.60"),
        // What the grammar doesn't have.
        ("proto=https", "10.0.0.1"),
        ("for=192.0.2.60;for=192.0.2.61", "10.0.0.1"),
        ("for", "10.0.0.1"),
        ("for=", "10.0.0.1"),
        ("for=\"192.0.2.60", "10.0.0.1"),
        ("for=192.0.2.60\"", "10.0.0.1"),
        ("for=\"192.0\\.2.60\"", "10.0.0.1"),
        ("for = 192.0.2.60", "10.0.0.1"),
        ("192.0.2.60", "10.0.0.1"),
        ("for=192.0.2.60;", "10.0.0.1"),
    ];
    for (line, client) in table {
        let parts = proxied(&[("forwarded", line)]);
        assert_eq!(behind(Forwarded).of(&parts), ip(client), "{line}");
    }
}

#[test]
fn an_address_inside_a_quoted_host_is_not_the_clients() {
    // The client's `Host` is `x,for=6.6.6.6;y=`, whose characters RFC 3986 allows in a host; the
    // proxy quotes it. Its own address, 192.0.2.60, or the proxy's may be found, never 6.6.6.6.
    for line in [
        "for=192.0.2.60;host=\"x,for=6.6.6.6;y=\"",
        "for=192.0.2.60;host=\"x,for=6.6.6.6\"",
        "for=192.0.2.60;host=\"x,for=6.6.6.6;y=\\\"\"",
        "for=192.0.2.60;host=\",for=6.6.6.6;y=z;w=\"",
        "host=\"x;for=6.6.6.6;y=\";for=192.0.2.60",
        "host=\",for=6.6.6.6,\";for=192.0.2.60",
    ] {
        let client = behind(Forwarded).of(&proxied(&[("forwarded", line)]));
        assert_ne!(client, ip("6.6.6.6"), "{line}");
    }
}

#[test]
fn only_the_configured_header_is_read() {
    let both = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2")];
    assert_eq!(behind(XForwardedFor).of(&proxied(&both)), ip("192.0.2.1"));
    assert_eq!(behind(Forwarded).of(&proxied(&both)), ip("192.0.2.2"));
    assert_eq!(behind(Forwarded).of(&proxied(&both[..1])), ip("10.0.0.1"));
    assert_eq!(behind(XForwardedFor).of(&proxied(&both[1..])), ip("10.0.0.1"));
}

#[test]
fn so_many_hops_are_believed_and_no_more() {
    let line = [("x-forwarded-for", "6.6.6.6, 192.0.2.3, 192.0.2.2, 192.0.2.1")];
    let table = ["10.0.0.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"];
    for (hops, client) in table.into_iter().enumerate() {
        let address = ClientAddress::default().behind_hops(hops, XForwardedFor);
        assert_eq!(address.of(&proxied(&line)), ip(client), "{hops}");
        assert_eq!(address.of(&proxied(&[])), ip("10.0.0.1"), "{hops}, no header");
        assert_eq!(address.of(&get(&line)), None, "{hops}, no peer");
    }
    let odd = [("x-forwarded-for", "192.0.2.3, unknown, 192.0.2.1")];
    let address = ClientAddress::default().behind_hops(3, XForwardedFor);
    assert_eq!(address.of(&proxied(&odd)), ip("192.0.2.1"));
}

#[test]
fn trusted_networks_may_be_written_as_mapped_ipv4() {
    let mapped = nets(&["::ffff:10.0.0.0/104"]);
    let address = ClientAddress::default().behind_networks(mapped, XForwardedFor);
    assert_eq!(address.of(&proxied(&[("x-forwarded-for", "192.0.2.1")])), ip("192.0.2.1"));
    assert!(format!("{address:?}").contains("10.0.0.0/8"));
}

/// Whether a key that is bound to `networks` may be used from `peer`.
fn may(networks: &[&str], peer: Option<&str>) -> bool {
    let key = live_key();
    let bound = record("key_1", &key, Tenant::new("acme")).with_networks(nets(networks));
    let gate = gate(holding([bound])).into_authenticator();
    let parts = bearer(key.reveal());
    match verdict(&gate, &peer.map_or(parts.clone(), |peer| with_peer(parts, peer))) {
        Ok(_) => true,
        Err(why) => {
            assert_eq!(why.kind(), AddressDenied);
            false
        }
    }
}

#[test]
fn a_bound_key_may_be_used_in_its_networks_only() {
    let table: [(&[&str], &str, bool); 18] = [
        (&[], "192.0.2.1", true),
        (&["192.0.2.1/32"], "192.0.2.1", true),
        (&["192.0.2.1/32"], "192.0.2.2", false),
        (&["192.0.2.0/24"], "192.0.2.255", true),
        (&["192.0.2.0/24"], "192.0.3.0", false),
        (&["192.0.2.77/24"], "192.0.2.1", true),
        (&["0.0.0.0/0"], "203.0.113.9", true),
        (&["0.0.0.0/0"], "2001:db8::1", false),
        (&["::/0"], "2001:db8::1", true),
        (&["::/0"], "192.0.2.1", false),
        (&["2001:db8::/32"], "2001:db8:ffff::1", true),
        (&["2001:db8::/32"], "2001:db9::1", false),
        (&["192.0.2.0/24"], "::ffff:192.0.2.9", true),
        (&["::ffff:192.0.2.0/120"], "192.0.2.9", true),
        (&["::ffff:192.0.2.0/120"], "::ffff:192.0.2.9", true),
        (&["::ffff:192.0.2.0/120"], "192.0.3.9", false),
        (&["192.0.2.1/32", "2001:db8::/32"], "2001:db8::1", true),
        (&["192.0.2.1/32", "2001:db8::/32"], "10.0.0.1", false),
    ];
    for (networks, peer, passes) in table {
        assert_eq!(may(networks, Some(peer)), passes, "{networks:?} {peer}");
    }
}

#[test]
fn a_bound_key_is_refused_where_the_address_is_not_known() {
    assert!(!may(&["0.0.0.0/0", "::/0"], None));
    assert!(may(&[], None), "a key that is not bound needs no address");
}

#[test]
fn a_client_cannot_talk_itself_into_a_keys_network() {
    let key = live_key();
    let bound = record("key_1", &key, Tenant::new("acme")).with_networks(nets(&["192.0.2.0/24"]));
    let gate = gate(holding([bound])).client_address(behind(XForwardedFor)).into_authenticator();
    let authorization = format!("Bearer {}", key.reveal());
    let from = |peer, lines: &[&str]| {
        let lines = lines.iter().map(|line| ("x-forwarded-for", *line));
        let headers: Vec<_> = lines.chain([("authorization", &*authorization)]).collect();
        with_peer(get(&headers), peer)
    };
    assert_eq!(subject(&gate, &from("10.0.0.1", &["192.0.2.1"])), "key_1");
    for (peer, lines) in [
        ("203.0.113.66", vec!["192.0.2.1"]),
        ("10.0.0.1", vec!["192.0.2.1, 203.0.113.66"]),
        ("10.0.0.1", vec!["192.0.2.1", "203.0.113.66"]),
        ("10.0.0.1", vec!["192.0.2.1, junk"]),
    ] {
        assert_eq!(refusal(&gate, &from(peer, &lines)), AddressDenied, "{peer} {lines:?}");
    }
}

/// The same walk, written without care for speed.
fn naive(entries: &[String], trusted: &[&str]) -> IpAddr {
    let trusts = |at: IpAddr| nets(trusted).iter().any(|network| network.contains(&at));
    let mut client: IpAddr = "10.0.0.1".parse().unwrap();
    for entry in entries.iter().rev() {
        let named: Option<IpAddr> = entry.parse().ok();
        match named {
            Some(named) if trusts(client) => client = named,
            _ => return client,
        }
    }
    client
}

fn entry() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_u8..4).prop_map(|last| format!("10.0.0.{last}")),
        3 => (0_u8..4).prop_map(|last| format!("192.0.2.{last}")),
        1 => Just("fd00::1".to_owned()),
        1 => Just("unknown".to_owned()),
        1 => "[a-f0-9:.]{0,12}".prop_filter("no socket", |text| !text.contains(':')),
    ]
}

proptest! {
    #[test]
    fn the_walk_is_the_naive_walk(
        entries in proptest::collection::vec(entry(), 0..8),
        cuts in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        let mut lines: Vec<Vec<String>> = Vec::new();
        for (entry, cut) in entries.iter().zip(cuts) {
            match lines.last_mut() {
                Some(line) if !cut => line.push(entry.clone()),
                _ => lines.push(vec![entry.clone()]),
            }
        }
        let expected = Some(naive(&entries, &trusted));
        let quoted = |line: &Vec<String>| {
            line.iter().map(|entry| format!("for=\"{entry}\"")).collect::<Vec<_>>().join(", ")
        };
        let plain: Vec<_> = lines.iter().map(|line| line.join(", ")).collect();
        let headers: Vec<_> = plain.iter().map(|line| ("x-forwarded-for", &**line)).collect();
        prop_assert_eq!(behind(XForwardedFor).of(&proxied(&headers)), expected);
        let forwarded: Vec<_> = lines.iter().map(quoted).collect();
        let headers: Vec<_> = forwarded.iter().map(|line| ("forwarded", &**line)).collect();
        prop_assert_eq!(behind(Forwarded).of(&proxied(&headers)), expected);
    }

    #[test]
    fn whatever_a_client_sends_the_proxys_own_entry_wins(junk in "[ -~\t]{0,60}") {
        let line = format!("{junk}, 192.0.2.60");
        let parts = proxied(&[("x-forwarded-for", &line)]);
        prop_assert_eq!(behind(XForwardedFor).of(&parts), ip("192.0.2.60"));
        let line = format!("{junk}, for=192.0.2.60;proto=https");
        let parts = proxied(&[("forwarded", &line)]);
        prop_assert_eq!(behind(Forwarded).of(&parts), ip("192.0.2.60"));
    }

    #[test]
    fn no_host_that_a_proxy_quotes_names_the_client(host in "[a-z0-9,;=.:\\[\\]-]{0,20}(,for=6\\.6\\.6\\.6)[;,a-z=\\\\]{0,8}") {
        let line = format!("for=192.0.2.60;host=\"{host}\"");
        let client = behind(Forwarded).of(&proxied(&[("forwarded", &line)]));
        prop_assert!(client == ip("192.0.2.60") || client == ip("10.0.0.1"), "{line} {client:?}");
    }

    #[test]
    fn mapped_networks_mean_what_ipv4_networks_mean(bits: u32, length in 0_u8..=32, peer: u32) {
        let address = std::net::Ipv4Addr::from(bits);
        let peer = std::net::Ipv4Addr::from(peer).to_string();
        let plain = format!("{address}/{length}");
        let mapped = format!("::ffff:{address}/{}", length + 96);
        prop_assert_eq!(may(&[&plain], Some(&peer)), may(&[&mapped], Some(&peer)));
    }
}
