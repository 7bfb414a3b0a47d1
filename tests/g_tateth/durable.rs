//! Keys in a file of SQLite, and what becomes of a bad `DATABASE_URL`. `tests/sql_stores` holds the
//! same on PostgreSQL.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::Server;
use tokio::task::JoinSet;

use crate::api::{Api, DEMO, OTHER, data};
use crate::restart;

/// A folder of a test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("keygate-durable-{}-{n}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("text")
    }

    fn file(&self) -> String {
        format!("{}/keys.db", self.path())
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.file())
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).expect("it is there").next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn keys_survive_a_restart() {
    restart::keys_survive(&Folder::new().url()).await;
}

#[tokio::test]
async fn usage_survives_a_restart() {
    restart::usage_survives(&Folder::new().url()).await;
}

#[tokio::test]
async fn a_suspension_survives_a_restart() {
    restart::a_suspension_survives(&Folder::new().url()).await;
}

#[tokio::test]
async fn what_can_not_be_kept_is_refused() {
    restart::what_can_not_be_kept_is_refused(&Folder::new().url()).await;
}

#[tokio::test]
async fn a_file_has_many_names() {
    let folder = Folder::new();
    let file = folder.file();
    let api = restart::start(&file);
    let (_, key) = api.key(&api.token(DEMO).await).await;
    assert!(api.server.stop());
    assert!(Path::new(&file).is_file());
    for url in [file.clone(), format!("sqlite:{file}"), format!("sqlite://{file}")] {
        data(&restart::start(&url).use_of(&key).await, 200);
    }
}

/// A client that never ends its request keeps neither the server nor the uses.
#[tokio::test]
async fn a_client_that_hangs_costs_no_uses() {
    let folder = Folder::new();
    let api = restart::start(&folder.url());
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    support::room_in_window(86_400, 60).await;
    let address = api.server.base().strip_prefix("http://").expect("a URL").to_owned();
    let mut hanging = TcpStream::connect(address).expect("it listens");
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    write!(hanging, "{head}content-length: 100\r\n\r\n{{").expect("it reads");
    data(&api.use_of(&key).await, 200);
    assert!(api.server.stop());
    let api = restart::start(&folder.url());
    let path = format!("/api/v1/api-keys/{id}/usage");
    let used = data(&api.get(&path).bearer(&token).send().await, 200);
    assert_eq!(used["totalRequests"], 1);
}

/// Uses are written every few seconds, too: a process that is killed loses few.
#[tokio::test]
async fn the_usage_is_written_beside_the_requests() {
    let folder = Folder::new();
    let (api, second) = (restart::start(&folder.url()), restart::start(&folder.url()));
    let token = api.token(DEMO).await;
    let (id, key) = api.key(&token).await;
    support::room_in_window(86_400, 60).await;
    data(&api.use_of(&key).await, 200);
    // Another process knows only what is in the file.
    let path = format!("/api/v1/api-keys/{id}/usage");
    support::eventually("it is written", async || {
        // Well within what the user may ask in an hour.
        tokio::time::sleep(Duration::from_millis(200)).await;
        data(&second.get(&path).bearer(&token).send().await, 200)["totalRequests"] == 1
    })
    .await;
}

/// Many ask at once, and each finds its own last use, whoever writes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_usage_holds_what_was_just_counted() {
    support::room_in_window(86_400, 60).await;
    let api = Arc::new(Api::start());
    let token = api.token(OTHER).await;
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (api, token) = (Arc::clone(&api), token.clone());
        let (id, key) = api.key(&token).await;
        callers.spawn(async move {
            let path = format!("/api/v1/api-keys/{id}/usage");
            for total in 1..=40 {
                data(&api.use_of(&key).await, 200);
                let used = data(&api.get(&path).bearer(&token).send().await, 200);
                assert_eq!(used["totalRequests"], total);
            }
        });
    }
    callers.join_all().await;
}

#[tokio::test]
async fn a_temporary_file_goes_with_its_process() {
    let folder = Folder::new();
    let start = || Api::with(&[("TMPDIR", folder.path())]);
    let (first, second) = (start(), start());
    let (_, key) = first.key(&first.token(DEMO).await).await;
    data(&first.use_of(&key).await, 200);
    // Each has its own.
    assert_eq!(second.use_of(&key).await.status, 401);
    assert!(!folder.is_empty());
    assert!(first.server.stop() && second.server.stop());
    assert!(folder.is_empty());
    // One that does not start leaves nothing either.
    Server::refusal("g_tateth", &[("TMPDIR", folder.path()), ("LISTEN", "192.0.2.1:1")]);
    assert!(folder.is_empty());
}

#[test]
fn a_bad_database_url_is_named_but_not_shown() {
    let folder = Folder::new();
    let missing = format!("{}/missing/hunter2/keys.db", folder.path());
    for url in [
        "",
        ":memory:",
        "sqlite::memory:",
        "sqlite:///tmp/keys.db?mode=rwc&key=hunter2",
        "sqlite://keys:hunter2@localhost/missing/keys.db",
        "mysql://keys:hunter2@localhost/keys",
        "postgress://keys:hunter2@localhost/keys",
        "postgres:keys:hunter2@localhost",
        "postgres://keys:hunter2@localhost:port/keys",
        "postgres://keys:hunter2@127.0.0.1:1/keys",
        "postgresql://keys:hunter2@127.0.0.1:1/keys",
        "postgres://keys:hun/ter2:hunter2@127.0.0.1:1/keys",
        &missing,
    ] {
        let said = Server::refusal("g_tateth", &[("DATABASE_URL", url)]);
        assert!(said.contains("DATABASE_URL"), "{url}: {said}");
        assert!(!said.contains("hunter2"), "{url}: {said}");
        assert_eq!(said.lines().count(), 1, "{url}: {said}");
    }
}
