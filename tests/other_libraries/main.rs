//! Tokens that other libraries have signed, with keys that they have written as JWKs: `jose` on
//! Node.js, `PyJWT`, `joserfc` and `jwcrypto` on Python.
//!
//! The libraries come from npm and PyPI; where they can't be had, their tests are shown as ignored,
//! with the reason.
#![allow(clippy::unwrap_used)]

#[path = "../common/wire.rs"]
mod wire;

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use http::StatusCode;
use keygate::jwt::{JwtErrorKind, JwtKey, JwtVerifier};
use keygate::{AuthLayer, ManualClock, Timestamp};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use support::{Node, Python, output, services_required};
use tower::Layer;
use wire::{AUDIENCE, ISSUER, NOW, bearer, call, counted, counter};

/// Each of the verifier's, by all of its names.
const SUPPORTED: [&str; 13] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "EdDSA", "Ed25519",
];
const UNSUPPORTED: &str = "ES512";

/// A library, whether it knows `Ed25519` by that name, and how it is run.
struct Library {
    name: &'static str,
    names_ed25519: bool,
    script: fn() -> Result<Command, String>,
}

const LIBRARIES: [Library; 4] = [
    Library { name: "jose", names_ed25519: true, script: on_node },
    Library { name: "pyjwt", names_ed25519: false, script: || on_python("pyjwt") },
    Library { name: "joserfc", names_ed25519: true, script: || on_python("joserfc") },
    Library { name: "jwcrypto", names_ed25519: true, script: || on_python("jwcrypto") },
];

fn on_node() -> Result<Command, String> {
    static NODE: OnceLock<Result<Node, String>> = OnceLock::new();
    let node = NODE.get_or_init(Node::with_packages).as_ref()?;
    Ok(node.script(include_str!("mint.mjs")))
}

fn on_python(library: &str) -> Result<Command, String> {
    static PYTHON: OnceLock<Result<Python, String>> = OnceLock::new();
    let python = PYTHON.get_or_init(Python::with_packages).as_ref()?;
    let mut script = python.script(include_str!("mint.py"));
    script.arg(library);
    Ok(script)
}

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, LIBRARIES.iter().flat_map(trials).collect()).exit();
}

fn trials(library: &Library) -> Vec<Trial> {
    let minted = Minted::new(library);
    let algorithms = SUPPORTED.into_iter().filter(|alg| *alg != "Ed25519" || library.names_ed25519);
    let mut trials: Vec<_> = algorithms
        .map(|alg| minted.trial(alg, "is accepted", move |minted| is_accepted(minted.of(alg)?)))
        .collect();
    trials.push(minted.trial(UNSUPPORTED, "is refused", is_refused));
    trials
}

// ---- What a library has signed ------------------------------------------------------------------

/// The library's tokens, by their algorithms; it is run when the first of them is asked for.
#[derive(Clone)]
struct Minted(Arc<Lazy>);

struct Lazy {
    library: &'static str,
    algorithms: Vec<&'static str>,
    script: fn() -> Result<Command, String>,
    tokens: OnceLock<Result<HashMap<String, Value>, String>>,
}

impl Minted {
    fn new(library: &Library) -> Self {
        let named = |alg: &&str| *alg != "Ed25519" || library.names_ed25519;
        let algorithms = SUPPORTED.into_iter().filter(named).chain([UNSUPPORTED]).collect();
        let (library, script) = (library.name, library.script);
        Self(Arc::new(Lazy { library, algorithms, script, tokens: OnceLock::new() }))
    }

    fn trial(
        &self,
        alg: &str,
        outcome: &str,
        test: impl FnOnce(&Self) -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        let minted = self.clone();
        let trial = Trial::test(format!("{alg} {outcome}"), move || test(&minted));
        match (self.0.script)().err().filter(|_| !services_required()) {
            Some(why) => {
                trial.with_kind(format!("{}: {why}", self.0.library)).with_ignored_flag(true)
            }
            None => trial.with_kind(self.0.library),
        }
    }

    fn of(&self, alg: &str) -> Result<&Value, Failed> {
        let tokens = self.0.tokens.get_or_init(|| self.run());
        Ok(tokens.as_ref()?.get(alg).ok_or("not minted")?)
    }

    fn run(&self) -> Result<HashMap<String, Value>, String> {
        let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 600 });
        let mut script = (self.0.script)()?;
        let lines = output(script.arg(claims.to_string()).args(&self.0.algorithms))?;
        let minted = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        Ok(minted.map(|minted| (minted["alg"].as_str().unwrap().to_owned(), minted)).collect())
    }
}

// ---- What becomes of it ---------------------------------------------------------------------------

fn is_accepted(minted: &Value) -> Result<(), Failed> {
    let (key, token) = (minted["jwk"].to_string(), minted["token"].as_str().unwrap());
    let verifier = JwtVerifier::builder(ISSUER, AUDIENCE).key(JwtKey::jwk(&key)?).build()?;
    let now = Timestamp::from_secs(NOW);
    if verifier.verify(token, now)?.subject() != "ann" {
        return Err("another subject".into());
    }
    // The signature is what is looked at.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    match verifier.verify(&format!("{signed}.{other}{}", &signature[1..]), now) {
        Err(error) if error.kind() == JwtErrorKind::Signature => Ok(()),
        other => Err(format!("with another signature: {other:?}").into()),
    }
}

/// The key can't be configured, and the token opens no gate that has other keys.
fn is_refused(minted: &Minted) -> Result<(), Failed> {
    let strange = minted.of(UNSUPPORTED)?;
    if let Ok(key) = JwtKey::jwk(&strange["jwk"].to_string()) {
        return Err(format!("its key is taken for {}", key.algorithm()).into());
    }
    let key = JwtKey::jwk(&minted.of("ES384")?["jwk"].to_string())?.with_kid(UNSUPPORTED);
    let verifier = JwtVerifier::builder(ISSUER, AUDIENCE).key(key).build()?;
    let (calls, clock) = (counter(), ManualClock::new(Timestamp::from_secs(NOW)));
    let gate = AuthLayer::tokens_only(verifier).clock(clock).layer(counted(&calls));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let answer = runtime.block_on(call(&gate, bearer(strange["token"].as_str().unwrap())));
    match (answer.status, wire::count(&calls)) {
        (StatusCode::UNAUTHORIZED, 0) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}
