//! The fuzz targets' functions, called with known bytes: hostile ones from here, and what stands in the
//! third-party vectors, where `KEYGATE_VECTORS` names their folder (see `vectors`).
//!
//! With `KEYGATE_FUZZ_CORPUS` the bytes are written there too, as a corpus to begin fuzzing with.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/doors.rs"]
#[allow(unreachable_pub)]
mod doors;

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const VECTORS: [&str; 4] = [
    "wycheproof/json_web_signature_test.json",
    "wycheproof/json_web_key_test.json",
    "rfc/rfc.json",
    "rfc/rfc7520.json",
];

/// A target's name, its function, and its bytes.
fn run(name: &str, door: fn(&[u8]), seeds: Vec<Vec<u8>>) {
    assert!(seeds.len() > 5);
    if let Some(folder) = std::env::var_os("KEYGATE_FUZZ_CORPUS") {
        let folder = PathBuf::from(folder).join(name);
        fs::create_dir_all(&folder).unwrap();
        for (n, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{n}")), seed).unwrap();
        }
    }
    seeds.iter().for_each(|seed| door(seed));
}

#[test]
fn headers() {
    let mut seeds = texts(&[
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"1"}"#,
        r#"{"typ":"application/at+jwt","alg":"HS256"}"#,
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","\u0061lg":"RS256"}"#,
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"jku":"https://evil.example"}"#,
        r#"{"alg":"HS256","x":{"y":[1,2,{"z":null}],"\ud83d\ude00":1e400}}"#,
        r#"["HS256"]"#,
        "\u{feff}{\"alg\":\"HS256\"}",
        "",
    ]);
    seeds.push(nested(b"{\"alg\":\"HS256\",\"x\":"));
    seeds.extend(tokens().iter().filter_map(|token| part(token, 0)));
    run("header", doors::header, seeds);
}

#[test]
fn claims() {
    let good = json!({
        "iss": doors::ISSUER, "aud": doors::AUDIENCE, "sub": "ann", "exp": doors::NOW + 600,
        "iat": doors::NOW, "nbf": doors::NOW, "jti": "1", "tenant": "acme", "scope": "read write",
    });
    let strange = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("1800000600"),
        json!([]),
        json!([doors::AUDIENCE]),
        json!([doors::ISSUER, 1]),
        json!({}),
    ];
    let mut seeds = texts(&["[]", "null", "{}", "", "{\"iss\":", "\u{feff}{}"]);
    seeds.push(good.to_string().into_bytes());
    for name in good.as_object().unwrap().keys() {
        for value in &strange {
            let mut claims = good.clone();
            claims[name] = value.clone();
            seeds.push(claims.to_string().into_bytes());
        }
        let twice = format!("{{\"{name}\":1,{}", &good.to_string()[1..]);
        seeds.push(twice.into_bytes());
    }
    seeds.push(nested(b"{\"x\":"));
    seeds.extend(tokens().iter().filter_map(|token| part(token, 1)));
    run("claims", doors::claims, seeds);
}

#[test]
fn keys() {
    let mut seeds = texts(&[
        r#"{"kty":"oct","alg":"HS256","k":"a1gzdVY5cUx3N1pyVDF5TmI1TWhDOHNEZjJHalA0YUU"}"#,
        r#"{"kty":"oct","alg":"HS256","k":""}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","x":""}"#,
        r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
        r#"{"kty":"RSA","alg":"RS256","n":"AQAB","e":"AQAB"}"#,
        r#"{"kty":7,"kid":null,"key_ops":"verify"}"#,
        r#"{"keys":[{"kty":"oct"},7,null]}"#,
        r#"{"keys":[1e400,{"kty":"oct","x":1e400}],"y":1e400}"#,
        "{",
    ]);
    let files = vectors();
    let mut found = Vec::new();
    files.iter().for_each(|file| with_kty(file, &mut found));
    for jwk in found {
        seeds.push(jwk.to_string().into_bytes());
        // A set in which others follow, or the same one again.
        seeds.push(json!({ "keys": [jwk, 7, { "kty": "AKP" }, jwk] }).to_string().into_bytes());
    }
    run("keys", doors::keys, seeds);
}

#[test]
fn cookies() {
    let mut seeds = texts(&[
        "session=$",
        "a=1; session=$; b=2",
        "session=$;session=$",
        "session=$\nsession=$",
        "session=$\nsession=",
        "session=",
        "session=\"$\"",
        "Session=$",
        "session =$",
        "__Host-session=$",
        ";;;=;session",
        "session=x$",
        "session=$;\tsession=a.b.c",
        "session=\u{e9}",
    ]);
    seeds.push([b"a=1;".repeat(15_000), b"session=$".to_vec()].concat());
    seeds.push([b"a=1;".repeat(17_000), b"session=$".to_vec()].concat());
    seeds.extend(tokens().iter().map(|token| format!("session={token}").into_bytes()));
    run("cookies", doors::cookies, seeds);
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn nested(begin: &[u8]) -> Vec<u8> {
    [begin, &b"[".repeat(3000), &b"]".repeat(3000), b"}"].concat()
}

/// What is at hand of the third-party vectors.
fn vectors() -> Vec<Value> {
    let Some(folder) = std::env::var_os("KEYGATE_VECTORS").map(PathBuf::from) else {
        return Vec::new();
    };
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    VECTORS.iter().map(|name| serde_json::from_str(&read(name)).unwrap()).collect()
}

/// All texts in the vectors that have the form of a token.
fn tokens() -> Vec<String> {
    let mut found = Vec::new();
    vectors().iter().for_each(|file| with_dots(file, &mut found));
    found
}

fn with_dots(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.matches('.').count() == 2 && !text.contains(' ') => {
            found.push(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| with_dots(value, found)),
        Value::Object(members) => members.values().for_each(|value| with_dots(value, found)),
        _ => {}
    }
}

fn with_kty(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(members) if members.contains_key("kty") => found.push(value.clone()),
        Value::Array(values) => values.iter().for_each(|value| with_kty(value, found)),
        Value::Object(members) => members.values().for_each(|value| with_kty(value, found)),
        _ => {}
    }
}

fn part(token: &str, n: usize) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(n)?).ok()
}
