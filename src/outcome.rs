//! What the stages of the road tell each other, and how it ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::header::AUTHORIZATION;

use crate::jwt::VerifiedToken;
use crate::key::verify::Presented;
use crate::limit::{Pending, Permits, Reservation, Standings};
use crate::render::Deprecation;
use crate::store::StoreError;
use crate::{Head, KeyRecord, Principal, Rejection, RejectionKind, Tenant};

/// How a request's road ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Who may pass, `None` on a public route or, where authentication is optional, for a request
    /// without a credential; or why nobody may.
    pub verdict: Result<Option<Principal>, Rejection>,
    /// Where an authenticated caller stands against its limits, refused or not.
    pub standings: Standings,
    /// For an authenticated caller whose key has a successor: what its answer is to say, refused or
    /// not.
    pub deprecation: Option<Deprecation>,
    /// What limits that are [settled later](crate::Limit::settle_later) have reserved for a request
    /// that may pass.
    pub reservation: Option<Reservation>,
    /// To be kept for as long as the request runs, where a [`Concurrency`](crate::Concurrency) counts
    /// it.
    pub permits: Permits,
}

/// What answers to an authenticated caller are to say, and what its request holds.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) standings: Standings,
    /// In a box: few have one, and all carry its place.
    pub(crate) deprecation: Option<Box<Deprecation>>,
    pub(crate) reservation: Option<Reservation>,
    pub(crate) permits: Permits,
    /// Shared caches can't see that the answer is for one caller only.
    pub(crate) needs_privacy: bool,
}

/// What the stores have told of a credential, or what is known without them.
pub(crate) enum Answer {
    Open,
    Anonymous,
    Refused(RejectionKind),
    Rejected(Rejection),
    Key(Presented, Result<Option<Arc<KeyRecord>>, StoreError>),
    Token(VerifiedToken, Result<Option<Arc<Tenant>>, StoreError>),
}

impl Answer {
    /// RFC 9111 section 3.5 protects answers to `Authorization` only.
    pub(crate) fn needs_privacy(&self, request: Head<'_>) -> bool {
        match self {
            Self::Key(presented, _) => !presented.marks.in_authorization,
            Self::Token(..) => !request.headers.contains_key(AUTHORIZATION),
            Self::Open | Self::Anonymous | Self::Refused(_) | Self::Rejected(_) => false,
        }
    }
}

/// A refusal, and whom it hits where that is known: the log names them, the answer does not.
pub(crate) struct Refused {
    pub(crate) why: Rejection,
    pub(crate) who: Option<Principal>,
}

impl From<Rejection> for Refused {
    fn from(why: Rejection) -> Self {
        Self { why, who: None }
    }
}

impl From<RejectionKind> for Refused {
    fn from(kind: RejectionKind) -> Self {
        Rejection::from(kind).into()
    }
}

/// How far a request has come when all that is in memory has been asked.
pub(crate) enum Admission {
    Decided(Result<Option<Principal>, Rejection>),
    Counting(Principal, Pending),
}

/// A question that a store has to answer.
pub(crate) type Question = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// An answer, at once where the stores are in memory.
pub(crate) enum Identity {
    Known(Answer),
    Asked(Question),
}

impl Told {
    /// Gives back what a request holds that does not pass.
    #[cold]
    pub(crate) fn let_go(&mut self) {
        self.reservation = None;
        self.permits = Permits::default();
    }
}
