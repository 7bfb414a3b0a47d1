//! What survives a restart, and where it is kept: in a file of SQLite, or on a PostgreSQL server.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keygate::store::{
    Cached, KeyAdmin, PostgresFeed, PostgresStore, SqliteStore, StoreError, TenantDirectory,
    UsageStore,
};

use crate::scratch::Scratch;

/// Keys, tenants and usage in one place. All of the crate's stores are that.
pub trait Store: KeyAdmin + TenantDirectory + UsageStore {}

impl<S: KeyAdmin + TenantDirectory + UsageStore> Store for S {}

/// Where the store is.
pub enum Place {
    File(PathBuf),
    /// A file that goes with the process.
    Scratch(Scratch),
    /// A URL that may hold a password, and so is never printed.
    Server(String),
}

impl Place {
    /// From `DATABASE_URL`.
    pub fn read(given: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let Some(given) = given else { return Ok(Self::Scratch(Scratch::new()?)) };
        match scheme(given) {
            None => Ok(Self::File(given.into())),
            Some("postgres" | "postgresql") => Ok(Self::Server(given.into())),
            Some("sqlite") => Ok(Self::File(sqlite_path(given)?)),
            Some(_) => Err("DATABASE_URL is neither of PostgreSQL nor of SQLite".into()),
        }
    }

    /// Opens the store; its tables are made if there are none.
    pub async fn open(&self) -> Result<Arc<dyn Store>, String> {
        match self {
            Self::File(path) => file(path.clone()).await,
            Self::Scratch(scratch) => file(scratch.file()).await,
            Self::Server(url) => server(url).await.map_err(|error| unusable(&error)),
        }
    }
}

async fn file(path: PathBuf) -> Result<Arc<dyn Store>, String> {
    match SqliteStore::open(&path).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(without_path(&unusable(&error), &path)),
    }
}

/// Keys are kept in memory, and what other copies of this service change is heard: a key that is
/// revoked on one is refused on all within a second, and within five when the server is silent.
async fn server(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    let database = PostgresStore::connect(url).await?;
    let feed = PostgresFeed::new(&database, url)?;
    let store = Cached::new(database);
    tokio::spawn(store.follow(feed));
    Ok(Arc::new(store))
}

/// Whoever mistypes a URL has a password in what is then taken for a path.
fn without_path(told: &str, path: &Path) -> String {
    told.replace(&format!(": {}:", path.display()), ":")
}

/// What stands before the colon; one letter is a drive.
fn scheme(given: &str) -> Option<&str> {
    let (scheme, _) = given.split_once(':')?;
    let letters = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (letters && scheme.len() > 1).then_some(scheme)
}

/// `sqlite:keys.db`, `sqlite://keys.db` and `sqlite:///var/lib/keys.db`.
fn sqlite_path(url: &str) -> Result<PathBuf, &'static str> {
    let path = url.trim_start_matches("sqlite:");
    let path = path.strip_prefix("//").unwrap_or(path);
    match path.contains('?') {
        true => Err("DATABASE_URL has options, which a file of SQLite has not"),
        false => Ok(path.into()),
    }
}

fn unusable(error: &StoreError) -> String {
    format!("DATABASE_URL can't be used: {}", whole(error))
}

/// An error and what it came from.
pub fn whole(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}
