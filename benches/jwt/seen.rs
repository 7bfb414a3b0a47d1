//! Tokens that were seen before, through a gate and through a cache by hand.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use keygate::jwt::{JwtKey, JwtVerifier};
use keygate::{AuthLayer, Policy};
use tower::{Layer, Service};

use crate::floor::{Caller, Floor, unix_time};
use crate::harness::{Case, Rounds};
use crate::tokens::{AUDIENCE, ISSUER, Issuer};
use crate::{Row, SEEN};

const NEEDED: &str = "read:orders";
/// So many tokens take turns.
const TOKENS: usize = 64;

type Call = Request<Full<Bytes>>;
type Answered = Result<Response<Full<Bytes>>, Infallible>;

#[derive(Clone)]
struct Hello;

impl Service<Call> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Answered>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Call) -> Self::Future {
        drop(std::hint::black_box(request));
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
    }
}

type Seen = papaya::HashMap<Box<str>, Arc<Caller>, hashbrown::DefaultHashBuilder>;

/// A map by the whole token with a keyed fast hash, scope and expiry judged each time.
#[derive(Clone)]
struct Remembers {
    inner: Hello,
    seen: Arc<Seen>,
}

#[derive(Clone)]
struct Known(#[allow(dead_code, reason = "for a handler to read")] Arc<Caller>);

impl Remembers {
    fn admit(&self, request: &Call) -> Option<Arc<Caller>> {
        let token = request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let seen = self.seen.pin();
        let caller = seen.get(token)?;
        let good = unix_time() < caller.expires && caller.scope.split(' ').any(|s| s == NEEDED);
        good.then(|| Arc::clone(caller))
    }
}

impl Service<Call> for Remembers {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Answered>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Call) -> Self::Future {
        let Some(caller) = self.admit(&request) else {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            return ready(Ok(response));
        };
        request.extensions_mut().insert(Known(caller));
        self.inner.call(request)
    }
}

fn case<S, B>(name: &'static str, mut service: S, tokens: &[HeaderValue]) -> Case
where
    S: Service<Call, Response = Response<B>, Error = Infallible> + 'static,
{
    let (tokens, mut next) = (tokens.to_vec(), 0);
    Case::new(name, move || {
        let mut request = Request::new(Full::default());
        request.headers_mut().insert(HOST, HeaderValue::from_static("api.example.com"));
        request.headers_mut().insert(AUTHORIZATION, tokens[next].clone());
        next = (next + 1) % tokens.len();
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(service.poll_ready(cx).is_ready());
        let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(cx) else {
            panic!("{name}: not answered at once");
        };
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        drop(std::hint::black_box(response));
    })
}

pub(crate) fn run(rounds: usize, times: u32) -> Vec<Row> {
    let mut rows = Vec::new();
    println!("| seen before | by hand, ns added | gate, ns added | ratio | allocations added |");
    println!("| --- | ---: | ---: | ---: | --- |");
    for issuer in Issuer::NAMES.map(Issuer::new) {
        let mut cases = cases(&issuer);
        let allocations: Vec<_> = cases.iter_mut().map(Case::allocations).collect();
        let measured = Rounds::run(&mut cases, rounds, times);
        let added = |case: usize| measured.median(|round| round[case] - round[0]);
        let ratio = measured.median(|round| (round[2] - round[0]) / (round[1] - round[0]));
        println!(
            "| {} | {:.0} | {:.0} | {ratio:.2} | {}, {} |",
            issuer.name,
            added(1),
            added(2),
            allocations[1] - allocations[0],
            allocations[2] - allocations[0],
        );
        rows.push(Row {
            what: format!("{}, seen before", issuer.name),
            ratio,
            bound: SEEN,
            allocations: allocations[2] as i64 - allocations[1] as i64,
        });
    }
    println!();
    rows
}

pub(crate) fn cases(issuer: &Issuer) -> [Case; 3] {
    let tokens: Vec<_> = (0..TOKENS).map(|index| issuer.token(index)).collect();
    let headers: Vec<_> = tokens
        .iter()
        .map(|token| HeaderValue::try_from(format!("Bearer {token}")).unwrap())
        .collect();
    let floor = Floor::new(issuer);
    let seen = Seen::default();
    for token in &tokens {
        seen.pin().insert(token.as_str().into(), floor.verify(token).unwrap());
    }
    let remembers = Remembers { inner: Hello, seen: Arc::new(seen) };
    [
        case("seen: bare", Hello, &headers),
        case("seen: floor", remembers, &headers),
        case("seen: gate", gate(issuer), &headers),
    ]
}

fn gate(issuer: &Issuer) -> keygate::Auth<Hello> {
    let key = match issuer.secret() {
        Some(secret) => JwtKey::secret(issuer.algorithm, secret),
        None => JwtKey::der(issuer.algorithm, &issuer.public_key()),
    };
    let verifier = JwtVerifier::builder(ISSUER, AUDIENCE).key(key.unwrap()).build().unwrap();
    AuthLayer::tokens_only(verifier).require(Policy::all_of([NEEDED]).unwrap()).layer(Hello)
}
