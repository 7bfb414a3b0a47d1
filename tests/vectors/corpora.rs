//! What the files say, and what is to come of it.

use std::fs;
use std::path::Path;

use keygate::ConfigError;
use keygate::jwt::{JwtKey, JwtVerifier};
use serde_json::Value;

/// The vectors call these two invalid for their padding, but they are the bytes of the valid 357.
const SAME_AS_A_VALID_ONE: [u64; 2] = [367, 370];

/// Valid by the vectors, but:
/// 346 and 350 have a key for PS256 and a header with PS384; 347 and 351 a key for `ES521`, which is
/// no algorithm, and a header with ES512, which is not supported; 372 and 373 hold a `?`.
const MISLABELLED: [u64; 6] = [346, 347, 350, 351, 372, 373];

/// A modulus with the ROCA weakness, which nothing but a fingerprint of its own would show.
const ROCA: u64 = 7;

/// A token, the keys that judge it, and whether its signature is to be accepted.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) keys: Vec<Value>,
    pub(crate) token: String,
    pub(crate) accept: bool,
}

impl Case {
    pub(crate) fn verifier(&self) -> Result<JwtVerifier, ConfigError> {
        let keys: Result<Vec<_>, _> =
            self.keys.iter().map(|key| JwtKey::jwk(&key.to_string())).collect();
        JwtVerifier::builder("https://issuer.example", "api").keys(keys?).build()
    }
}

/// A file of vectors.
pub(crate) struct Corpus {
    pub(crate) file: &'static str,
    read: fn(&Value) -> Vec<Case>,
    /// How many cases there are, and how many of them are to be accepted.
    pub(crate) counts: (usize, usize),
}

pub(crate) const CORPORA: [Corpus; 4] = [
    Corpus { file: "wycheproof/json_web_signature_test.json", read: signatures, counts: (401, 42) },
    // Five are valid, and the one with the ROCA weakness can't be told from them.
    Corpus { file: "wycheproof/json_web_key_test.json", read: key_sets, counts: (26, 6) },
    Corpus { file: "rfc/rfc.json", read: rfc_examples, counts: (6, 4) },
    Corpus { file: "rfc/rfc7520.json", read: rfc_cookbook, counts: (28, 4) },
];

pub(crate) fn cases(folder: &Path, corpus: &Corpus) -> Vec<Case> {
    let path = folder.join(corpus.file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    (corpus.read)(&serde_json::from_str(&text).unwrap())
}

// ---- Wycheproof -------------------------------------------------------------------------------

fn signatures(file: &Value) -> Vec<Case> {
    let case = |(group, test): (&Value, &Value)| Case {
        name: name(test),
        keys: vec![public_half(group).clone()],
        token: token(test),
        accept: is_acceptable(test),
    };
    tests(file).map(case).collect()
}

fn is_acceptable(test: &Value) -> bool {
    let valid = is_valid(test) || SAME_AS_A_VALID_ONE.contains(&id(test));
    valid && !MISLABELLED.contains(&id(test))
}

fn key_sets(file: &Value) -> Vec<Case> {
    let case = |(group, test): (&Value, &Value)| Case {
        name: name(test),
        keys: public_half(group)["keys"].as_array().unwrap().clone(),
        token: token(test),
        accept: is_valid(test) || id(test) == ROCA,
    };
    tests(file).map(case).collect()
}

fn tests(file: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let groups = file["testGroups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["tests"].as_array().unwrap().iter().map(move |test| (group, test)))
}

fn public_half(group: &Value) -> &Value {
    group.get("public").unwrap_or(&group["private"])
}

fn id(test: &Value) -> u64 {
    test["tcId"].as_u64().unwrap()
}

fn name(test: &Value) -> String {
    format!("{} {}", id(test), test["comment"].as_str().unwrap())
}

fn token(test: &Value) -> String {
    match &test["jws"] {
        Value::String(compact) => compact.clone(),
        other => other.to_string(),
    }
}

fn is_valid(test: &Value) -> bool {
    test["result"] == "valid"
}

// ---- RFC 7515, 8037, 7520, 7797 -----------------------------------------------------------------

fn rfc_examples(file: &Value) -> Vec<Case> {
    let cases = file["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let mut jwk = case["jwk"].clone();
            match jwk["kty"].as_str() {
                Some("oct") => jwk["alg"] = "HS256".into(),
                Some("RSA") => jwk["alg"] = "RS256".into(),
                _ => {}
            }
            let es512 = jwk["crv"] == "P-521";
            Case {
                name: case["id"].as_str().unwrap().to_owned(),
                keys: vec![jwk],
                token: case["token"].as_str().unwrap().to_owned(),
                accept: case["expect"] == "accept" && !es512,
            }
        })
        .collect()
}

fn rfc_cookbook(file: &Value) -> Vec<Case> {
    file["cases"].as_array().unwrap().iter().flat_map(cookbook_case).collect()
}

/// The compact form is accepted where its algorithm is supported, its content attached and encoded;
/// the JSON serializations never.
fn cookbook_case(case: &Value) -> Vec<Case> {
    let id = case["id"].as_str().unwrap();
    let keys: Vec<_> = match &case["jwk"] {
        Value::Array(keys) => keys.clone(),
        key => vec![labelled(key, &case["alg"])],
    };
    let of = |form: &str, token: String, accept| {
        let (name, keys) = (format!("{id} {form}"), keys.clone());
        Case { name, keys, token, accept }
    };
    let accepted = !["4_3.", "4_5.", "b64_false"].iter().any(|part| id.contains(part));
    let compact = case["compact"].as_str();
    let mut cases: Vec<_> =
        compact.map(|token| of("compact", token.to_owned(), accepted)).into_iter().collect();
    for form in ["json", "json_flat"] {
        if case[form].is_object() {
            cases.push(of(form, case[form].to_string(), false));
        }
    }
    cases
}

fn labelled(jwk: &Value, alg: &Value) -> Value {
    let mut jwk = jwk.clone();
    if jwk["alg"].is_null() && alg.is_string() {
        jwk["alg"] = alg.clone();
    }
    jwk
}
