//! Values in and out of a database, in the four types that the tables use.

use std::error::Error;
use std::vec;

use crate::store::StoreError;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, T::into)
    }
}

/// A row, read from its first column to its last.
#[derive(Debug)]
pub(in crate::store) struct Row(vec::IntoIter<Value>);

/// A row that can't be read is an error: half a record might let somebody in.
#[derive(Debug, thiserror::Error)]
#[error("the column {column} of a row can't be read: {reason}")]
struct Unreadable {
    column: &'static str,
    reason: Box<dyn Error + Send + Sync>,
}

pub(super) fn unreadable(
    column: &'static str,
    reason: impl Into<Box<dyn Error + Send + Sync>>,
) -> StoreError {
    StoreError::other(Unreadable { column, reason: reason.into() })
}

impl Row {
    pub(in crate::store) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    pub(super) fn int(&mut self, column: &'static str) -> Result<i64, StoreError> {
        self.int_or_null(column)?.ok_or_else(|| unreadable(column, "it is null"))
    }

    pub(in crate::store) fn text(&mut self, column: &'static str) -> Result<String, StoreError> {
        self.text_or_null(column)?.ok_or_else(|| unreadable(column, "it is null"))
    }

    pub(super) fn bytes(&mut self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            _ => Err(unreadable(column, "it holds no bytes")),
        }
    }

    pub(super) fn int_or_null(&mut self, column: &'static str) -> Result<Option<i64>, StoreError> {
        match self.0.next() {
            Some(Value::Int(int)) => Ok(Some(int)),
            Some(Value::Null) => Ok(None),
            _ => Err(unreadable(column, "it holds no whole number")),
        }
    }

    pub(super) fn text_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<String>, StoreError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(unreadable(column, "it holds no text")),
        }
    }
}
