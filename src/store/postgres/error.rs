//! What PostgreSQL's failures mean.

use std::error::Error as _;
use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

pub(super) fn pool(error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => store(error),
        PoolError::Closed | PoolError::Timeout(_) => StoreError::unavailable(error),
        error => StoreError::other(error),
    }
}

pub(super) fn store(error: Error) -> StoreError {
    match error.code() {
        Some(state) if *state == SqlState::UNIQUE_VIOLATION => conflict(&error),
        Some(state) if is_outage(state) => StoreError::unavailable(error),
        Some(_) => StoreError::other(error),
        None if is_cut(&error) => StoreError::unavailable(error),
        None => StoreError::other(error),
    }
}

/// Only what was violated: the server's own words hold the digest or id that exists already.
fn conflict(error: &Error) -> StoreError {
    let constraint = error.as_db_error().and_then(|error| error.constraint());
    StoreError::conflict(format!("violates {}", constraint.unwrap_or("a unique constraint")))
}

/// True when two transactions got in each other's way, and this one was chosen to give in.
pub(super) fn is_repeatable(error: &StoreError) -> bool {
    let cause = error.source().and_then(|source| source.downcast_ref::<Error>());
    cause.and_then(Error::code).is_some_and(is_collision_in_time)
}

/// A class of states (the first two characters, see appendix A of PostgreSQL's manual) or a state
/// that ends by itself: connections (08), resources (53), operator intervention (57, a shutdown among
/// them), the system below the server (58), a lock that was not to be had, a server that is no
/// primary any more or not yet.
fn is_outage(state: &SqlState) -> bool {
    let class = state.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "53" | "57" | "58")
        || *state == SqlState::LOCK_NOT_AVAILABLE
        || *state == SqlState::READ_ONLY_SQL_TRANSACTION
        || is_collision_in_time(state)
}

fn is_collision_in_time(state: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(state)
}

/// The connection was closed, or never came to be.
fn is_cut(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<io::Error>() {
            return true;
        }
        source = cause.source();
    }
    error.is_closed()
}
