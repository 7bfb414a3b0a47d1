//! Why no token was issued.

use std::error::Error;

use crate::{Rejection, RejectionKind};

/// A token that could not be issued.
#[derive(Debug, thiserror::Error)]
#[error("no token was issued: {reason}")]
pub struct IssueError {
    reason: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl IssueError {
    pub(crate) const fn new(reason: &'static str) -> Self {
        Self { reason, source: None }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl From<IssueError> for Rejection {
    /// [`Unavailable`](RejectionKind::Unavailable): the client can't mend it.
    fn from(error: IssueError) -> Self {
        Self::new(RejectionKind::Unavailable).with_source(error)
    }
}
