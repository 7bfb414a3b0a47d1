//! Keys: how they look, how they are made, what of them may be seen.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::ops::RangeInclusive;

use common::{Counting, bearer, gate, holding, live_key, record, refusal, subject};
use keygate::RejectionKind::KeyInvalid;
use keygate::{
    ConfigError, Environment, EnvironmentPolicy, KeyDigest, KeyFormat, KeyId, KeyRecord, KeyStatus,
    Tenant,
};
use proptest::prelude::*;

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn text(format: &KeyFormat, environment: Environment) -> String {
    format.generate(environment).unwrap().reveal().to_owned()
}

/// What the gate thinks of `key` as a key of `formats`: true when it asks the store.
fn is_asked(formats: impl IntoIterator<Item = KeyFormat>, key: &str) -> bool {
    let store = Counting::over(holding([]));
    let gate = gate(store.clone()).environment(EnvironmentPolicy::TestAndLive);
    let gate = gate.key_formats(formats).unwrap().into_authenticator();
    assert_eq!(refusal(&gate, &bearer(key)), KeyInvalid, "{key}");
    store.asked() == 1
}

fn invalid(error: ConfigError) -> (String, String) {
    let text = error.to_string();
    match error {
        ConfigError::Invalid { value, .. } => (value, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_brand_has_a_live_and_a_test_prefix() {
    let named = KeyFormat::new("acme").unwrap().environments("prod", "dev").unwrap();
    let table = [
        (KeyFormat::sk(), "sk_live_", "sk_test_"),
        (KeyFormat::cvtk(), "cvtk_live_", "cvtk_test_"),
        (KeyFormat::new("acme_corp_2").unwrap(), "acme_corp_2_live_", "acme_corp_2_test_"),
        (named, "acme_prod_", "acme_dev_"),
        (KeyFormat::new("acme").unwrap().without_environments(), "acme_", "acme_"),
    ];
    for (format, live, test) in table {
        for (environment, prefix) in [(Environment::Live, live), (Environment::Test, test)] {
            let key = text(&format, environment);
            assert!(key.starts_with(prefix), "{key} {prefix}");
            assert_eq!(key.len(), prefix.len() + 38, "{key}");
            assert!(is_asked([format.clone()], &key), "{key}");
        }
    }
}

#[test]
fn a_key_is_one_word_of_letters_digits_and_underscores_in_one_block_of_sha_256() {
    for format in [KeyFormat::sk(), KeyFormat::cvtk()] {
        for _ in 0..100 {
            let key = text(&format, Environment::Live);
            assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{key}");
            assert!(key.len() <= 55, "{key} needs a second block");
        }
    }
}

#[test]
fn ten_thousand_keys_differ_from_each_other() {
    let format = KeyFormat::sk();
    let keys: HashSet<_> = (0..10_000).map(|_| text(&format, Environment::Live)).collect();
    assert_eq!(keys.len(), 10_000);
}

#[test]
fn all_characters_are_equally_likely_in_all_places() {
    // Chi-squared with 61 degrees of freedom: mean 61, deviation 11. Beyond 150 a fair generator
    // gets about once in 10^9 runs; taking all bytes modulo 62, which makes eight characters a
    // quarter likelier, would give more than 2,000 over all places.
    let format = KeyFormat::sk();
    let (mut all, mut first) = ([0_u32; 128], [0_u32; 128]);
    for _ in 0..10_000 {
        let key = text(&format, Environment::Live);
        let body = &key.as_bytes()[8..40];
        body.iter().for_each(|b| all[usize::from(*b)] += 1);
        first[usize::from(body[0])] += 1;
    }
    for (counts, total) in [(all, 320_000.0), (first, 10_000.0)] {
        let expected = total / 62.0;
        let off = |b: u8| (f64::from(counts[usize::from(b)]) - expected).powi(2) / expected;
        let chi_squared: f64 = ALPHABET.bytes().map(off).sum();
        assert!(chi_squared < 150.0, "{chi_squared}");
    }
}

#[test]
fn no_format_makes_keys_of_less_than_160_bits() {
    let bits = |characters: usize| characters as f64 * 62_f64.log2();
    assert!(bits(27) >= 160.0 && bits(26) < 160.0);
    for length in [0, 1, 26, 129, usize::MAX] {
        let (value, _) = invalid(KeyFormat::sk().body_length(length).unwrap_err());
        assert_eq!(value, length.to_string());
    }
    for length in [27, 32, 128] {
        let format = KeyFormat::sk().body_length(length).unwrap();
        let key = text(&format, Environment::Live);
        assert_eq!(key.len(), 8 + length + 6);
        assert!(is_asked([format], &key));
    }
}

#[test]
fn every_change_of_one_character_is_caught_before_the_store() {
    let store = Counting::over(holding([]));
    let gate = gate(store.clone()).into_authenticator();
    let key = text(&KeyFormat::sk(), Environment::Live);
    for place in 0..key.len() {
        for other in ALPHABET.chars().chain("_-.~+/=".chars()) {
            let mut changed = key.clone();
            changed.replace_range(place..=place, other.encode_utf8(&mut [0; 4]));
            if changed != key {
                assert_eq!(refusal(&gate, &bearer(&changed)), KeyInvalid);
            }
        }
    }
    assert_eq!(store.asked(), 0);
    assert_eq!(refusal(&gate, &bearer(&key)), KeyInvalid);
    assert_eq!(store.asked(), 1, "the key itself is asked for");
}

#[test]
fn a_swap_or_a_cut_or_an_addition_is_caught_before_the_store() {
    let key = text(&KeyFormat::sk(), Environment::Live);
    for place in 8..key.len() - 1 {
        let mut bytes = key.clone().into_bytes();
        bytes.swap(place, place + 1);
        let swapped = String::from_utf8(bytes).unwrap();
        assert!(swapped == key || !is_asked([KeyFormat::sk()], &swapped));
    }
    for odd in [&key[..45], &key[1..], &key[..8], "sk_live_", "sk_", &format!("{key}0")] {
        assert!(!is_asked([KeyFormat::sk()], odd), "{odd}");
    }
}

#[test]
fn without_checksum_a_typing_error_costs_a_look_into_the_store() {
    let format = KeyFormat::sk().without_checksum();
    let key = text(&format, Environment::Live);
    assert_eq!(key.len(), 40);
    let other = if key.ends_with('0') { "1" } else { "0" };
    assert!(is_asked([format.clone()], &format!("{}{other}", &key[..39])));
    for odd in [&key[..39], &format!("{key}0"), &format!("{}-", &key[..39])] {
        assert!(!is_asked([format.clone()], odd), "{odd}");
    }
}

#[test]
fn letters_of_another_case_make_another_key() {
    let key = text(&KeyFormat::sk(), Environment::Live);
    assert!(!is_asked([KeyFormat::sk()], &key.replacen("sk_live", "SK_LIVE", 1)));
    assert!(!is_asked([KeyFormat::sk()], &key.replacen("sk_", "Sk_", 1)));
}

#[test]
fn a_test_key_never_reaches_the_store_of_a_live_gate_nor_a_live_key_that_of_a_test_gate() {
    use Environment::{Live, Test};
    let table = [
        (EnvironmentPolicy::LiveOnly, Live, true),
        (EnvironmentPolicy::LiveOnly, Test, false),
        (EnvironmentPolicy::TestOnly, Live, false),
        (EnvironmentPolicy::TestOnly, Test, true),
        (EnvironmentPolicy::TestAndLive, Live, true),
        (EnvironmentPolicy::TestAndLive, Test, true),
    ];
    for (policy, environment, asked) in table {
        let key = KeyFormat::sk().generate(environment).unwrap();
        let known = record("key_1", &key, Tenant::new("acme")).with_environment(environment);
        let store = Counting::over(holding([known]));
        let gate = gate(store.clone()).environment(policy).into_authenticator();
        match asked {
            true => assert_eq!(subject(&gate, &bearer(key.reveal())), "key_1"),
            false => assert_eq!(refusal(&gate, &bearer(key.reveal())), KeyInvalid),
        }
        assert_eq!(store.asked(), usize::from(asked), "{policy:?} {environment:?}");
        assert_eq!(policy.admits(environment), asked);
    }
    assert_eq!(EnvironmentPolicy::from(Live), EnvironmentPolicy::LiveOnly);
    assert_eq!(EnvironmentPolicy::from(Test), EnvironmentPolicy::TestOnly);
}

#[test]
fn existing_keys_pass_by_prefix_length_and_characters() {
    let format = || KeyFormat::existing("old-", 20..=24).unwrap();
    for good in ["old-aaaaaaaaaaaaaaaaaaaa", "old-A0-._~+/=aaaaaaaaaaaaaaa"] {
        assert!(is_asked([format()], good), "{good}");
    }
    for bad in
        ["old-aaaaaaaaaaaaaaaaaaa", "old-aaaaaaaaaaaaaaaaaaaaaaaaa", "old-aaaaaaaaaaaaaaaaaa!aa"]
    {
        assert!(!is_asked([format()], bad), "{bad}");
    }
    let error = format().generate(Environment::Live).unwrap_err();
    assert!(error.to_string().contains("\"old-\""), "{error}");
    assert!(is_asked([format().without_checksum()], "old-aaaaaaaaaaaaaaaaaaaa"));
}

#[test]
fn an_existing_formats_environment_is_that_of_the_record() {
    let key = "old-aaaaaaaaaaaaaaaaaaaa";
    for (environment, passes) in [(Environment::Live, true), (Environment::Test, false)] {
        let known = KeyRecord::new("key_1", KeyDigest::of(key), Tenant::new("acme"))
            .with_environment(environment);
        let gate = gate(holding([known]))
            .key_formats([KeyFormat::existing("old-", 20..=20).unwrap()])
            .unwrap()
            .into_authenticator();
        match passes {
            true => assert_eq!(subject(&gate, &bearer(key)), "key_1"),
            false => assert_eq!(refusal(&gate, &bearer(key)), KeyInvalid),
        }
    }
}

#[test]
fn settings_of_new_keys_do_not_change_existing_ones() {
    let format = || KeyFormat::existing("old-", 20..=20).unwrap();
    assert_eq!(invalid(format().environments("live", "test").unwrap_err()).0, "live");
    assert_eq!(invalid(format().body_length(32).unwrap_err()).0, "32");
    assert!(is_asked([format().without_environments()], "old-aaaaaaaaaaaaaaaaaaaa"));
}

#[test]
fn of_several_formats_the_longest_prefix_reads_a_key() {
    let formats = || {
        [
            KeyFormat::existing("sk_", 16..=255).unwrap(),
            KeyFormat::sk(),
            KeyFormat::new("sk_live").unwrap(),
            KeyFormat::cvtk(),
        ]
    };
    for format in &formats()[1..] {
        let key = text(format, Environment::Live);
        assert!(is_asked(formats(), &key), "{key}");
        let mut broken = key.clone();
        broken.pop();
        assert!(!is_asked(formats(), &broken), "{broken}: no shorter prefix makes it a key");
    }
    assert!(is_asked(formats(), "sk_0123456789abcdef"), "only the short prefix fits");
    assert!(!is_asked(formats(), "xk_0123456789abcdef"), "none fits");
}

#[test]
fn a_brand_can_move_from_one_format_to_another() {
    let formats = || [KeyFormat::existing("sk_live_", 20..=24).unwrap(), KeyFormat::sk()];
    assert!(is_asked(formats(), "sk_live_aaaaaaaaaaaaaaaaaaaaaa"), "issued in the old format");
    assert!(is_asked(formats(), &text(&KeyFormat::sk(), Environment::Live)), "and in the new one");
    assert!(!is_asked(formats(), "sk_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "in neither");
    let longer = KeyFormat::sk().body_length(40).unwrap();
    assert!(is_asked([KeyFormat::sk(), longer.clone()], &text(&longer, Environment::Live)));
}

#[test]
fn a_format_without_prefix_leaves_jwts_alone() {
    let formats = || [KeyFormat::existing("", 16..=255).unwrap()];
    assert!(is_asked(formats(), "0123456789abcdef"));
    assert!(!is_asked(formats(), "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"));
}

#[test]
fn a_prefix_that_means_both_environments_is_refused_at_start_up() {
    let formats = [
        KeyFormat::new("a_b").unwrap().environments("c", "d").unwrap(),
        KeyFormat::new("a").unwrap().environments("x", "b_c").unwrap(),
    ];
    let error = gate(holding([])).key_formats(formats).unwrap_err();
    assert_eq!(invalid(error).0, "a_b_c_");
}

#[test]
fn configuration_errors_carry_the_value_that_was_given() {
    let long = "a".repeat(33);
    for brand in ["", "_a", "a_", "1a", "Acme", "a-b", "a b", "ä", "a\n", &long] {
        let (value, shown) = invalid(KeyFormat::new(brand).unwrap_err());
        assert_eq!(value, brand);
        assert!(shown.contains(&format!("{brand:?}")), "{shown}");
        let as_word = KeyFormat::sk().environments("live", brand).unwrap_err();
        assert_eq!(invalid(as_word).0, brand);
    }
    assert_eq!(invalid(KeyFormat::sk().environments("x", "x").unwrap_err()).0, "x");
    let wrong_way_round = RangeInclusive::new(40, 20);
    for body in [15..=20, 16..=256, 0..=0, wrong_way_round] {
        let given = format!("{body:?}");
        assert_eq!(invalid(KeyFormat::existing("old", body).unwrap_err()).0, given);
    }
    for prefix in ["a b", "a\"", "ä", "a\0", &"a".repeat(65)] {
        assert_eq!(invalid(KeyFormat::existing(prefix, 20..=20).unwrap_err()).0, prefix);
    }
    for brand in ["a", "a1", "a_b", &"a".repeat(32)] {
        assert!(KeyFormat::new(brand).is_ok(), "{brand}");
    }
}

#[test]
fn the_longest_format_makes_keys_that_pass() {
    let format = KeyFormat::new(&"a".repeat(32))
        .unwrap()
        .environments(&"l".repeat(32), &"t".repeat(32))
        .unwrap()
        .body_length(128)
        .unwrap();
    assert!(is_asked([format.clone()], &text(&format, Environment::Test)));
}

#[test]
fn the_display_prefix_shows_the_prefix_and_four_characters() {
    for (format, length) in [(KeyFormat::sk(), 12), (KeyFormat::cvtk(), 14)] {
        let key = format.generate(Environment::Test).unwrap();
        let shown = format.display_prefix(&key);
        assert_eq!(shown, key.reveal()[..length]);
    }
    let foreign = KeyFormat::new("other").unwrap().display_prefix(&live_key());
    assert!(foreign.len() <= 4, "{foreign}: of another brand's key no more than that");
}

#[test]
fn the_digest_is_sha_256() {
    // FIPS 180-2 appendix B.1, and RFC 6234's empty message.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (text, expected) in [("abc", abc), ("", empty)] {
        let hex: String =
            KeyDigest::of(text).as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, expected);
    }
    let key = live_key();
    assert_eq!(key.digest(), KeyDigest::of(key.reveal()));
    assert_eq!(KeyDigest::from_bytes(*key.digest().as_bytes()), key.digest());
    assert_ne!(key.digest(), live_key().digest());
}

#[test]
fn digests_that_differ_in_any_byte_differ() {
    let bytes = *KeyDigest::of("abc").as_bytes();
    for place in 0..32 {
        let mut other = bytes;
        other[place] ^= 1;
        assert_ne!(KeyDigest::from_bytes(bytes), KeyDigest::from_bytes(other));
    }
}

#[test]
fn digests_ids_and_states_survive_json() {
    fn round<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }
    let digest = KeyDigest::of("abc");
    assert_eq!(round(&digest), digest);
    assert_eq!(round(&KeyId::new("key_1")), KeyId::from("key_1"));
    assert_eq!(serde_json::to_string(&KeyStatus::Inactive).unwrap(), r#""inactive""#);
    assert_eq!(serde_json::to_string(&Environment::Live).unwrap(), r#""live""#);
    assert!(serde_json::from_str::<KeyDigest>("[1,2,3]").is_err());
    assert!(serde_json::from_str::<Environment>(r#""staging""#).is_err());
}

#[test]
fn nothing_that_can_be_printed_holds_the_key() {
    let key = live_key();
    let record = record("key_1", &key, Tenant::new("acme"))
        .with_display(KeyFormat::sk().display_prefix(&key));
    let hex: String = key.digest().as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let bytes = format!("{:?}", key.digest().as_bytes());
    for shown in [format!("{key:?}"), format!("{:?}", key.digest()), format!("{record:#?}")] {
        assert!(!shown.contains(&key.reveal()[12..]), "{shown}");
        assert!(!shown.contains(&hex) && !shown.contains(bytes.trim_matches(['[', ']'])));
    }
    assert_eq!(format!("{key:?}"), "KeyToken([redacted])");
    assert_eq!(format!("{:?}", key.clone()), "KeyToken([redacted])");
}

/// Fails to compile as soon as `KeyToken` has a `Display`, or a serialization.
#[test]
fn a_key_cannot_be_formatted_or_serialized_by_accident() {
    trait Otherwise {
        const HAS: bool = false;
    }
    impl<T> Otherwise for T {}
    struct Of<T>(std::marker::PhantomData<T>);
    #[allow(dead_code, reason = "chosen over the trait's only when the bound holds")]
    impl<T: std::fmt::Display> Of<T> {
        const HAS: bool = true;
    }
    #[allow(clippy::assertions_on_constants, reason = "the constant is the point")]
    {
        assert!(Of::<String>::HAS, "the method works");
        assert!(!Of::<keygate::KeyToken>::HAS);
        assert!(!Of::<KeyDigest>::HAS);
    }
}

#[test]
fn a_record_keeps_what_it_is_given() {
    let key = live_key();
    let record = record("key_1", &key, Tenant::new("acme"))
        .with_name("billing")
        .with_created(common::NOW)
        .with_expires(common::NOW)
        .with_status(KeyStatus::Inactive)
        .with_revision(7);
    assert_eq!((record.id().as_str(), record.name()), ("key_1", "billing"));
    assert_eq!((record.created(), record.expires()), (common::NOW, Some(common::NOW)));
    assert_eq!((record.status(), record.revision()), (KeyStatus::Inactive, 7));
    assert_eq!(record.clone().with_expires(None).expires(), None);
    assert_eq!(record.id().to_string(), "key_1");
    assert!(record.quota().is_none() && record.networks().is_empty());
}

proptest! {
    #[test]
    fn no_text_but_a_key_reaches_the_store(text in "(sk_(live|test)_)?[!-~]{0,60}") {
        // One in 62^6 of the right length has a right checksum by chance.
        prop_assert!(!is_asked([KeyFormat::sk()], &text));
    }

    #[test]
    fn keys_of_any_brand_and_length_pass(
        brand in "[a-z]([a-z0-9_]{0,30}[a-z0-9])?",
        length in 27_usize..=128,
        checked: bool,
        worded: bool,
    ) {
        let mut format = KeyFormat::new(&brand).unwrap().body_length(length).unwrap();
        if !checked {
            format = format.without_checksum();
        }
        if !worded {
            format = format.without_environments();
        }
        let key = text(&format, Environment::Live);
        prop_assert!(key.len() <= 255);
        prop_assert!(is_asked([format.clone()], &key));
        let display = format.display_prefix(&format.generate(Environment::Live).unwrap());
        prop_assert!(display.starts_with(&brand) && display.len() <= brand.len() + 10);
    }
}
