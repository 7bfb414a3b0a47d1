//! The road of a request, from its head to a principal or a refusal.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::RejectionKind::{self, MissingCredential, TokenInvalid};
use crate::credential::Sources;
use crate::jwt::{JwtVerifiers, VerifiedToken};
use crate::key::{EnvironmentPolicy, Formats, verify};
use crate::limit::{
    Busy, Caller, Concurrencies, CountError, Counted, FailureBudget, Limits, Pending, Reservation,
    Standings, Verdict,
};
use crate::outcome::{Admission, Answer, Identity, Nobody, Outcome, Told};
use crate::policy::{Asks, ClientAddress, Routes, SameOrigin};
use crate::render::Deprecation;
use crate::store::{KeyStore, TenantDirectory};
use crate::trace::Who;
use crate::{
    Clock, Head, KeyRecord, Peppers, Policy, Principal, RefusalSampling, Rejection, Tenant,
    Timestamp,
};

/// Judges requests by their heads; what [`AuthLayer`](crate::AuthLayer) wraps around a service, and
/// usable without one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use keygate::{AuthLayer, RejectionKind, store::MemoryStore};
///
/// let gate = AuthLayer::new(MemoryStore::new()).into_authenticator();
/// let (head, _body) = http::Request::get("/").body(())?.into_parts();
/// let refused = gate.authenticate(&head).await.verdict.unwrap_err();
/// assert_eq!(refused.kind(), RejectionKind::MissingCredential);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Authenticator {
    pub(crate) sources: Sources,
    pub(crate) formats: Formats,
    pub(crate) environments: EnvironmentPolicy,
    pub(crate) peppers: Option<Arc<Peppers>>,
    pub(crate) store: Arc<dyn KeyStore>,
    pub(crate) verifier: Option<JwtVerifiers>,
    pub(crate) directory: Option<Arc<dyn TenantDirectory>>,
    pub(crate) suspended_pass: bool,
    pub(crate) optional: bool,
    pub(crate) preflights_pass: bool,
    pub(crate) routes: Routes,
    pub(crate) policy: Policy,
    pub(crate) origin: SameOrigin,
    pub(crate) address: ClientAddress,
    pub(crate) concurrency: Concurrencies,
    pub(crate) limits: Limits,
    pub(crate) failures: Option<FailureBudget>,
    pub(crate) sampling: RefusalSampling,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// Walks the road: credential, key or JWT, principal, limit, policy.
    pub async fn authenticate<'r>(&self, request: impl Into<Head<'r>>) -> Outcome {
        let request = request.into();
        let answer = match self.identify(request, self.clock.now()) {
            Identity::Known(answer) => answer,
            Identity::Asked(question) => question.await,
        };
        let mut told = Told::default();
        let verdict = match answer {
            Answer::Nobody(nobody) => self.admit_nobody(request, nobody, self.clock.now()),
            Answer::Caller(principal, _) => {
                let mut admission = self.admit(request, &principal, self.clock.now(), &mut told);
                let judged = loop {
                    let counted = match admission {
                        Admission::In => break Ok(()),
                        Admission::Out(rejection) => break Err(rejection),
                        Admission::Counting(pending) => pending.await,
                    };
                    let now = self.clock.now();
                    admission = self.conclude(request, &principal, counted, now, &mut told);
                };
                judged.map(|()| Some(principal))
            }
        };
        let Told { standings, deprecation, reservation, permits, .. } = told;
        let deprecation = deprecation.map(|deprecation| *deprecation);
        Outcome { verdict, standings, deprecation, reservation, permits }
    }

    /// The second half, of a request that has a caller: whether it may now, and whether it may here.
    ///
    /// The limit comes before the policy: a request refused for its scope counts like any other of
    /// its caller.
    pub(crate) fn admit(
        &self,
        request: Head<'_>,
        principal: &Principal,
        now: Timestamp,
        told: &mut Told,
    ) -> Admission {
        if let Err(kind) = self.prove(request, principal, now) {
            return Admission::Out(self.refuse(request, kind, Some(principal), now));
        }
        if principal.key().is_some_and(|record| record.deprecated().is_some()) {
            deprecate(principal, told);
        }
        if !self.concurrency.is_empty() {
            match self.enter(principal, now, told) {
                Ok(None) => {}
                Ok(Some(pending)) => return Admission::Counting(pending),
                Err(busy) => return self.turn_back(request, principal, busy, now, told),
            }
        }
        let counted = self.count(request, principal, now, &mut told.standings);
        self.follow(request, principal, counted, now, told)
    }

    /// The second half, of a request that has none.
    pub(crate) fn admit_nobody(
        &self,
        request: Head<'_>,
        nobody: Nobody,
        now: Timestamp,
    ) -> Result<Option<Principal>, Rejection> {
        let judged = match nobody {
            Nobody::Open => Ok(()),
            Nobody::Anonymous => self.pass_anonymous(request).map_err(Rejection::from),
            Nobody::Refused(kind) => Err(kind.into()),
            Nobody::Untrusted(error) => Err(error.into()),
            Nobody::Rejected(rejection) => Err(*rejection),
        };
        judged.map(|()| None).map_err(|why| self.refuse(request, why, None, now))
    }

    /// The second half of a request that somebody else has counted, or let run.
    pub(crate) fn conclude(
        &self,
        request: Head<'_>,
        principal: &Principal,
        counted: Counted,
        now: Timestamp,
        told: &mut Told,
    ) -> Admission {
        counted.standings.as_slice().iter().for_each(|one| told.standings.push(one.clone()));
        let verdict = match counted.permits {
            None => counted.verdict.map(Ok),
            Some(permits) => {
                told.permits = permits;
                self.count(request, principal, now, &mut told.standings)
            }
        };
        self.follow(request, principal, verdict, now, told)
    }

    // On the road of every request, where to hand these on costs as much as to look at them.
    #[inline(always)]
    fn follow(
        &self,
        request: Head<'_>,
        principal: &Principal,
        counted: Result<Result<Verdict, Pending>, CountError>,
        now: Timestamp,
        told: &mut Told,
    ) -> Admission {
        let limited = match counted {
            Ok(Ok(Verdict::Admitted)) => Ok(()),
            Ok(Ok(verdict)) => self.heed(verdict, told),
            Ok(Err(pending)) => return Admission::Counting(pending),
            Err(error) => Err(unavailable(error)),
        };
        self.finish(request, principal, limited, now, told)
    }

    #[inline]
    fn finish(
        &self,
        request: Head<'_>,
        principal: &Principal,
        limited: Result<(), Rejection>,
        now: Timestamp,
        told: &mut Told,
    ) -> Admission {
        match limited.and_then(|()| self.judge(request, principal)) {
            Ok(()) => Admission::In,
            Err(why) => self.turn_back(request, principal, why, now, told),
        }
    }

    /// Ends the road of a request that has a caller.
    #[cold]
    fn turn_back(
        &self,
        request: Head<'_>,
        principal: &Principal,
        why: Rejection,
        now: Timestamp,
        told: &mut Told,
    ) -> Admission {
        told.let_go();
        self.who(request, Some(principal)).was_refused(&why, &self.sampling, now);
        Admission::Out(why)
    }

    fn prove(
        &self,
        request: Head<'_>,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<(), RejectionKind> {
        match principal.key() {
            Some(record) => self.prove_key(request, record, now),
            None => self.prove_tenant(principal),
        }
    }

    /// A rule that asks for a caller does so where authentication is optional otherwise, too.
    fn pass_anonymous(&self, request: Head<'_>) -> Result<(), RejectionKind> {
        let asked = self.routes.asks(request)?.is_some() || self.policy.asks_more();
        if self.optional && !asked { Ok(()) } else { Err(MissingCredential) }
    }

    fn prove_key(
        &self,
        request: Head<'_>,
        record: &KeyRecord,
        now: Timestamp,
    ) -> Result<(), RejectionKind> {
        verify::verify(record, now)?;
        self.check_suspension(record.tenant())?;
        verify::verify_address(record, || self.address.of(request))
    }

    /// With a directory, a token's tenant has to be in it, under exactly its name: a database that
    /// folds case would make one tenant of two.
    #[inline(never)]
    fn prove_tenant(&self, principal: &Principal) -> Result<(), RejectionKind> {
        let named = principal.token().and_then(VerifiedToken::tenant);
        match principal.tenant() {
            Some(tenant) if named != Some(tenant.id()) => Err(TokenInvalid),
            Some(tenant) => self.check_suspension(tenant),
            None if self.directory.is_some() => Err(TokenInvalid),
            None => Ok(()),
        }
    }

    fn check_suspension(&self, tenant: &Tenant) -> Result<(), RejectionKind> {
        if tenant.is_suspended() && !self.suspended_pass {
            return Err(RejectionKind::TenantSuspended);
        }
        Ok(())
    }

    #[cold]
    fn heed(&self, verdict: Verdict, told: &mut Told) -> Result<(), Rejection> {
        match verdict {
            Verdict::Admitted => Ok(()),
            Verdict::Reserved(holds) => {
                told.reservation = Some(Reservation::new(*holds, &self.clock));
                Ok(())
            }
            Verdict::After(nanos) => Err(too_many(Some(Duration::from_nanos(nanos)))),
            Verdict::Never => Err(too_many(None)),
        }
    }

    #[cold]
    fn enter(
        &self,
        principal: &Principal,
        now: Timestamp,
        told: &mut Told,
    ) -> Result<Option<Pending>, Rejection> {
        let entered = self.concurrency.enter(principal, now, &mut told.standings);
        let entered = entered.map_err(|busy| match busy {
            Busy::After(wait) => too_many(Some(wait)),
            Busy::Unknown(error) => unavailable(error),
        })?;
        Ok(entered.map(|permits| told.permits = permits).err())
    }

    fn count(
        &self,
        request: Head<'_>,
        principal: &Principal,
        now: Timestamp,
        standings: &mut Standings,
    ) -> Result<Result<Verdict, Pending>, CountError> {
        if self.limits.is_empty() {
            return Ok(Ok(Verdict::Admitted));
        }
        let caller = Caller::new(principal, &request, &self.address);
        self.limits.count(&caller, now, standings)
    }

    fn judge(&self, request: Head<'_>, principal: &Principal) -> Result<(), Rejection> {
        self.policy.check(principal)?;
        if self.routes.is_empty() { Ok(()) } else { self.judge_route(request, principal) }
    }

    #[inline(never)]
    fn judge_route(&self, request: Head<'_>, principal: &Principal) -> Result<(), Rejection> {
        match self.routes.asks(request)? {
            Some(Asks::Policy(policy)) => policy.check(principal),
            Some(Asks::Nothing) | None => Ok(()),
        }
    }

    /// Ends the road of a request whose caller is not proved. The log names whom it hits where that
    /// is known, the answer does not.
    #[cold]
    fn refuse(
        &self,
        request: Head<'_>,
        why: impl Into<Rejection>,
        who: Option<&Principal>,
        now: Timestamp,
    ) -> Rejection {
        let why = why.into();
        let rejection = match &self.failures {
            Some(budget) if is_failure(why.kind()) => {
                let shown = || self.shown(request);
                budget.fail_with(self.address.of(request), shown, now).err().unwrap_or(why)
            }
            _ => why,
        };
        let who = self.who(request, who).showing(|| self.shown(request));
        who.was_refused(&rejection, &self.sampling, now);
        rejection
    }

    pub(crate) fn who(&self, request: Head<'_>, principal: Option<&Principal>) -> Who {
        Who::is(principal, || self.address.of(request))
    }

    /// What may be shown of the key presented.
    fn shown(&self, request: Head<'_>) -> Option<String> {
        let found = self.sources.find(request.headers).ok()??;
        found.display(&self.formats)
    }
}

#[cold]
fn deprecate(principal: &Principal, told: &mut Told) {
    told.deprecation = principal.key().and_then(Deprecation::of).map(Box::new);
}

/// A credential was presented and was not good: an attempt.
fn is_failure(kind: RejectionKind) -> bool {
    kind.status() == http::StatusCode::UNAUTHORIZED && kind != MissingCredential
}

#[cold]
fn too_many(wait: Option<Duration>) -> Rejection {
    let rejection = Rejection::new(RejectionKind::RateLimited);
    match wait {
        Some(wait) => rejection.with_retry_after(wait),
        None => rejection,
    }
}

#[cold]
fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Rejection {
    Rejection::new(RejectionKind::Unavailable).with_source(error)
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("sources", &self.sources)
            .field("environments", &self.environments)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
