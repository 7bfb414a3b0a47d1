//! What the stages of the road tell each other, and how it ended.

use std::future::Future;
use std::pin::Pin;

use crate::jwt::JwtError;
use crate::limit::{Pending, Permits, Reservation, Standings};
use crate::render::Deprecation;
use crate::store::StoreError;
use crate::{Principal, Rejection, RejectionKind};

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

/// Whose a request's credential is. Small, as it is handed on: what is large waits in a box.
pub(crate) enum Answer {
    /// Whether that one may now, and here, is not judged yet.
    Caller(Principal, InAuthorization),
    Nobody(Nobody),
}

const _: () = assert!(size_of::<Answer>() <= 4 * size_of::<u64>(), "every request hands it on");

/// Whether the credential stood in `Authorization`, of which shared caches know (RFC 9111 section
/// 3.5).
pub(crate) type InAuthorization = bool;

/// A request of which no caller is known.
pub(crate) enum Nobody {
    /// Nobody is asked for.
    Open,
    /// There is no credential.
    Anonymous,
    /// The credential proves nobody.
    Refused(RejectionKind),
    /// The token proves nobody, for this reason.
    Untrusted(JwtError),
    /// Something else than the credential stands in the way.
    Rejected(Box<Rejection>),
}

impl Answer {
    #[cold]
    pub(crate) fn unavailable(error: StoreError) -> Self {
        Nobody::from(Rejection::from(error)).into()
    }
}

impl From<Nobody> for Answer {
    fn from(nobody: Nobody) -> Self {
        Self::Nobody(nobody)
    }
}

impl From<RejectionKind> for Nobody {
    fn from(kind: RejectionKind) -> Self {
        Self::Refused(kind)
    }
}

impl From<Rejection> for Nobody {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(Box::new(rejection))
    }
}

/// How far a caller's request has come when all that is in memory has been asked.
pub(crate) enum Admission {
    In,
    Out(Rejection),
    Counting(Pending),
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
