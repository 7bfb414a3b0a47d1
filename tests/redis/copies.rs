//! Two copies of an example share its limits.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use keygate::{Clock, SystemClock};
use serde_json::json;
use support::{Answer, Client, PATIENCE, Redis, Server, eventually, room_in_window};

use crate::node::Windows;
use crate::{Private, wait};

pub(crate) const TESTS: &[(&str, Private)] = &[
    ("copies::g_tateth_counts_a_key_once", || wait(g_tateth())),
    ("copies::convotic_counts_a_workspace_once", || wait(convotic())),
    ("copies::an_address_has_one_budget_of_failures", || wait(failures())),
    ("copies::a_server_that_is_away_is_an_outage", || wait(away())),
    ("copies::a_url_that_is_none_is_refused_and_not_shown", no_url),
];

const SECRET: &str = "a secret of the tests, 32 bytes or more";

fn copies(name: &str, more: &[(&str, &str)], redis: &Redis) -> [Server; 2] {
    let url = redis.url();
    let mut environment = vec![("JWT_SECRET", SECRET), ("REDIS_URL", &url)];
    environment.extend(more);
    [Server::example(name, &environment), Server::example(name, &environment)]
}

async fn sign_in(client: &Client) -> String {
    let body = json!({ "email": "demo@example.com", "password": "demo-password" });
    let answer = client.post("/api/v1/auth/login").json(&body).send().await;
    answer.json()["data"]["token"].as_str().unwrap().to_owned()
}

/// A key that may read conversations 40 times an hour.
async fn key(client: &Client) -> String {
    let body = json!({
        "name": "shared", "permissions": ["read:conversations"],
        "rateLimit": { "requests": 40, "window": "1h" },
    });
    let token = sign_in(client).await;
    let (answer, _) =
        decided(async || client.post("/api/v1/api-keys").bearer(&token).json(&body).send().await)
            .await;
    answer.json()["data"]["key"].as_str().unwrap().to_owned()
}

async fn conversations(client: &Client, key: &str) -> Answer {
    client.call(Method::GET, "/api/v1/conversations").bearer(key).send().await
}

/// The answer to a call that is repeated while a busy machine keeps the server from answering in 10 ms;
/// and how often that was. What was asked of a server that is late may have been counted.
async fn decided(call: impl AsyncFn() -> Answer) -> (Answer, u64) {
    let mut late = 0;
    let begun = Instant::now();
    loop {
        let answer = call().await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return (answer, late);
        }
        late += 1;
        assert!(begun.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn g_tateth() {
    let redis = Redis::start();
    let file = std::env::temp_dir().join(format!("keygate-copies-{}.db", std::process::id()));
    let [one, two] = copies("g_tateth", &[("DATABASE_URL", file.to_str().unwrap())], &redis);
    let clients = [one.client(), two.client()];
    let key = key(&clients[0]).await;
    room_in_window(3_600, 60).await;
    let (mut left, mut admitted, mut unknown) = (40, 0, 0);
    for client in clients.iter().cycle() {
        let (answer, late) = decided(async || conversations(client, &key).await).await;
        unknown += late;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert_eq!(answer.number("x-ratelimit-limit"), 40);
        let told = answer.number("x-ratelimit-remaining");
        assert!(told < left && told + 1 + unknown >= left, "{told} after {left}");
        (left, admitted) = (told, admitted + 1);
    }
    assert!(admitted <= 40 && admitted + unknown >= 40, "{admitted}, and {unknown} unknown");
    for client in &clients {
        let (answer, _) = decided(async || conversations(client, &key).await).await;
        assert_eq!(answer.status, 429);
        assert!(answer.number("retry-after") <= 3_600);
    }
    drop((one, two));
    let _ = std::fs::remove_file(file);
}

/// A key of the demo workspace; each copy knows those it has issued.
async fn workspace_key(client: &Client) -> String {
    let answer = client.post("/auth/demo").send().await;
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let create = client.post("/dashboard/api-keys").header("cookie", &cookie);
    let answer = create.json(&json!({ "name": "shared" })).send().await;
    answer.json()["key"].as_str().unwrap().to_owned()
}

/// Calls until a minute is used up but for a hundredth, and two hundred more were refused in it.
async fn contacts(client: Client, windows: &Mutex<Windows>) {
    let key = workspace_key(&client).await;
    let begun = Instant::now();
    loop {
        let call = || client.get("/v1/contacts").header("x-api-key", &key).send();
        let (answer, _) = decided(async || call().await).await;
        assert!(answer.status == 200 || answer.status == 429, "{:?}", answer.body);
        let mut windows = windows.lock().unwrap();
        windows.add(answer.number("x-ratelimit-reset"), answer.status == 200);
        if windows.0.values().any(|window| window.admitted >= 990 && window.refused >= 200) {
            return;
        }
        assert!(begun.elapsed() < 3 * PATIENCE, "{windows:?}");
    }
}

async fn convotic() {
    let redis = Redis::start();
    let [one, two] = copies("convotic", &[], &redis);
    let windows = Mutex::default();
    tokio::join!(contacts(one.client(), &windows), contacts(two.client(), &windows));
    let windows = windows.into_inner().unwrap();
    assert!(windows.most() <= 1_000, "{windows:?}");
}

/// Fails until the minute's budget is used up, and says how often that was answered as what it is.
async fn guess(client: Client) -> u64 {
    let mut answered = 0;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let answer =
            client.get("/v1/contacts").header("x-api-key", "cvtk_live_guessed").send().await;
        match answer.status {
            StatusCode::UNAUTHORIZED => answered += 1,
            // Too many are being counted at this moment, or the server is late.
            StatusCode::TOO_MANY_REQUESTS if answer.number("retry-after") <= 1 => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            status => {
                assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
                return answered;
            }
        }
    }
    panic!("{answered} failures in a minute");
}

async fn failures() {
    let redis = Redis::start();
    let [one, two] = copies("convotic", &[], &redis);
    // A busy machine may need more than what is left of a minute: then that one shows nothing.
    let (one, two) = loop {
        room_in_window(60, 40).await;
        let minute = this_minute();
        let answered = tokio::join!(guess(one.client()), guess(two.client()));
        if this_minute() == minute {
            break answered;
        }
    };
    // A sixteenth more for each copy.
    assert!((600..=600 + 2 * 37).contains(&(one + two)), "{one} and {two}");
}

fn this_minute() -> u64 {
    SystemClock::new().now().as_secs() / 60
}

async fn away() {
    let mut redis = Redis::start();
    let [one, _two] = copies("g_tateth", &[], &redis);
    let client = one.client();
    let key = key(&client).await;
    assert_eq!(decided(async || conversations(&client, &key).await).await.0.status, 200);
    redis.kill();
    let answer = conversations(&client, &key).await;
    assert_eq!(answer.status, 503);
    let body = String::from_utf8_lossy(&answer.body).to_lowercase();
    assert!(!body.contains("redis"), "{body}");
    redis.resume();
    eventually("it counts again", async || conversations(&client, &key).await.status == 200).await;
}

fn no_url() {
    for name in ["g_tateth", "convotic"] {
        let said = Server::refusal(name, &[("REDIS_URL", "http://x:hunter2@nowhere")]);
        assert!(said.contains("Redis URL") && !said.contains("hunter2"), "{said}");
    }
}
