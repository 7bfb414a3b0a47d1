//! What SQLite's failures mean.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

pub(super) fn store(error: Error) -> StoreError {
    match error.sqlite_error() {
        Some(failure) if is_outage(failure.code) => StoreError::unavailable(error),
        Some(failure) if is_collision(failure.extended_code) => StoreError::conflict(error),
        _ => StoreError::other(error),
    }
}

/// What whoever lends connections fails with: a pool that has none, if it is nothing of SQLite's.
pub(super) fn lender(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    match Box::<dyn std::error::Error + Send + Sync>::from(error).downcast::<Error>() {
        Ok(error) => store(*error),
        Err(error) => StoreError::unavailable(error),
    }
}

/// The file is locked by somebody, or the disk below it fails or is full: later it may work.
pub(super) fn is_outage(code: ErrorCode) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
        OperationInterrupted, OutOfMemory, SystemIoFailure,
    };
    matches!(
        code,
        CannotOpen
            | DatabaseBusy
            | DatabaseLocked
            | DiskFull
            | FileLockingProtocolFailed
            | OperationInterrupted
            | OutOfMemory
            | SystemIoFailure
    )
}

/// SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE.
fn is_collision(extended_code: i32) -> bool {
    matches!(extended_code, 1555 | 2067)
}
