//! Two copies of an example share its limits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use serde_json::json;
use support::{Answer, Client, Redis, Server};
use tokio::task::JoinSet;

use crate::{Private, wait};

pub(crate) const TESTS: &[(&str, Private)] = &[
    ("copies::g_tateth_counts_a_key_once", || wait(g_tateth())),
    ("copies::convotic_counts_a_workspace_once", || wait(convotic())),
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

/// Waits until the window of that length has enough time left for a test.
async fn room_in_window(seconds: u64, needed: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let left = seconds - now % seconds;
    if left < needed {
        tokio::time::sleep(Duration::from_secs(left)).await;
    }
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
    let answer = client.post("/api/v1/api-keys").bearer(&token).json(&body).send().await;
    answer.json()["data"]["key"].as_str().unwrap().to_owned()
}

async fn conversations(client: &Client, key: &str) -> Answer {
    client.call(Method::GET, "/api/v1/conversations").bearer(key).send().await
}

async fn g_tateth() {
    room_in_window(3_600, 20).await;
    let redis = Redis::start();
    let file = std::env::temp_dir().join(format!("keygate-copies-{}.db", std::process::id()));
    let [one, two] = copies("g_tateth", &[("DATABASE_URL", file.to_str().unwrap())], &redis);
    let clients = [one.client(), two.client()];
    let key = key(&clients[0]).await;
    for left in (0..40).rev() {
        let answer = conversations(&clients[left % 2], &key).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert_eq!(answer.number("x-ratelimit-limit"), 40);
        assert_eq!(answer.number("x-ratelimit-remaining"), left as u64);
    }
    for client in &clients {
        let answer = conversations(client, &key).await;
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

/// Those of 600 requests that were let in, by the window in which they were counted.
async fn contacts(client: Client) -> Vec<u64> {
    let key = workspace_key(&client).await;
    let mut admitted = Vec::new();
    for _ in 0..600 {
        let answer = client.get("/v1/contacts").header("x-api-key", &key).send().await;
        assert!(answer.status == 200 || answer.status == 429, "{:?}", answer.body);
        if answer.status == 200 {
            admitted.push(answer.number("x-ratelimit-reset"));
        }
    }
    admitted
}

async fn convotic() {
    room_in_window(60, 25).await;
    let redis = Redis::start();
    let servers = copies("convotic", &[], &redis);
    let mut tasks = JoinSet::new();
    for server in &servers {
        tasks.spawn(contacts(server.client()));
    }
    let mut admitted = tasks.join_all().await.concat();
    let all = admitted.len();
    admitted.dedup();
    assert_eq!(admitted.len(), 1, "all in one minute");
    assert!((990..=1_000).contains(&all), "{all}");
}

async fn away() {
    let mut redis = Redis::start();
    let [one, _two] = copies("g_tateth", &[], &redis);
    let client = one.client();
    let key = key(&client).await;
    assert_eq!(conversations(&client, &key).await.status, 200);
    redis.kill();
    let answer = conversations(&client, &key).await;
    assert_eq!(answer.status, 503);
    let body = String::from_utf8_lossy(&answer.body).to_lowercase();
    assert!(!body.contains("redis"), "{body}");
    redis.resume();
    let back = async {
        while conversations(&client, &key).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
}

fn no_url() {
    for name in ["g_tateth", "convotic"] {
        let said = Server::refusal(name, &[("REDIS_URL", "http://x:hunter2@nowhere")]);
        assert!(said.contains("Redis URL") && !said.contains("hunter2"), "{said}");
    }
}
