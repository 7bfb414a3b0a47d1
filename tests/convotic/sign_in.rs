//! Signing in through a provider, which here is as hostile as a test wants it. A real one, and a real
//! browser, are in the test `provider`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use sha2::{Digest, Sha256};

use crate::*;

const CLIENT: &str = "convotic";
const CLIENT_SECRET: &str = "the-secret-of-convotic-itself-0-1-2-3";

// ---- The provider -------------------------------------------------------------------------------

/// What the provider's token endpoint sends.
#[derive(Clone)]
struct Sends {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

struct Idp {
    base: String,
    signer: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    metadata: Mutex<Value>,
    keys: Value,
    sends: Mutex<Sends>,
    /// Requests for tokens: their `Authorization`, and their form.
    asked: Mutex<Vec<(String, HashMap<String, String>)>>,
}

impl Idp {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let signer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(ed25519.public_key());
        let other = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "use": "sig", "kid": "2", "x": x });
        let shared = Arc::new(Shared {
            metadata: Mutex::new(metadata(&base)),
            keys: json!({ "keys": [jwk(&signer), other] }),
            sends: Mutex::new(Sends { status: 500, headers: Vec::new(), body: String::new() }),
            asked: Mutex::default(),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovered))
            .route(
                "/jwks",
                get(async |State(shared): State<Arc<Shared>>| Json(shared.keys.clone())),
            )
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { base, signer, ed25519, shared, task }
    }

    fn sends(&self, status: u16, headers: &[(&'static str, &str)], body: impl Into<String>) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        *self.shared.sends.lock().unwrap() = Sends { status, headers, body: body.into() };
    }

    fn sends_id_token(&self, token: &str) {
        let body = json!({ "access_token": "unused", "token_type": "Bearer", "id_token": token });
        self.sends(200, &[("content-type", "application/json")], body.to_string());
    }

    fn asked(&self) -> Vec<(String, HashMap<String, String>)> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Claims that are good as an answer to `asked`.
    fn claims(&self, asked: &Asked) -> Value {
        json!({
            "iss": self.base, "aud": CLIENT, "sub": "ada", "nonce": asked.of("nonce"),
            "iat": now(), "exp": now() + 300,
        })
    }

    fn signs(&self, header: &Value, claims: &Value) -> String {
        signs(&self.signer, header, claims)
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn metadata(base: &str) -> Value {
    json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "Ed25519"],
    })
}

fn message(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

fn signs(signer: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let signature = signer.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn jwk(signer: &EcdsaKeyPair) -> Value {
    let point = signer.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
    json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": x, "y": y })
}

async fn discovered(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.metadata.lock().unwrap().clone())
}

async fn token(
    State(shared): State<Arc<Shared>>,
    headers: http::HeaderMap,
    form: String,
) -> impl IntoResponse {
    let secret = headers.get("authorization").map(|line| line.to_str().unwrap().to_owned());
    shared.asked.lock().unwrap().push((secret.unwrap_or_default(), pairs(&form)));
    let Sends { status, headers, body } = shared.sends.lock().unwrap().clone();
    let mut answer = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

/// A query or a form; what is percent-encoded in it stays so.
fn pairs(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

// ---- The browser --------------------------------------------------------------------------------

/// What a browser was sent to the provider with.
struct Asked {
    url: String,
    query: HashMap<String, String>,
    set_cookie: String,
}

impl Asked {
    fn of(&self, name: &str) -> &str {
        self.query.get(name).unwrap_or_else(|| panic!("no {name} in {}", self.url))
    }

    /// What the browser sends from now on.
    fn cookie(&self) -> &str {
        self.set_cookie.split(';').next().unwrap()
    }
}

impl Convotic {
    fn at(idp: &Idp) -> Self {
        Self::with(&[
            ("JWT_SECRET", SECRET),
            ("OIDC_ISSUER", &idp.base),
            ("OIDC_CLIENT_ID", CLIENT),
            ("OIDC_CLIENT_SECRET", CLIENT_SECRET),
        ])
    }

    async fn leave(&self) -> Asked {
        let answer = self.client.get("/auth/login").send().await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{:?}", answer.body);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let url = answer.header("location").expect("a location").to_owned();
        let query = pairs(url.split_once('?').expect("a query").1);
        let set_cookie = answer.header("set-cookie").expect("a cookie").to_owned();
        Asked { url, query, set_cookie }
    }

    async fn come_back(&self, cookie: &str, query: &str) -> Answer {
        let call = self.client.get(&format!("/auth/callback?{query}"));
        call.header("cookie", cookie).header("sec-fetch-site", "cross-site").send().await
    }

    async fn come_back_to(&self, asked: &Asked) -> Answer {
        let query = format!("code=a-code&state={}", asked.of("state"));
        self.come_back(asked.cookie(), &query).await
    }

    /// Signs `subject` in; what a browser sends from then on.
    async fn sign_in_as(&self, idp: &Idp, subject: &str) -> String {
        let asked = self.leave().await;
        let mut claims = idp.claims(&asked);
        claims["sub"] = json!(subject);
        idp.sends_id_token(&idp.signs(&es256(), &claims));
        let answer = self.come_back_to(&asked).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        set(&answer, COOKIE).split(';').next().unwrap().to_owned()
    }
}

fn es256() -> Value {
    json!({ "alg": "ES256", "kid": "1" })
}

/// The `Set-Cookie` of this name, which is there once.
fn set<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let lines: Vec<_> = lines.filter(|line| line.starts_with(&format!("{name}="))).collect();
    assert_eq!(lines.len(), 1, "{:?}", answer.headers);
    lines[0]
}

#[track_caller]
fn assert_nobody(answer: &Answer, status: u16, code: &str) {
    assert_refused(answer, status, code);
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(answer.header("location"), None);
}

// ---- The way out --------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_sent_to_the_provider_with_state_nonce_and_a_challenge() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let asked = convotic.leave().await;
    assert!(asked.url.starts_with(&format!("{}/authorize?", idp.base)), "{}", asked.url);
    let port = convotic.server.base().rsplit(':').next().unwrap();
    let back = format!("http%3A%2F%2F127.0.0.1%3A{port}%2Fauth%2Fcallback");
    let expected = [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("scope", "openid"),
        ("redirect_uri", &back),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in expected {
        assert_eq!(asked.of(name), value);
    }
    assert!(!asked.url.contains(CLIENT_SECRET));
    let mut attributes = asked.set_cookie.split("; ");
    assert!(attributes.next().unwrap().starts_with("__Host-sign-in=ey"));
    let attributes: BTreeSet<_> = attributes.collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=600", "HttpOnly", "Secure", "SameSite=Lax"].into());

    let other = convotic.leave().await;
    for name in ["state", "nonce", "code_challenge"] {
        assert!(asked.of(name).len() >= 22, "{name}");
        assert_ne!(asked.of(name), other.of(name), "{name}");
    }
    assert_eq!(idp.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_says_where_to_go() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let evil =
        "return_to=https://evil.example&next=//evil.example&redirect_uri=https://evil.example";
    let login = convotic.client.get(&format!("/auth/login?{evil}")).header("host", "evil.example");
    let answer = login.header("x-forwarded-host", "evil.example").send().await;
    let location = answer.header("location").unwrap();
    assert!(location.starts_with(&idp.base) && !location.contains("evil"), "{location}");

    let asked = convotic.leave().await;
    idp.sends_id_token(&idp.signs(&es256(), &idp.claims(&asked)));
    let query = format!("code=a-code&state={}&{evil}", asked.of("state"));
    let answer = convotic.come_back(asked.cookie(), &query).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("location"), None);
    let page = String::from_utf8_lossy(&answer.body);
    assert!(page.contains("url=/dashboard/api-keys") && !page.contains("evil"), "{page}");
}

// ---- The way back -------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_provider_names_has_a_session() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let asked = convotic.leave().await;
    idp.sends_id_token(&idp.signs(&es256(), &idp.claims(&asked)));
    let answer = convotic.come_back_to(&asked).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let gone = "__Host-sign-in=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax";
    assert_eq!(set(&answer, "__Host-sign-in"), gone);
    // The same cookie as that of the demo.
    let cookie = set(&answer, COOKIE);
    assert!(cookie.ends_with("; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Strict"));
    let session = cookie.split(';').next().unwrap();
    assert!(convotic.keys(session).await.is_empty());
    let key = convotic.create_key(session, "mine").await;
    assert_eq!(convotic.contacts_with(&key.text).await.status, StatusCode::OK);

    // The provider was asked by Convotic itself, and by whoever began.
    let [(secret, form)] = &idp.asked()[..] else { panic!("{:?}", idp.asked()) };
    let basic =
        base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT}:{CLIENT_SECRET}"));
    assert_eq!(*secret, format!("Basic {basic}"));
    assert_eq!((&*form["grant_type"], &*form["code"]), ("authorization_code", "a-code"));
    assert_eq!(form["redirect_uri"], asked.of("redirect_uri"));
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!(challenge, asked.of("code_challenge"));
}

/// RFC 9864 has a name for the curve; providers use both.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_is_signed_with_ed25519_by_name_signs_in() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    for alg in ["Ed25519", "EdDSA"] {
        let asked = convotic.leave().await;
        let message = message(&json!({ "alg": alg, "kid": "2" }), &idp.claims(&asked));
        let signature = idp.ed25519.sign(message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        idp.sends_id_token(&format!("{message}.{}", URL_SAFE_NO_PAD.encode([7; 64])));
        assert_nobody(&convotic.come_back_to(&asked).await, 401, "invalid_sign_in");
        idp.sends_id_token(&token);
        let answer = convotic.come_back_to(&asked).await;
        assert_eq!(answer.status, StatusCode::OK, "{alg}: {:?}", answer.body);
        let session = set(&answer, COOKIE).split(';').next().unwrap();
        assert!(convotic.keys(session).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_a_workspace_of_their_own() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let ada = convotic.sign_in_as(&idp, "ada").await;
    let bob = convotic.sign_in_as(&idp, "bob").await;
    let key = convotic.create_key(&ada, "hers").await;
    assert!(convotic.keys(&bob).await.is_empty());
    assert_refused(&convotic.revoke(&bob, &key.id).await, 404, "not_found");
    let again = convotic.sign_in_as(&idp, "ada").await;
    assert_eq!(convotic.keys(&again).await.len(), 1);
    assert_ne!(claims_of(&ada)["sid"], claims_of(&again)["sid"]);

    // The same name of another provider is somebody else, and nobody is the demo person.
    let (other, demo) = (Idp::start().await, Convotic::at(&idp));
    let elsewhere = Convotic::at(&other).sign_in_as(&other, "ada").await;
    assert_ne!(claims_of(&elsewhere)["workspace"], claims_of(&ada)["workspace"]);
    let named_demo = demo.sign_in_as(&idp, "demo").await;
    assert_ne!(claims_of(&named_demo)["workspace"], "demo");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_only_in_the_browser_that_has_asked() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let (mine, theirs) = (convotic.leave().await, convotic.leave().await);
    let query = format!("code=a-code&state={}", theirs.of("state"));
    // A link that an attacker has sent: his code, and the state of his own browser.
    let without = convotic.client.get(&format!("/auth/callback?{query}")).send().await;
    assert_nobody(&without, 401, "missing_sign_in");
    assert_nobody(&convotic.come_back(mine.cookie(), &query).await, 401, "invalid_sign_in");
    let both = format!("{}; {}", mine.cookie(), theirs.cookie());
    assert_nobody(&convotic.come_back(&both, &query).await, 400, "ambiguous_credentials");
    let forged = mine.cookie().rsplit_once('.').unwrap().0;
    assert_nobody(
        &convotic.come_back(&format!("{forged}.AA"), &query).await,
        401,
        "invalid_sign_in",
    );
    assert_eq!(idp.asked().len(), 0, "no code of theirs was spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_cookie_serves_for_the_other() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let session = convotic.sign_in_as(&idp, "ada").await;
    let asked = convotic.leave().await;
    let as_session = format!("{COOKIE}={}", token_of(asked.cookie()));
    let list = convotic.client.get("/dashboard/api-keys").header("cookie", &as_session);
    assert_refused(&list.send().await, 401, "invalid_session");
    let as_sign_in = format!("__Host-sign-in={}", token_of(&session));
    let answer = convotic.come_back(&as_sign_in, "code=a&state=b").await;
    assert_nobody(&answer, 401, "invalid_sign_in");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cookie_has_expired() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let asked = convotic.leave().await;
    let mut claims = claims_of(asked.cookie());
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
    claims["iat"] = json!(now() - 601);
    claims["exp"] = json!(now() - 1);
    let old = format!("__Host-sign-in={}", signed(&claims));
    let query = format!("code=a-code&state={}", asked.of("state"));
    assert_nobody(&convotic.come_back(&old, &query).await, 401, "sign_in_expired");
    assert_eq!(idp.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_state_the_provider_is_not_asked() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let asked = convotic.leave().await;
    let state = asked.of("state");
    let invalid = [
        "code=a-code&state=".to_owned(),
        format!("code=a-code&state={}", &state[..state.len() - 1]),
        format!("code=a-code&state={state}x"),
        format!("code=a-code&state={}", state.to_ascii_uppercase()),
        format!("code=a-code&state={}", asked.of("nonce")),
        format!("code=a-code&state={state}&iss=https://evil.example"),
        "error=access_denied&state=other".to_owned(),
    ];
    for query in invalid {
        let answer = convotic.come_back(asked.cookie(), &query).await;
        assert_nobody(&answer, 401, "invalid_sign_in");
    }
    let malformed = [
        String::new(),
        "code=a-code".to_owned(),
        format!("code=a-code&state={state}&state={state}"),
        format!("code=a-code&state={state}&state=other"),
        format!("code=a&code=b&state={state}"),
    ];
    for query in malformed {
        let answer = convotic.come_back(asked.cookie(), &query).await;
        assert_nobody(&answer, 400, "invalid_request");
    }
    assert_eq!(idp.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_at_the_provider_is_not_signed_in() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let asked = convotic.leave().await;
    let query =
        format!("error=access_denied&error_description=%3Cb%3E&state={}", asked.of("state"));
    let answer = convotic.come_back(asked.cookie(), &query).await;
    assert_nobody(&answer, 403, "sign_in_denied");
    assert_eq!(idp.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_proves_nothing_signs_nobody_in() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let changes: [(&str, Value); 16] = [
        ("nonce", json!(null)),
        ("nonce", json!("another")),
        ("nonce", json!("")),
        ("iss", json!("https://accounts.google.com")),
        ("iss", json!(format!("{}/", idp.base))),
        ("aud", json!("another")),
        ("aud", json!([CLIENT, "another"])),
        ("aud", json!([])),
        ("azp", json!("another")),
        ("sub", json!("")),
        ("sub", json!(null)),
        ("iat", json!(null)),
        ("iat", json!(now() + 3600)),
        ("nbf", json!(now() + 3600)),
        ("exp", json!(null)),
        ("exp", json!("tomorrow")),
    ];
    for (name, value) in changes {
        let asked = convotic.leave().await;
        let mut claims = idp.claims(&asked);
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        idp.sends_id_token(&idp.signs(&es256(), &claims));
        let answer = convotic.come_back_to(&asked).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}: {value}");
        assert_nobody(&answer, 401, "invalid_sign_in");
    }
    let asked = convotic.leave().await;
    let mut old = idp.claims(&asked);
    old["exp"] = json!(now() - 3600);
    idp.sends_id_token(&idp.signs(&es256(), &old));
    assert_nobody(&convotic.come_back_to(&asked).await, 401, "sign_in_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_with_another_signature_signs_nobody_in() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let public = json!({ "keys": [jwk(&idp.signer)] }).to_string();
    for forger in 0..6 {
        let asked = convotic.leave().await;
        let claims = idp.claims(&asked);
        let hs256 = json!({ "alg": "HS256", "typ": "JWT" });
        let forged = match forger {
            0 => signs(&other, &es256(), &claims),
            1 => {
                let embedded = json!({ "alg": "ES256", "kid": "1", "jwk": jwk(&other) });
                signs(&other, &embedded, &claims)
            }
            2 => format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(&claims)),
            3 => signed_by(CLIENT_SECRET, &hs256, &claims),
            4 => signed_by(&public, &json!({ "alg": "HS256", "kid": "1" }), &claims),
            _ => idp.signs(&json!({ "alg": "ES256", "kid": "1", "typ": "at+jwt" }), &claims),
        };
        idp.sends_id_token(&forged);
        let answer = convotic.come_back_to(&asked).await;
        assert_nobody(&answer, 401, "invalid_sign_in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_otherwise_is_an_outage() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let json = [("content-type", "application/json")];
    let good = |asked: &Asked| {
        let token = idp.signs(&es256(), &idp.claims(asked));
        json!({ "access_token": "a", "token_type": "Bearer", "id_token": token }).to_string()
    };
    type Case<'c> = (u16, Vec<(&'static str, String)>, Box<dyn Fn(&Asked) -> String + 'c>);
    let of = |headers: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let elsewhere = format!("{}/token", idp.base);
    let cases: [Case<'_>; 7] = [
        (500, of(&json), Box::new(|_| "{}".to_owned())),
        (200, of(&[("content-type", "text/html")]), Box::new(|_| "<html>sorry</html>".to_owned())),
        (200, of(&json), Box::new(|_| "{".to_owned())),
        (200, of(&json), Box::new(|_| r#"{"access_token":"a","token_type":"Bearer"}"#.to_owned())),
        (401, of(&json), Box::new(|_| r#"{"error":"invalid_client"}"#.to_owned())),
        (307, of(&[("location", &elsewhere)]), Box::new(good)),
        (200, of(&json), Box::new(|asked| format!("{}{}", " ".repeat(1 << 20), good(asked)))),
    ];
    for (n, (status, headers, body)) in cases.into_iter().enumerate() {
        let asked = convotic.leave().await;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        idp.sends(status, &headers, body(&asked));
        let answer = convotic.come_back_to(&asked).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "case {n}");
        assert_nobody(&answer, 503, "service_unavailable");
    }
    assert_eq!(idp.asked().len(), 7, "no redirect was followed");
    // A code that was spent, or is made up, is the browser's.
    let asked = convotic.leave().await;
    idp.sends(400, &json, r#"{"error":"invalid_grant"}"#);
    assert_nobody(&convotic.come_back_to(&asked).await, 401, "invalid_sign_in");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_provider_is_away_nobody_signs_in_and_the_api_works() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let session = convotic.sign_in_as(&idp, "ada").await;
    let asked = convotic.leave().await;
    idp.task.abort();
    while !idp.task.is_finished() {
        tokio::task::yield_now().await;
    }
    let answer = convotic.come_back_to(&asked).await;
    assert_nobody(&answer, 503, "service_unavailable");
    assert!(answer.number("retry-after") > 0);
    let key = convotic.create_key(&session, "meanwhile").await;
    assert_eq!(convotic.contacts_with(&key.text).await.status, StatusCode::OK);

    // Nor does it keep Convotic from starting.
    let restarted = Convotic::at(&idp);
    assert_nobody(&restarted.client.get("/auth/login").send().await, 503, "service_unavailable");
    assert!(restarted.keys(&session).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_was_away_is_found_once_it_is_back() {
    let idp = Idp::start().await;
    let whole = std::mem::replace(&mut *idp.shared.metadata.lock().unwrap(), json!({}));
    let convotic = Convotic::at(&idp);
    assert_nobody(&convotic.client.get("/auth/login").send().await, 503, "service_unavailable");
    *idp.shared.metadata.lock().unwrap() = whole;
    // It is looked for every few seconds, whatever requests come.
    support::eventually("it is found", async || {
        convotic.client.get("/auth/login").send().await.status == StatusCode::SEE_OTHER
    })
    .await;
    convotic.sign_in_as(&idp, "ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_names_another_issuer_or_an_open_road_is_not_believed() {
    let idp = Idp::start().await;
    let changes = [
        ("issuer", json!("https://accounts.google.com")),
        ("issuer", json!(format!("{}/", idp.base))),
        ("authorization_endpoint", json!("http://id.example.com/authorize")),
        ("token_endpoint", json!("http://id.example.com/token")),
        ("token_endpoint", json!(null)),
        // Leads to loopback, but is not its name.
        ("jwks_uri", json!(format!("{}/jwks", idp.base.replace("127.0.0.1", "0.0.0.0")))),
    ];
    for (name, value) in changes {
        let mut metadata = metadata(&idp.base);
        metadata[name] = value.clone();
        *idp.shared.metadata.lock().unwrap() = metadata;
        let answer = Convotic::at(&idp).client.get("/auth/login").send().await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {value}");
        assert_nobody(&answer, 503, "service_unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_too_often_has_to_wait() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    let asked = convotic.leave().await;
    idp.sends(400, &[("content-type", "application/json")], r#"{"error":"invalid_grant"}"#);
    let mut last = StatusCode::OK;
    // The minute may end meanwhile.
    for _ in 0..121 {
        last = convotic.come_back_to(&asked).await.status;
        if last == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert_eq!(last, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert!(idp.asked().len() <= 120);
}

// ---- The configuration --------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn with_a_provider_there_is_no_demo_and_without_one_nothing_else() {
    let idp = Idp::start().await;
    let convotic = Convotic::at(&idp);
    assert_nobody(&convotic.client.post("/auth/demo").send().await, 404, "not_found");
    let demo = Convotic::production();
    for path in ["/auth/login", "/auth/callback?code=a&state=b"] {
        assert_nobody(&demo.client.get(path).send().await, 404, "not_found");
    }
    for path in ["/auth/login", "/auth/callback"] {
        let answer = convotic.client.post(path).send().await;
        assert!([405, 401].contains(&answer.status.as_u16()), "{answer:?}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[test]
fn a_provider_is_configured_wholly_or_not_at_all() {
    let whole = [
        ("OIDC_ISSUER", "https://accounts.google.com"),
        ("OIDC_CLIENT_ID", CLIENT),
        ("OIDC_CLIENT_SECRET", CLIENT_SECRET),
    ];
    for (left_out, _) in whole {
        let mut rest: Vec<_> = whole.into_iter().filter(|(name, _)| *name != left_out).collect();
        let said = Server::refusal("convotic", &rest);
        assert!(said.contains(left_out) && !said.contains(CLIENT_SECRET), "{said}");
        rest.push((left_out, ""));
        let said = Server::refusal("convotic", &rest);
        assert!(said.contains(left_out) && !said.contains(CLIENT_SECRET), "{said}");
    }
}

#[test]
fn what_anybody_on_the_network_could_read_is_refused() {
    let with = |issuer, more: &[(&'static str, &'static str)]| {
        let mut all = vec![
            ("OIDC_ISSUER", issuer),
            ("OIDC_CLIENT_ID", CLIENT),
            ("OIDC_CLIENT_SECRET", CLIENT_SECRET),
        ];
        all.extend_from_slice(more);
        Server::refusal("convotic", &all)
    };
    for issuer in ["http://id.example.com", "http://127.0.0.1.example.com", "ftp://127.0.0.1", "id"]
    {
        let said = with(issuer, &[]);
        assert!(said.contains("OIDC_ISSUER") && said.contains(issuer), "{said}");
    }
    let google = "https://accounts.google.com";
    for url in ["http://app.example.com", "https://app.example.com/", "https://app.example.com/x"] {
        let said = with(google, &[("PUBLIC_URL", url)]);
        assert!(said.contains("PUBLIC_URL") && said.contains(url), "{said}");
    }
    let said = with(google, &[("LISTEN", "0.0.0.0:0")]);
    assert!(said.contains("PUBLIC_URL"), "{said}");
}
