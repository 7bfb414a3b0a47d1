//! The reader beside `serde_json`: it takes the same texts, but for names that occur twice, and finds
//! the same values in them.

use std::collections::BTreeMap;
use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{JsonError, Object, Value};

/// A value as `serde_json` reads it, if no name in it occurs twice.
#[derive(Debug, PartialEq)]
enum Known {
    Null,
    Flag(bool),
    Whole(u64),
    Other(f64),
    Text(String),
    List(Vec<Known>),
    Object(BTreeMap<String, Known>),
}

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Known;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Known, E> {
        Ok(Known::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Known, E> {
        Ok(Known::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Known, E> {
        Ok(Known::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Known, E> {
        Ok(Known::Other(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Known, E> {
        Ok(Known::Other(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Known, E> {
        Ok(Known::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Known, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Known::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Known, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(Known::Object(members))
    }
}

/// What the reader makes of a value; it keeps nothing of an object within.
fn is_same(value: &Value<'_>, known: &Known) -> bool {
    match (value, known) {
        (Value::Null, Known::Null) | (Value::Object, Known::Object(_)) => true,
        (Value::True, Known::Flag(flag)) => *flag,
        (Value::False, Known::Flag(flag)) => !flag,
        (Value::Whole(number), Known::Whole(known)) => number == known,
        (Value::Float(number), Known::Other(known)) => number == known,
        // 0, and whole numbers of 20 digits.
        (Value::Float(number), Known::Whole(known)) => *number == *known as f64,
        (Value::Text(text), Known::Text(known)) => text == known,
        (Value::List(list), Known::List(known)) => {
            list.len() == known.len()
                && list.iter().zip(known).all(|(one, other)| is_same(one, other))
        }
        _ => false,
    }
}

/// Asks both, and says whether they took the text.
fn compare(text: &str) -> bool {
    let mut object = Object::default();
    let read = object.read(text);
    let known = match serde_json::from_str(text) {
        Ok(Known::Object(members)) => members,
        Ok(_) => {
            assert_eq!(read, Err(JsonError::NoObject), "{text}");
            return false;
        }
        Err(error) => {
            assert!(matches!(read, Err(error) if error != JsonError::NoDate), "{text}: {error}");
            return false;
        }
    };
    let is_date = |value: &Known| match value {
        Known::Whole(_) => true,
        Known::Other(number) => *number >= 0.0,
        _ => false,
    };
    if ["exp", "nbf", "iat"].iter().any(|name| known.get(*name).is_some_and(|v| !is_date(v))) {
        assert_eq!(read, Err(JsonError::NoDate), "{text}");
        return false;
    }
    assert_eq!(read, Ok(()), "{text}");
    assert_eq!(object.0.len(), known.len(), "{text}");
    for member in &object.0 {
        let known = known.get(&*member.name).unwrap_or_else(|| panic!("{text}: {member:?}"));
        assert!(is_same(&member.value, known), "{text}: {member:?}");
        assert!(object.get(super::Name::of(&member.name)).is_some(), "{text}: {member:?}");
    }
    true
}

#[test]
fn it_takes_what_serde_json_takes() {
    let few = (0..12).map(|n| format!(r#""member_{n}":{n}"#)).collect::<Vec<_>>().join(",");
    let many = (0..40).map(|n| format!(r#""member_{n}":{n}"#)).collect::<Vec<_>>().join(",");
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(126), "]".repeat(126));
    for text in [
        "{}",
        " \t\r\n{ \"a\" : [ ] , \"b\" : { } } \n",
        r#"{"a":1,"A":2,"":3,"aaaaaaaa":4,"aaaaaaab":5,"aaaaaaac":6}"#,
        r#"{"exp":1700000000,"nbf":1.7e9,"iat":1700000000.25}"#,
        r#"{"exp":0,"nbf":-0,"iat":18446744073709551615,"x":-5}"#,
        r#"{"a":[1,-1,0.5,-0.5e-3,1E+2,18446744073709551616,99999999999999999999999]}"#,
        r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","\u0062":"\\"}"#,
        r#"{"a":"é😀 ~","ключ":[true,false,null],"\u007f":"\u007f"}"#,
        "{\"a\":\"\u{7f}\u{80}\u{2028}\"}",
        r#"{"a":{"a":{"a":[{"a":1},{"a":1}]}}}"#,
        &deep,
        &format!("{{{few}}}"),
        &format!("{{{many}}}"),
        &format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000)),
        &format!(r#"{{"a":1e{}}}"#, 308),
    ] {
        assert!(compare(text), "{text}");
    }
}

#[test]
fn it_refuses_what_serde_json_refuses_and_names_that_occur_twice() {
    let many = (0..40).map(|n| format!(r#""member_{n}":{n}"#)).collect::<Vec<_>>().join(",");
    let long = "x".repeat(300);
    for text in [
        "",
        " ",
        "[]",
        "\"a\"",
        "null",
        "{",
        "}",
        "{}}",
        "{} x",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1;"b":2}"#,
        r#"{a:1}"#,
        r#"{'a':1}"#,
        r#"{1:1}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":[1}"#,
        r#"{"a":{]}"#,
        r#"{"a":tru}"#,
        r#"{"a":truee}"#,
        r#"{"a":True}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":-01}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":5.}"#,
        r#"{"a":1e}"#,
        r#"{"a":1-2}"#,
        r#"{"a":1.2.3}"#,
        r#"{"a":0x10}"#,
        r#"{"a":1e400}"#,
        r#"{"a":-1e400}"#,
        r#"{"a":"x}"#,
        r#"{"a":"\"}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00\ud800"}"#,
        "{\"a\":\"\n\"}",
        "{\"a\":\"0123456\u{0}\"}",
        "{\"a\":\"\\n\u{1f}\"}",
        "{\"a\":1}\u{0}",
        "\u{feff}{}",
        "{\"a\":1,\u{a0}\"b\":2}",
        "{\"a\":1}// no comment",
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"a":{"b":1,"b":1}}"#,
        r#"{"a":[[{"b":1,"b":1}]]}"#,
        r#"{"a":{"b":1,"\u0062":1}}"#,
        r#"{"exp":"1"}"#,
        r#"{"exp":-1}"#,
        r#"{"nbf":null}"#,
        r#"{"iat":[1]}"#,
        r#"{"exp":-0.5}"#,
        &format!(r#"{{"{long}y":1,"{long}y":1}}"#),
        &format!(r#"{{{many},"member_7":1}}"#),
        &format!(r#"{{"a":{{{many},"member_7":1}}}}"#),
        &format!(r#"{{"a":1{}}}"#, "0".repeat(400)),
        &format!(r#"{{"a":{}{}}}"#, "[".repeat(127), "]".repeat(127)),
        &format!(r#"{{"a":{}"#, "[".repeat(100_000)),
        &r#"{"a":"#.repeat(100_000),
    ] {
        assert!(!compare(text), "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn a_cut_anywhere_is_refused() {
    let text = r#"{"a":"b\n","c":[1,{"d":null}],"e":-1.5e3,"f":true}"#;
    assert!(compare(text));
    for end in 0..text.len() {
        assert!(!compare(&text[..end]), "{end}");
    }
}

#[test]
fn a_mark_is_found_wherever_it_stands() {
    for length in 0..40 {
        for at in 0..=length {
            let mut text = "~\u{7f} !#[]".chars().cycle().take(length).collect::<Vec<_>>();
            for mark in ['"', '\\', '\n', '\u{1f}', '\0', 'é', '\u{a2}'] {
                text.splice(at..(at + 1).min(length), [mark]);
                let text: String = text.iter().collect();
                compare(&format!(r#"{{"a":"{text}","b":1}}"#));
            }
        }
    }
}

/// Pieces of which most are JSON when they are put together, and many almost are.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\n", "null", "true", "false", "\"a\":",
            "\"b\":", "\"exp\":", "\"\\u0061\":", "\"ключ\":", "{\"a\":", "\"a\"", "0", "-", "1.5", "e", "12",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        1 => any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        "-?[0-9]{1,25}(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let name = prop_oneof![
            4 => prop::sample::select(vec!["a", "b", "exp", "nbf", "\\u0061", "subject_a", "subject_b"])
                .prop_map(str::to_owned),
            1 => "[a-z]{0,12}",
        ];
        let space = prop::sample::select(vec!["", " ", "\n\t"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|list| format!("[{}]", list.join(","))),
            (prop::collection::vec((name, inner), 0..5), space).prop_map(|(members, space)| {
                let member = |(name, value)| format!("{space}\"{name}\"{space}:{space}{value}");
                let members: Vec<_> = members.into_iter().map(member).collect();
                format!("{{{}{space}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_json_is_read_as_serde_json_reads_it(text in json()) {
        compare(&text);
    }

    #[test]
    fn any_pieces_of_json_are_read_as_serde_json_reads_them(text in pieces()) {
        compare(&text);
        compare(&format!("{{\"a\":{text}}}"));
    }

    #[test]
    fn any_change_to_json_is_read_as_serde_json_reads_it(
        text in json(), at in any::<prop::sample::Index>(), other in any::<char>(),
    ) {
        let mut text: Vec<char> = text.chars().collect();
        let at = at.index(text.len());
        text[at] = other;
        compare(&text.iter().collect::<String>());
    }
}
