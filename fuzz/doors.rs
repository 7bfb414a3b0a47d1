//! What becomes of any bytes: each function takes them in one place where strangers can put some, and
//! panics when what the crate makes of them is not what another, slower reading allows.
//!
//! The fuzz targets call these functions, and the test `fuzz_corpus` does with known bytes.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderValue};
use keygate::jwt::remote::RemoteKeys;
use keygate::jwt::{Algorithm, Jwks, JwtKey, JwtVerifier, VerifiedToken};
use keygate::{AuthLayer, Authenticator, ManualClock, RejectionKind, Source, Timestamp};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

pub const NOW: u64 = 1_800_000_000;
pub const ISSUER: &str = "https://id.example.com";
pub const AUDIENCE: &str = "orders";
const SECRET: &str = "kX3uV9qLw7ZrT1yNb5MhC8sDf2GjP4aE";
const HEADER: &str = r#"{"alg":"HS256"}"#;
const CLAIMS: &str =
    r#"{"iss":"https://id.example.com","aud":"orders","sub":"ann","exp":1800000600}"#;
/// The default of a verifier.
const LEEWAY: f64 = 30.0;
/// Stands for a good token in the bytes of cookies: nobody guesses a signature.
pub const GOOD: u8 = b'$';

static VERIFIER: LazyLock<JwtVerifier> = LazyLock::new(|| {
    let key = JwtKey::secret(Algorithm::HS256, SECRET).expect("a secret of 32 bytes");
    JwtVerifier::builder(ISSUER, AUDIENCE).key(key).build().expect("a verifier with a key")
});

static GATE: LazyLock<Authenticator> = LazyLock::new(|| {
    let source = Source::cookie("session").expect("a cookie's name");
    let gate = AuthLayer::tokens_only(VERIFIER.clone()).sources([source]).expect("one source");
    gate.clock(ManualClock::new(Timestamp::from_secs(NOW))).into_authenticator()
});

static TOKEN: LazyLock<String> = LazyLock::new(|| signed(HEADER.as_bytes(), CLAIMS.as_bytes()));

/// The bytes are a header that somebody has signed.
pub fn header(bytes: &[u8]) {
    if verify(&signed(bytes, CLAIMS.as_bytes())).is_none() {
        return;
    }
    let header = members(bytes).assert_unique(None);
    assert_eq!(header.text("alg").as_deref(), Some("HS256"));
    assert!(!header.has("crit"));
    assert!(!header.has("kid") || header.text("kid").is_some());
    let typ = header.has("typ").then(|| header.text("typ").expect("typ is text"));
    let typ = typ.map(|typ| typ.to_ascii_lowercase());
    let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    assert!(matches!(typ, None | Some("jwt" | "at+jwt")), "{typ:?}");
}

/// The bytes are claims that the issuer has signed.
pub fn claims(bytes: &[u8]) {
    let Some(token) = verify(&signed(HEADER.as_bytes(), bytes)) else { return };
    let claims = members(bytes).assert_unique(None);
    let now = NOW as f64;
    let time = |name: &str| claims.has(name).then(|| claims.get::<f64>(name).expect("a number"));
    assert_eq!(claims.text("iss").as_deref(), Some(ISSUER));
    assert!(match claims.get("aud") {
        Some(Value::Array(names)) => names.iter().any(|name| name == AUDIENCE),
        name => name == Some(Value::from(AUDIENCE)),
    });
    assert_eq!(claims.text("sub").as_deref(), Some(token.subject()));
    assert!(!token.subject().is_empty());
    assert!(time("exp").expect("exp is there") > now - LEEWAY);
    assert!(time("nbf").is_none_or(|nbf| nbf < now + LEEWAY + 1.0));
    assert_eq!(claims.text("jti").as_deref(), token.id());
    assert_eq!(claims.text("tenant").as_deref(), token.tenant().map(|tenant| tenant.as_str()));
}

/// Members of a JWK that say something of the key that verifies.
const READ: [&str; 11] = ["kty", "alg", "use", "key_ops", "kid", "crv", "k", "n", "e", "x", "y"];

/// What an issuer may publish keys for.
const PUBLIC: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The bytes are a key, or a set of keys, that an issuer publishes.
pub fn keys(bytes: &[u8]) {
    key_set(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = JwtKey::jwk(text) {
        single(key, members(bytes).assert_unique(Some(&READ)));
    }
}

fn single(key: JwtKey, jwk: Members) {
    let is = |name: &str, value: &str| jwk.text(name).is_some_and(|found| found == value);
    let (kty, curve) = match key.algorithm() {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => ("oct", None),
        Algorithm::ES256 => ("EC", Some("P-256")),
        Algorithm::ES384 => ("EC", Some("P-384")),
        Algorithm::EdDSA => ("OKP", Some("Ed25519")),
        _ => ("RSA", None),
    };
    assert!(is("kty", kty), "{:?} for {}", jwk.text("kty"), key.algorithm());
    assert!(curve.is_none_or(|curve| is("crv", curve)));
    assert!(is("use", "sig") || jwk.get::<Value>("use").is_none_or(|usage| usage.is_null()));
    let secret = jwk.text("k").unwrap_or_default();
    // An id may be anything, and is no secret.
    let shown = format!("{:?}", key.clone().with_kid("1"));
    assert!(secret.is_empty() || !shown.contains(&secret));
    // It can be configured, unless its id can't; and no token that it has not signed is good.
    if let Ok(verifier) = JwtVerifier::builder(ISSUER, AUDIENCE).key(key).build() {
        let verified = verifier.verify(&TOKEN, Timestamp::from_secs(NOW));
        assert!(verified.is_err() || secret == encoded(SECRET));
    }
}

/// One bad key spoils no other; each is used or skipped, and none is a secret.
fn key_set(bytes: &[u8]) {
    let Ok(set) = Jwks::parse(bytes, &PUBLIC) else { return };
    let listed: Vec<Box<RawValue>> = members(bytes).get("keys").expect("keys is a list");
    assert!(set.skipped().len() <= listed.len());
    assert!(set.keys().iter().all(|key| PUBLIC.contains(&key.algorithm())));
    let keys = RemoteKeys::pushed(set);
    let verifier = JwtVerifier::builder(ISSUER, AUDIENCE).remote_keys(keys).build();
    let verifier = verifier.expect("a verifier with pushed keys");
    assert!(verifier.verify(&TOKEN, Timestamp::from_secs(NOW)).is_err());
}

/// The bytes are lines of cookies, in which [`GOOD`] stands for a good token.
pub fn cookies(bytes: &[u8]) {
    let good = TOKEN.as_bytes();
    let whole: Vec<u8> = bytes.iter().fold(Vec::new(), |mut whole, byte| {
        whole.extend_from_slice(if *byte == GOOD { good } else { std::slice::from_ref(byte) });
        whole
    });
    let mut request = http::Request::new(());
    for line in whole.split(|byte| *byte == b'\n') {
        let Ok(line) = HeaderValue::from_bytes(line) else { return };
        if request.headers_mut().try_append(COOKIE, line).is_err() {
            return;
        }
    }
    let (head, ()) = request.into_parts();
    let verdict = at_once(GATE.authenticate(&head)).verdict;
    let pairs = whole.split(|byte| *byte == b'\n' || *byte == b';');
    let values: Vec<_> = pairs.filter_map(value).collect();
    let is_short = whole.len() <= 64 * 1024;
    match (verdict, &*values) {
        (Ok(Some(caller)), [value]) => assert!(*value == good && caller.subject() == "ann"),
        (Ok(_), _) => panic!("let in with {} credentials", values.len()),
        (Err(why), [value]) if *value == good => assert!(!is_short, "refused: {why:?}"),
        (Err(why), []) if is_short => assert_eq!(why.kind(), RejectionKind::MissingCredential),
        (Err(why), [_]) => assert_eq!(why.kind(), RejectionKind::TokenInvalid),
        (Err(why), _) if is_short => assert_eq!(why.kind(), RejectionKind::AmbiguousCredential),
        (Err(why), _) => assert!(matches!(why.status().as_u16(), 400 | 401), "{why:?}"),
    }
}

/// White space around names and values is none of theirs, as browsers have it too.
fn value(pair: &[u8]) -> Option<&[u8]> {
    let mut halves = pair.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    (halves.next()? == b"session").then(|| halves.next())?
}

/// Asks twice: the second answer may come from the memory of verified tokens.
fn verify(token: &str) -> Option<VerifiedToken> {
    let now = Timestamp::from_secs(NOW);
    let (first, second) = (VERIFIER.verify(token, now), VERIFIER.verify(token, now));
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.subject(), second.subject());
            Some(first)
        }
        (Err(first), Err(second)) => {
            assert_eq!(first.kind(), second.kind());
            None
        }
        (first, second) => panic!("first {first:?}, then {second:?}"),
    }
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{text}.{}", encoded(hmac::sign(&key, text.as_bytes())))
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The result of a future that waits for nothing.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

/// An object of JSON, read once more by `serde_json`. Its values are as they were written: numbers may
/// be greater than it can read.
struct Members(Vec<(String, Box<RawValue>)>);

fn members(json: &[u8]) -> Members {
    serde_json::from_slice(json).expect("what is accepted is an object")
}

impl Members {
    /// No name stands in it twice, of those that anybody looks at where `read` names them.
    fn assert_unique(self, read: Option<&[&str]>) -> Self {
        for (n, (name, _)) in self.0.iter().enumerate() {
            let twice = self.0[..n].iter().any(|(other, _)| other == name);
            let is_read = read.is_none_or(|read| read.contains(&name.as_str()));
            assert!(!(twice && is_read), "{name:?} stands twice");
        }
        self
    }

    /// The member of this name, unless it is of another type.
    fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        serde_json::from_str(value.get()).ok()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
