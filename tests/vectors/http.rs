//! The vectors once more, each sent to a gate of its own over one connection.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
use keygate::{AuthLayer, ConfigError, GateBody, ManualClock, Rejection};
use libtest_mimic::{Failed, Trial};
use support::{Answer, Client};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::wire::serve;
use crate::{Case, NOW, check};

/// Why the gate refused: told to the test, never to a client.
const CAUSE: &str = "x-cause";

pub(crate) fn trial(file: &str, cases: Vec<Case>) -> Trial {
    let run = move || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap().block_on(send(&cases))
    };
    Trial::test("all of them over HTTP", run).with_kind(file)
}

async fn send(cases: &[Case]) -> Result<(), Failed> {
    log::keep();
    let gates: Result<Vec<_>, _> = cases.iter().map(gate).collect();
    let client = Client::new(serve(served(gates?)).await);
    let mut wrong = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let answer = client.get(&format!("/{n}")).bearer(&case.token).send().await;
        if let Err(why) = judge(case, &answer) {
            wrong.push(format!("{}: {}", case.name, why.message().unwrap_or_default()));
        }
    }
    let log = log::so_far();
    let logged = |case: &&Case| !case.token.is_empty() && log.contains(&case.token);
    wrong.extend(cases.iter().filter(logged).map(|case| format!("{}: logged", case.name)));
    check(wrong.is_empty(), wrong.join("\n"))
}

/// Refused, for the reason that the verifier gives when it is asked without a gate. What can't stand
/// behind `Bearer`, or has no dot, never reaches it.
fn judge(case: &Case, answer: &Answer) -> Result<(), Failed> {
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let refused = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED].contains(&answer.status);
    check(refused, format!("{} {body}", answer.status))?;
    check(answer.header("www-authenticate").is_some(), "no challenge".to_owned())?;
    check(!body.contains(&case.token) || case.token.is_empty(), format!("told: {body}"))?;
    let given = answer.header(CAUSE);
    let alone = verifier(case)?.verify(&case.token, NOW).err().map(|error| error.to_string());
    let is_same = given == alone.as_deref() || given.is_none() && !looks_like_a_token(&case.token);
    check(is_same, format!("refused over HTTP for {given:?}, else for {alone:?}"))
}

/// RFC 6750 section 2.1.
fn looks_like_a_token(text: &str) -> bool {
    let is_b64token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    text.contains('.') && text.chars().all(is_b64token)
}

/// The gates, each at the path of its number, and with what they refused for in a header.
fn served(
    gates: Vec<AuthLayer>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<GateBody<Full<Bytes>>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send {
    let inner = service_fn(async |_: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new(Full::from("reached")))
    });
    let gates: Arc<[_]> = gates.into_iter().map(|gate| gate.layer(inner)).collect();
    service_fn(move |request: Request<Incoming>| {
        let n: usize = request.uri().path()[1..].parse().unwrap();
        let answer = gates[n].clone().oneshot(request);
        async move { answer.await.map(with_cause) }
    })
}

fn with_cause<B>(mut answer: Response<B>) -> Response<B> {
    let cause = answer.extensions().get::<Rejection>().and_then(Error::source);
    if let Some(cause) = cause.map(|cause| HeaderValue::try_from(cause.to_string()).unwrap()) {
        answer.headers_mut().insert(CAUSE, cause);
    }
    answer
}

fn gate(case: &Case) -> Result<AuthLayer, ConfigError> {
    Ok(AuthLayer::tokens_only(verifier(case)?).clock(ManualClock::new(NOW)))
}

/// Where a key is refused at start-up, a gate has another one: its tokens open that neither.
fn verifier(case: &Case) -> Result<JwtVerifier, ConfigError> {
    case.verifier().or_else(|_| {
        let key = JwtKey::secret(Algorithm::HS256, "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1")?;
        JwtVerifier::builder("https://issuer.example", "api").key(key).build()
    })
}

/// What the gates have logged.
#[cfg(feature = "tracing")]
mod log {
    use std::io::Write;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    fn log() -> MutexGuard<'static, Vec<u8>> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner)
    }

    struct Log;

    impl Write for Log {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            log().write(line)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// For all trials of this process; the first one begins.
    pub(super) fn keep() {
        let _ = tracing_subscriber::fmt().with_writer(|| Log).try_init();
    }

    pub(super) fn so_far() -> String {
        let log = String::from_utf8(log().clone()).unwrap();
        assert!(log.contains("refused"), "nothing is logged: {log}");
        log
    }
}

#[cfg(not(feature = "tracing"))]
mod log {
    pub(super) fn keep() {}

    pub(super) fn so_far() -> String {
        String::new()
    }
}
