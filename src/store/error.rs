//! What can go wrong in a store: opaque to the gate, complete for whoever reads the log.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

type Source = Box<dyn Error + Send + Sync>;

/// A store's failure. No client ever sees more of it than "unavailable".
#[derive(Debug)]
pub struct StoreError {
    kind: Kind,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unavailable,
    Conflict,
    Other,
}

impl StoreError {
    /// The backend is away, overloaded or too slow: the same call may succeed later.
    pub fn unavailable(source: impl Into<Source>) -> Self {
        Self { kind: Kind::Unavailable, source: source.into() }
    }

    /// The write contradicts what is stored: an id or digest that exists already, or a record that
    /// somebody else has changed meanwhile.
    pub fn conflict(source: impl Into<Source>) -> Self {
        Self { kind: Kind::Conflict, source: source.into() }
    }

    /// Anything else: a row that can't be read, a query that is wrong.
    pub fn other(source: impl Into<Source>) -> Self {
        Self { kind: Kind::Other, source: source.into() }
    }

    /// One failure that several callers wait for.
    pub(super) fn shared(error: Arc<Self>) -> Self {
        Self { kind: error.kind, source: Box::new(Shared(error)) }
    }

    /// True when the backend is away.
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// True when the write contradicts what is stored.
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Unavailable => "the store is unavailable",
            Kind::Conflict => "the write conflicts with what is stored",
            Kind::Other => "the store failed",
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Somebody else's failure, which says what that says.
#[derive(Debug)]
struct Shared(Arc<StoreError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.source, f)
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.source()
    }
}
