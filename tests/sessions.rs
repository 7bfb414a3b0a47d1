//! Sessions in cookies, over real sockets, by a client that keeps what a browser would.
#![cfg(all(feature = "axum", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keygate::jwt::{
    Algorithm, JwtIssuer, JwtVerifiers, NewToken, Revocations, RevokedTokens, SigningKey,
    VerifiedToken,
};
use keygate::policy::{Routes, SameOrigin};
use keygate::session::{EndedSessions, SessionCookie, Sessions, SessionsBuilder};
use keygate::store::StoreError;
use keygate::{AuthLayer, Clock, ManualClock, Principal, Rejection, Source, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use support::{Answer, Client};
use tokio::net::TcpListener;
use tokio::sync::Notify;

const NOW: u64 = 1_700_000_000;
const LIFE: u64 = 900;
const LONGEST: u64 = 3_600;
const SECRET: &str = "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1";

fn issuer_of(audience: &str) -> JwtIssuer {
    let key = SigningKey::secret(Algorithm::HS256, SECRET).unwrap();
    JwtIssuer::builder("https://app.example", audience, key).build().unwrap()
}

fn builder(clock: &ManualClock) -> SessionsBuilder {
    Sessions::builder(issuer_of("dashboard"), SessionCookie::host("session").unwrap())
        .longest(Duration::from_secs(LONGEST))
        .clock(clock.clone())
}

/// A service with sessions, and the time in it.
struct World {
    client: Client,
    clock: ManualClock,
}

#[derive(Deserialize)]
struct Who {
    name: String,
}

async fn begin(
    State(sessions): State<Sessions>,
    Query(who): Query<Who>,
    head: Parts,
) -> Result<impl IntoResponse, Rejection> {
    let new = NewToken::new(who.name).with_tenant("acme").with_claim("role", "admin").unwrap();
    Ok((AppendHeaders([(SET_COOKIE, sessions.begin(&head, new)?)]), "in"))
}

async fn end(
    State(sessions): State<Sessions>,
    caller: Principal,
) -> Result<impl IntoResponse, Rejection> {
    Ok((AppendHeaders([(SET_COOKIE, sessions.end(&caller).await?)]), "out"))
}

async fn who(caller: Principal) -> Json<Value> {
    Json(caller.claims().unwrap().unwrap())
}

async fn cached(_: Principal) -> impl IntoResponse {
    ([(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"))], "for all")
}

fn app(sessions: &Sessions, gate: AuthLayer) -> Router {
    let public = Routes::new().public("/sign-in").unwrap();
    Router::new()
        .route("/me", any(who))
        .route("/cached", get(cached))
        .route("/sign-out", post(end))
        .route("/sign-in", any(begin))
        .layer(sessions.renewal())
        .layer(gate.routes(public))
        .with_state(sessions.clone())
}

impl World {
    async fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_secs(NOW));
        Self::with(builder(&clock), clock).await
    }

    async fn with(sessions: SessionsBuilder, clock: ManualClock) -> Self {
        let sessions = sessions.build().unwrap();
        let gate = sessions.gate().unwrap();
        Self::serving(app(&sessions, gate), clock).await
    }

    async fn serving(app: Router, clock: ManualClock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { client: Client::new(base), clock }
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    async fn sign_in(&self, name: &str) -> String {
        let call = self.client.post(&format!("/sign-in?name={name}"));
        let answer = call.header("sec-fetch-site", "same-origin").send().await;
        assert_eq!(answer.status, StatusCode::OK);
        cookie_of(&answer).expect("a cookie")
    }

    async fn me(&self, cookie: &str) -> Answer {
        self.client.get("/me").header("cookie", cookie).send().await
    }

    async fn sign_out(&self, cookie: &str) -> Answer {
        let call = self.client.post("/sign-out").header("sec-fetch-site", "same-origin");
        call.header("cookie", cookie).send().await
    }
}

/// What a browser would send back.
fn cookie_of(answer: &Answer) -> Option<String> {
    answer.header("set-cookie").map(|set| set.split(';').next().unwrap().to_owned())
}

fn claims_of(cookie: &str) -> Value {
    let payload = cookie.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn secs(claims: &Value, name: &str) -> u64 {
    claims[name].as_u64().unwrap()
}

// ---- The cookie ---------------------------------------------------------------------------------

#[tokio::test]
async fn the_cookie_is_what_browsers_protect_best() {
    let world = World::new().await;
    let call = world.client.post("/sign-in?name=ada").header("sec-fetch-site", "same-origin");
    let answer = call.send().await;
    let set = answer.header("set-cookie").unwrap();
    let (pair, attributes) = set.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-session=ey"), "{set}");
    assert_eq!(attributes, "Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Strict");
    assert!(!set.to_ascii_lowercase().contains("domain"));
    assert_eq!(world.me(pair).await.status, StatusCode::OK);
}

#[test]
fn cookies_are_named_as_browsers_and_servers_agree_on() {
    assert_eq!(SessionCookie::host("s").unwrap().name(), "__Host-s");
    for bad in ["", "__Host-s", "a b", "a=b", "a;b", "é", "a\r\n"] {
        assert!(SessionCookie::host(bad).is_err(), "{bad:?}");
    }
    for bad in ["", "__Host-s", "__Secure-s", "a b"] {
        assert!(SessionCookie::danger_insecure(bad).is_err(), "{bad:?}");
    }
    let (lax, plain) = (SessionCookie::host("s"), SessionCookie::danger_insecure("s"));
    let lax = lax.unwrap().lax();
    assert_eq!(lax.clear(), "__Host-s=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
    let plain = plain.unwrap();
    assert_eq!(plain.clear(), "s=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    assert_eq!(plain.lax().clear(), "s=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
}

#[test]
fn a_cookie_that_no_browser_keeps_is_not_set() {
    let cookie = SessionCookie::host("session").unwrap();
    let issuer = issuer_of("dashboard");
    let now = Timestamp::from_secs(NOW);
    let set = |size: usize| {
        let new = NewToken::new("ada").with_claim("own", "x".repeat(size)).unwrap();
        cookie.set(&issuer.issue(&new, now).unwrap(), now)
    };
    let good = set(2_600).unwrap();
    assert!(good.is_sensitive() && good.len() < 4_200);
    assert!(set(3_000).is_err());
}

#[tokio::test]
async fn two_cookies_of_the_name_are_never_chosen_from() {
    let world = World::new().await;
    let (one, two) = (world.sign_in("ada").await, world.sign_in("bob").await);
    for both in
        [format!("{one}; {two}"), format!("{one}; x=y; {one}"), format!("{one};__Host-session=")]
    {
        assert_eq!(world.me(&both).await.status, StatusCode::BAD_REQUEST);
        let lines = world.client.get("/me").header("cookie", &one).header("cookie", &two);
        assert_eq!(lines.send().await.status, StatusCode::BAD_REQUEST);
    }
    // Other cookies, and the same name in another case, are somebody else's.
    let among = format!("a=b; {one}; __host-session=x; session=y");
    assert_eq!(world.me(&among).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_in_the_cookie_opens_nothing() {
    let world = World::new().await;
    let cookie = world.sign_in("ada").await;
    let token = cookie.split_once('=').unwrap().1;
    let bearer = world.client.get("/me").bearer(token).send().await;
    assert_eq!(bearer.status, StatusCode::UNAUTHORIZED);
    for cookie in ["__Host-session=", "__Host-session=a.b.c", "session=x", "__Host-session"] {
        assert_eq!(world.me(cookie).await.status, StatusCode::UNAUTHORIZED, "{cookie}");
    }
}

// ---- Other sites --------------------------------------------------------------------------------

#[tokio::test]
async fn a_cookie_changes_nothing_without_a_proof_of_its_page() {
    let world = World::new().await;
    let cookie = world.sign_in("ada").await;
    let own = world.client.base().to_owned();
    let cases: [(&[(&str, &str)], StatusCode); 8] = [
        (&[], StatusCode::FORBIDDEN),
        (&[("sec-fetch-site", "cross-site")], StatusCode::FORBIDDEN),
        (&[("sec-fetch-site", "same-site")], StatusCode::FORBIDDEN),
        (&[("origin", "https://evil.example")], StatusCode::FORBIDDEN),
        (&[("origin", "null")], StatusCode::FORBIDDEN),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")], StatusCode::FORBIDDEN),
        (&[("sec-fetch-site", "same-origin")], StatusCode::OK),
        (&[("origin", &own)], StatusCode::OK),
    ];
    for (headers, expected) in cases {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let mut call = world.client.call(method, "/me").header("cookie", &cookie);
            for (name, value) in headers {
                call = call.header(name, value);
            }
            assert_eq!(call.send().await.status, expected, "{headers:?}");
        }
        assert_eq!(world.me(&cookie).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn another_site_signs_nobody_in_or_out() {
    let world = World::new().await;
    let cookie = world.sign_in("ada").await;
    for site in ["cross-site", "same-site"] {
        let call = world.client.post("/sign-in?name=mallory").header("sec-fetch-site", site);
        let answer = call.send().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.header("set-cookie"), None);
        let call = world.client.post("/sign-out").header("sec-fetch-site", site);
        let answer = call.header("cookie", &cookie).send().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(world.me(&cookie).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_trusted_page_and_a_program_are_let_in_where_that_is_said() {
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let origin = SameOrigin::new().trusting("https://app.example").unwrap().admit_programs();
    let world = World::with(builder(&clock).same_origin(origin), clock).await;
    let answer = world.client.post("/sign-in?name=ada").send().await;
    let cookie = cookie_of(&answer).unwrap();
    let call = world.client.post("/me").header("cookie", &cookie);
    let answer = call.header("origin", "https://app.example").send().await;
    assert_eq!(answer.status, StatusCode::OK);
}

// ---- Sessions -----------------------------------------------------------------------------------

#[tokio::test]
async fn every_sign_in_is_a_session_of_its_own() {
    let world = World::new().await;
    let old = world.sign_in("ada").await;
    // A cookie that somebody has planted is not taken over.
    let call = world.client.post("/sign-in?name=ada").header("cookie", &old);
    let answer = call.header("sec-fetch-site", "same-origin").send().await;
    let new = cookie_of(&answer).unwrap();
    let ids: HashSet<_> = [&old, &new].map(|cookie| claims_of(cookie)["sid"].clone()).into();
    assert_eq!(ids.len(), 2);
    assert_eq!(secs(&claims_of(&new), "auth_time"), NOW);
}

#[tokio::test]
async fn a_session_in_use_is_renewed_from_half_of_a_token_s_life_on() {
    let world = World::new().await;
    let cookie = world.sign_in("ada").await;
    let first = claims_of(&cookie);
    world.pass(LIFE / 2 - 1);
    assert_eq!(cookie_of(&world.me(&cookie).await), None);
    world.pass(1);
    let answer = world.me(&cookie).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let renewed = claims_of(&cookie_of(&answer).unwrap());
    for same in ["iss", "aud", "sub", "tenant", "role", "sid", "auth_time"] {
        assert_eq!(renewed[same], first[same], "{same}");
    }
    assert_ne!(renewed["jti"], first["jti"]);
    assert_eq!(secs(&renewed, "iat"), NOW + LIFE / 2);
    assert_eq!(secs(&renewed, "exp"), NOW + LIFE / 2 + LIFE);
    assert_eq!(renewed.as_object().unwrap().len(), first.as_object().unwrap().len());
}

#[tokio::test]
async fn a_session_ends_in_time_however_much_it_is_used() {
    let world = World::new().await;
    let mut cookie = world.sign_in("ada").await;
    let mut renewals = 0;
    for passed in 0..(LONGEST / 100) {
        let answer = world.me(&cookie).await;
        assert_eq!(answer.status, StatusCode::OK, "after {} s", passed * 100);
        if let Some(next) = cookie_of(&answer) {
            assert!(secs(&claims_of(&next), "exp") <= NOW + LONGEST);
            (cookie, renewals) = (next, renewals + 1);
        }
        world.pass(100);
    }
    assert!((5..=9).contains(&renewals), "{renewals}");
    // The verifier's leeway is all that is left.
    world.pass(30);
    assert_eq!(world.me(&cookie).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_that_is_not_used_is_over_with_its_token() {
    let world = World::new().await;
    let cookie = world.sign_in("ada").await;
    world.pass(LIFE + 30);
    let answer = world.me(&cookie).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.header("set-cookie"), None, "a refused session is not renewed");
}

#[tokio::test]
async fn no_cache_keeps_an_answer_with_a_new_cookie() {
    let world = World::new().await;
    let cookie = world.sign_in("ada").await;
    let get = async || world.client.get("/cached").header("cookie", &cookie).send().await;
    assert_eq!(get().await.header("cache-control"), Some("public, max-age=60"));
    world.pass(LIFE / 2);
    let answer = get().await;
    assert!(answer.header("set-cookie").is_some());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_token_from_elsewhere_becomes_no_cookie() {
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let sessions = builder(&clock).build().unwrap();
    let gate = AuthLayer::tokens_only(sessions.verifier().clone())
        .sources([sessions.cookie().source(), Source::bearer().tokens_only()])
        .unwrap()
        .clock(clock.clone());
    let world = World::serving(app(&sessions, gate), clock).await;
    let cookie = world.sign_in("ada").await;
    world.pass(LIFE / 2);
    let bearer = world.client.get("/me").bearer(cookie.split_once('=').unwrap().1).send().await;
    assert_eq!((bearer.status, bearer.header("set-cookie")), (StatusCode::OK, None));
    assert!(cookie_of(&world.me(&cookie).await).is_some());
}

// ---- Sign-out -----------------------------------------------------------------------------------

#[tokio::test]
async fn sign_out_ends_every_token_of_the_session_and_no_other_session() {
    let world = World::new().await;
    let (first, other) = (world.sign_in("ada").await, world.sign_in("ada").await);
    world.pass(LIFE / 2);
    let renewed = cookie_of(&world.me(&first).await).unwrap();
    // With the token that is due for renewal.
    let answer = world.sign_out(&first).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("set-cookie"),
        Some("__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"),
        "cleared, and not renewed in the same answer"
    );
    for token in [&first, &renewed] {
        let answer = world.me(token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(world.me(&other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_stays_ended_as_long_as_a_token_of_it_could_be_good() {
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let ended = RevokedTokens::new();
    let world = World::with(builder(&clock).ended(ended.clone()), clock).await;
    let first = world.sign_in("ada").await;
    assert_eq!(world.sign_out(&first).await.status, StatusCode::OK);
    // Somebody else's sign-out has the list look through its entries.
    world.pass(LONGEST - 1);
    let other = world.sign_in("bob").await;
    assert_eq!(world.sign_out(&other).await.status, StatusCode::OK);
    assert_eq!(ended.len(), 2);
    world.pass(700);
    let other = world.sign_in("bob").await;
    assert_eq!(world.sign_out(&other).await.status, StatusCode::OK);
    assert_eq!(ended.len(), 2);
}

/// A list that can be away.
#[derive(Clone, Default)]
struct Far {
    away: Arc<AtomicBool>,
    list: RevokedTokens,
}

impl Far {
    fn check(&self) -> Result<(), StoreError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(StoreError::unavailable("away")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Revocations for Far {
    async fn is_revoked(&self, token: &VerifiedToken) -> Result<bool, StoreError> {
        self.check()?;
        self.list.is_revoked(token).await
    }
}

#[async_trait]
impl EndedSessions for Far {
    async fn end_session(
        &self,
        issuer: &str,
        session: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.check()?;
        self.list.end_session(issuer, session, until, now).await
    }
}

/// A gate may take the tokens of several issuers, in one cookie.
#[tokio::test]
async fn a_session_of_another_issuer_is_neither_renewed_nor_ended_here() {
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let sessions = builder(&clock).build().unwrap();
    let key = SigningKey::secret(Algorithm::HS256, SECRET).unwrap();
    let other = JwtIssuer::builder("https://other.example", "dashboard", key).build().unwrap();
    let both = [sessions.verifier().clone(), other.verifier().build().unwrap()];
    let gate = AuthLayer::tokens_only(JwtVerifiers::new(both).unwrap())
        .sources([sessions.cookie().source()])
        .unwrap()
        .clock(clock.clone());
    let world = World::serving(app(&sessions, gate), clock.clone()).await;
    let now = clock.now();
    let foreign = other.issue(&NewToken::new("eve").with_session("s-9", now), now).unwrap();
    let foreign = format!("__Host-session={}", foreign.reveal());
    world.pass(LIFE / 2);
    let answer = world.me(&foreign).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (StatusCode::OK, None));
    assert_eq!(world.sign_out(&foreign).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.me(&foreign).await.status, StatusCode::OK);
}

/// Whoever keeps a request from ending while a password is changed gets no token from after that.
#[tokio::test]
async fn a_request_that_was_held_open_brings_no_revoked_session_back() {
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let revoked = RevokedTokens::new();
    let sessions = builder(&clock).ended(revoked.clone()).build().unwrap();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let held = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        get(async move |_: Principal| {
            begun.notify_one();
            go_on.notified().await;
            "late"
        })
    };
    let app = app(&sessions, sessions.gate().unwrap());
    let held = Router::new().route("/held", held).layer(sessions.renewal());
    let app = app.merge(held.layer(sessions.gate().unwrap()));
    let world = World::serving(app, clock.clone()).await;
    let stolen = world.sign_in("ada").await;
    world.pass(LIFE / 2);
    let call = world.client.get("/held").header("cookie", &stolen);
    let answer = tokio::spawn(call.send());
    begun.notified().await;
    world.pass(1);
    let (now, until) = (clock.now(), Timestamp::from_secs(NOW + 2 * LONGEST));
    revoked.revoke_subject("https://app.example", "ada", now, until, now).unwrap();
    world.pass(1);
    go_on.notify_one();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "it was let in before");
    let renewed = cookie_of(&answer).expect("renewed by the time at which it came");
    for cookie in [&stolen, &renewed] {
        assert_eq!(world.me(cookie).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.me(&world.sign_in("ada").await).await.status, StatusCode::OK);
}

/// A list that forgets as soon as it may: a token is good for a leeway longer than it says.
#[tokio::test]
async fn a_list_that_keeps_an_end_no_longer_than_it_is_told_refuses_the_last_token_to_its_end() {
    #[derive(Clone)]
    struct Rows(Arc<Mutex<Vec<(String, Timestamp)>>>, ManualClock);

    #[async_trait]
    impl Revocations for Rows {
        async fn is_revoked(&self, token: &VerifiedToken) -> Result<bool, StoreError> {
            let (rows, now) = (self.0.lock().unwrap(), self.1.now());
            let session = token.session_id().unwrap();
            Ok(rows.iter().any(|(ended, until)| ended == session && now < *until))
        }
    }

    #[async_trait]
    impl EndedSessions for Rows {
        async fn end_session(
            &self,
            _: &str,
            session: &str,
            until: Timestamp,
            _: Timestamp,
        ) -> Result<(), StoreError> {
            self.0.lock().unwrap().push((session.to_owned(), until));
            Ok(())
        }
    }

    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let sessions = builder(&clock).longest(Duration::from_secs(60));
    let rows = Rows(Arc::default(), clock.clone());
    let world = World::with(sessions.ended(rows), clock).await;
    let (ended, other) = (world.sign_in("ada").await, world.sign_in("ada").await);
    assert_eq!(secs(&claims_of(&ended), "exp"), NOW + 60, "no token outlives its session");
    assert_eq!(world.sign_out(&ended).await.status, StatusCode::OK);
    world.pass(89);
    assert_eq!(world.me(&other).await.status, StatusCode::OK, "by the leeway of 30 seconds");
    assert_eq!(world.me(&ended).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_list_of_ended_sessions_that_is_away_lets_nobody_in() {
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let far = Far::default();
    let world = World::with(builder(&clock).ended(far.clone()), clock).await;
    let cookie = world.sign_in("ada").await;
    assert_eq!(world.me(&cookie).await.status, StatusCode::OK);
    far.away.store(true, Ordering::SeqCst);
    assert_eq!(world.me(&cookie).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.sign_out(&cookie).await.status, StatusCode::SERVICE_UNAVAILABLE);
    far.away.store(false, Ordering::SeqCst);
    assert_eq!(world.sign_out(&cookie).await.status, StatusCode::OK);
    assert_eq!(world.me(&cookie).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_sign_out_that_cannot_be_written_down_is_an_outage_and_clears_nothing() {
    /// Answers whom it is asked for, and can't write.
    struct Stuck;
    #[async_trait]
    impl Revocations for Stuck {
        async fn is_revoked(&self, _: &VerifiedToken) -> Result<bool, StoreError> {
            Ok(false)
        }
    }
    #[async_trait]
    impl EndedSessions for Stuck {
        async fn end_session(
            &self,
            _: &str,
            _: &str,
            _: Timestamp,
            _: Timestamp,
        ) -> Result<(), StoreError> {
            Err(StoreError::unavailable("read-only"))
        }
    }
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let world = World::with(builder(&clock).ended(Stuck), clock).await;
    let cookie = world.sign_in("ada").await;
    let answer = world.sign_out(&cookie).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("set-cookie"), None);
}

// ---- Configuration ------------------------------------------------------------------------------

#[tokio::test]
async fn a_token_of_the_issuer_that_is_no_session_opens_no_dashboard() {
    let world = World::new().await;
    let issuer = issuer_of("dashboard");
    let now = Timestamp::from_secs(NOW);
    let token = issuer.issue(&NewToken::new("ada"), now).unwrap();
    let cookie = format!("__Host-session={}", token.reveal());
    assert_eq!(world.me(&cookie).await.status, StatusCode::UNAUTHORIZED);
    let elsewhere = NewToken::new("ada").with_session("s", now).with_audience("api");
    let token = issuer.issue(&elsewhere, now).unwrap();
    let cookie = format!("__Host-session={}", token.reveal());
    assert_eq!(world.me(&cookie).await.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn settings_out_of_bounds_are_refused_and_nothing_shows_a_secret() {
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    for longest in [Duration::ZERO, Duration::from_secs(59), Duration::MAX] {
        assert!(builder(&clock).longest(longest).build().is_err());
    }
    assert!(builder(&clock).verify(|verifier| verifier.forbid_claim("sid")).build().is_err());
    let sessions = builder(&clock).build().unwrap();
    assert!(!format!("{:?} {sessions:?}", builder(&clock)).contains(SECRET));
}
