//! Running clauses.

use std::fmt;
use std::time::Duration;

use crate::store::{KeyAdmin, TenantDirectory, UsageStore};

/// Far longer than any clause takes.
const LIMIT: Duration = Duration::from_secs(60);

/// One clause of a contract, ready to be tested on a store.
pub struct Clause {
    name: &'static str,
    run: Box<dyn FnOnce() + Send>,
}

impl Clause {
    pub(super) fn new(name: &'static str, run: impl FnOnce() + Send + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// What it says, in words joined by `_`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Tests it, on a fresh store.
    ///
    /// # Panics
    ///
    /// When the store does not keep to it.
    pub fn run(self) {
        (self.run)();
    }
}

impl fmt::Debug for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clause").field(&self.name).finish()
    }
}

/// Tests one clause on the store that `fresh` gives.
///
/// # Panics
///
/// When the store does not keep to it, or the clause takes longer than a minute.
pub fn check<S, F: Future<Output = ()>>(
    fresh: impl Future<Output = S>,
    clause: impl FnOnce(S) -> F,
) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.worker_threads(4).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let test = async { clause(fresh.await).await };
    let done = runtime.block_on(async { tokio::time::timeout(LIMIT, test).await });
    assert!(done.is_ok(), "it took longer than {LIMIT:?}");
}

/// The clauses of keys: on stores that `fresh` gives, one for each.
pub fn keys_of<S: KeyAdmin, F: Future<Output = S>>(
    fresh: impl Fn() -> F + Clone + Send + 'static,
) -> Vec<Clause> {
    crate::__conformance_clauses!(keys list fresh)
}

/// The clauses of tenants.
pub fn tenants_of<S: KeyAdmin + TenantDirectory, F: Future<Output = S>>(
    fresh: impl Fn() -> F + Clone + Send + 'static,
) -> Vec<Clause> {
    crate::__conformance_clauses!(tenants list fresh)
}

/// The clauses of usage.
pub fn usage_of<S: UsageStore, F: Future<Output = S>>(
    fresh: impl Fn() -> F + Clone + Send + 'static,
) -> Vec<Clause> {
    crate::__conformance_clauses!(usage list fresh)
}

/// The clauses of an outage, on stores whose backend is away.
pub fn outage_of<S: KeyAdmin, F: Future<Output = S>>(
    broken: impl Fn() -> F + Clone + Send + 'static,
) -> Vec<Clause> {
    crate::__conformance_clauses!(outage list broken)
}

/// The clauses of keys, tenants and usage.
pub fn all<S: KeyAdmin + TenantDirectory + UsageStore, F: Future<Output = S>>(
    fresh: impl Fn() -> F + Clone + Send + 'static,
) -> Vec<Clause> {
    let mut clauses = keys_of(fresh.clone());
    clauses.extend(tenants_of(fresh.clone()));
    clauses.extend(usage_of(fresh));
    clauses
}
