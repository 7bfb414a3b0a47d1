//! Third-party vectors: Wycheproof's signatures and key sets, and the examples of the RFCs.
//!
//! They are not part of this repository: `KEYGATE_VECTORS` names a folder with
//! `wycheproof/json_web_signature_test.json`, `wycheproof/json_web_key_test.json`, `rfc/rfc.json`
//! and `rfc/rfc7520.json`. Without it every corpus is shown as ignored.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use keygate::jwt::{JwtKey, JwtVerifier};
use keygate::{ConfigError, Timestamp};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// The vectors call these two invalid for their padding, but they are the bytes of the valid 357.
const SAME_AS_A_VALID_ONE: [u64; 2] = [367, 370];

/// Valid by the vectors, but:
/// 346 and 350 have a key for PS256 and a header with PS384; 347 and 351 a key for `ES521`, which is
/// no algorithm, and a header with ES512, which is not supported; 372 and 373 hold a `?`.
const MISLABELLED: [u64; 6] = [346, 347, 350, 351, 372, 373];

/// A modulus with the ROCA weakness, which nothing but a fingerprint of its own would show.
const ROCA: u64 = 7;

const CORPORA: [(&str, Corpus); 4] = [
    ("wycheproof/json_web_signature_test.json", signatures),
    ("wycheproof/json_web_key_test.json", key_sets),
    ("rfc/rfc.json", rfc_examples),
    ("rfc/rfc7520.json", rfc_cookbook),
];

type Corpus = fn(&Value) -> Vec<Trial>;

fn main() {
    let arguments = Arguments::from_args();
    let trials = match std::env::var_os("KEYGATE_VECTORS") {
        Some(folder) => trials(&PathBuf::from(folder)),
        None => CORPORA.into_iter().map(|(name, _)| ignored(name)).collect(),
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn ignored(name: &str) -> Trial {
    let not_set = "KEYGATE_VECTORS is not set";
    Trial::test(name, move || Err(not_set.into())).with_kind(not_set).with_ignored_flag(true)
}

fn trials(folder: &Path) -> Vec<Trial> {
    CORPORA.into_iter().flat_map(|(name, corpus)| corpus(&read(&folder.join(name)))).collect()
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

// ---- Wycheproof -------------------------------------------------------------------------------

fn signatures(file: &Value) -> Vec<Trial> {
    let cases: Vec<_> = cases(file).collect();
    let mut trials: Vec<_> = cases
        .iter()
        .map(|(group, test)| {
            let keys = vec![public_half(group).clone()];
            trial("wycheproof-signature", &name(test), keys, &token(test), is_acceptable(test))
        })
        .collect();
    trials.push(count("wycheproof-signature", &cases, 401, 42, is_acceptable));
    trials
}

fn is_acceptable(test: &Value) -> bool {
    let valid = is_valid(test) || SAME_AS_A_VALID_ONE.contains(&id(test));
    valid && !MISLABELLED.contains(&id(test))
}

fn key_sets(file: &Value) -> Vec<Trial> {
    let cases: Vec<_> = cases(file).collect();
    let mut trials: Vec<_> = cases
        .iter()
        .map(|(group, test)| {
            let keys = public_half(group)["keys"].as_array().unwrap().clone();
            let accept = is_valid(test) || id(test) == ROCA;
            trial("wycheproof-key-set", &name(test), keys, &token(test), accept)
        })
        .collect();
    trials.push(count("wycheproof-key-set", &cases, 26, 5, is_valid));
    trials
}

fn cases(file: &Value) -> impl Iterator<Item = (&Value, &Value)> {
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

/// Guards the expectations themselves against a changed corpus.
fn count(
    kind: &str,
    cases: &[(&Value, &Value)],
    all: usize,
    accepted: usize,
    accept: fn(&Value) -> bool,
) -> Trial {
    let found = (cases.len(), cases.iter().filter(|(_, test)| accept(test)).count());
    Trial::test(format!("{accepted} of {all} are to be accepted"), move || {
        check(found == (all, accepted), format!("found {} of {}", found.1, found.0))
    })
    .with_kind(kind)
}

// ---- RFC 7515, 8037, 7520, 7797 -----------------------------------------------------------------

fn rfc_examples(file: &Value) -> Vec<Trial> {
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
            let accept = case["expect"] == "accept" && !es512;
            let token = case["token"].as_str().unwrap();
            trial("rfc", case["id"].as_str().unwrap(), vec![jwk], token, accept)
        })
        .collect()
}

fn rfc_cookbook(file: &Value) -> Vec<Trial> {
    file["cases"].as_array().unwrap().iter().flat_map(cookbook_case).collect()
}

/// The compact form is accepted where its algorithm is supported, its content attached and encoded;
/// the JSON serializations never.
fn cookbook_case(case: &Value) -> Vec<Trial> {
    let id = case["id"].as_str().unwrap();
    let keys: Vec<_> = match &case["jwk"] {
        Value::Array(keys) => keys.clone(),
        key => vec![labelled(key, &case["alg"])],
    };
    let accepted = !["4_3.", "4_5.", "b64_false"].iter().any(|part| id.contains(part));
    let mut trials = Vec::new();
    if let Some(compact) = case["compact"].as_str() {
        trials.push(trial("rfc7520", &format!("{id} compact"), keys.clone(), compact, accepted));
    }
    for form in ["json", "json_flat"] {
        if case[form].is_object() {
            let text = case[form].to_string();
            trials.push(trial("rfc7520", &format!("{id} {form}"), keys.clone(), &text, false));
        }
    }
    trials
}

fn labelled(jwk: &Value, alg: &Value) -> Value {
    let mut jwk = jwk.clone();
    if jwk["alg"].is_null() && alg.is_string() {
        jwk["alg"] = alg.clone();
    }
    jwk
}

// ---- The check ----------------------------------------------------------------------------------

fn trial(kind: &str, name: &str, keys: Vec<Value>, token: &str, accept: bool) -> Trial {
    let token = token.to_owned();
    Trial::test(name, move || judge(&keys, &token, accept)).with_kind(kind)
}

fn judge(keys: &[Value], token: &str, accept: bool) -> Result<(), Failed> {
    let verifier = match verifier(keys) {
        Ok(verifier) => verifier,
        Err(error) => return check(!accept, format!("key refused: {error}")),
    };
    // None of the payloads is a claims set for this service.
    let now = Timestamp::from_secs(1_300_819_000);
    check(verifier.verify(token, now).is_err(), "admitted as claims".to_owned())?;
    match verifier.verify_signature(token) {
        Ok(_) => check(accept, "accepted".to_owned()),
        Err(error) => check(!accept, format!("refused: {error}")),
    }
}

fn verifier(keys: &[Value]) -> Result<JwtVerifier, ConfigError> {
    let keys: Result<Vec<_>, _> = keys.iter().map(|key| JwtKey::jwk(&key.to_string())).collect();
    JwtVerifier::builder("https://issuer.example", "api").keys(keys?).build()
}

fn check(good: bool, what: String) -> Result<(), Failed> {
    if good { Ok(()) } else { Err(what.into()) }
}
