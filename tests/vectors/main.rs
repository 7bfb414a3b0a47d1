//! Third-party vectors: Wycheproof's signatures and key sets, and the examples of the RFCs. Each is
//! put to a verifier, and sent to a gate over HTTP.
//!
//! They are not part of this repository: `KEYGATE_VECTORS` names a folder with
//! `wycheproof/json_web_signature_test.json`, `wycheproof/json_web_key_test.json`, `rfc/rfc.json`
//! and `rfc/rfc7520.json`. Without it every corpus is shown as ignored.
#![allow(clippy::unwrap_used)]

mod corpora;
mod http;
#[path = "../common/wire.rs"]
mod wire;

use std::path::{Path, PathBuf};

use corpora::{CORPORA, Case, cases};
use keygate::Timestamp;
use libtest_mimic::{Arguments, Failed, Trial};

/// When the tokens of the RFCs were good.
const NOW: Timestamp = Timestamp::from_secs(1_300_819_000);

fn main() {
    let arguments = Arguments::from_args();
    let trials = match std::env::var_os("KEYGATE_VECTORS") {
        Some(folder) => trials(&PathBuf::from(folder)),
        None => CORPORA.iter().map(|corpus| ignored(corpus.file)).collect(),
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn ignored(name: &str) -> Trial {
    let not_set = "KEYGATE_VECTORS is not set";
    Trial::test(name, move || Err(not_set.into())).with_kind(not_set).with_ignored_flag(true)
}

fn trials(folder: &Path) -> Vec<Trial> {
    let mut trials = Vec::new();
    for corpus in &CORPORA {
        let cases = cases(folder, corpus);
        trials.push(count(corpus.file, corpus.counts, &cases));
        trials.extend(cases.iter().cloned().map(|case| alone(corpus.file, case)));
        trials.push(http::trial(corpus.file, cases));
    }
    trials
}

/// Guards the expectations themselves against a changed corpus.
fn count(file: &str, expected: (usize, usize), cases: &[Case]) -> Trial {
    let found = (cases.len(), cases.iter().filter(|case| case.accept).count());
    let (all, accepted) = expected;
    Trial::test(format!("{accepted} of {all} are to be accepted"), move || {
        check(found == expected, format!("found {} of {}", found.1, found.0))
    })
    .with_kind(file)
}

fn alone(file: &str, case: Case) -> Trial {
    Trial::test(case.name.clone(), move || judge(&case)).with_kind(file)
}

fn judge(case: &Case) -> Result<(), Failed> {
    let verifier = match case.verifier() {
        Ok(verifier) => verifier,
        Err(error) => return check(!case.accept, format!("key refused: {error}")),
    };
    // None of the payloads is a claims set for this service.
    check(verifier.verify(&case.token, NOW).is_err(), "admitted as claims".to_owned())?;
    match verifier.verify_signature(&case.token) {
        Ok(_) => check(case.accept, "accepted".to_owned()),
        Err(error) => check(!case.accept, format!("refused: {error}")),
    }
}

fn check(good: bool, what: String) -> Result<(), Failed> {
    if good { Ok(()) } else { Err(what.into()) }
}
