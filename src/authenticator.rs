//! The road of a request, from its head to a principal or a refusal.

use std::fmt;
use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};

use crate::RejectionKind::{self, KeyInvalid, MissingCredential, TokenInvalid};
use crate::credential::{Credential, Marks, Sources};
use crate::jwt::{Attempt, JwtError, JwtVerifiers, VerifiedToken};
use crate::key::verify::{self, Presented};
use crate::key::{EnvironmentPolicy, Formats};
use crate::limit::{
    Busy, Caller, Concurrencies, CountError, Counted, FailureBudget, Holds, Limits, Pending,
    Reservation, Standings, Verdict,
};
use crate::outcome::{Admission, Answer, Identity, Outcome, Refused, Told};
use crate::policy::{Asks, ClientAddress, Routes, SameOrigin};
use crate::render::Deprecation;
use crate::store::{KeyStore, TenantDirectory};
use crate::trace::Who;
use crate::{
    Clock, Head, KeyDigest, KeyRecord, Peppers, Policy, Principal, RefusalSampling, Rejection,
    Tenant, TenantId, Timestamp,
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
        let verdict = match self.admit(request, answer, self.clock.now(), &mut told) {
            Admission::Decided(verdict) => verdict,
            Admission::Counting(principal, pending) => {
                let counted = pending.await;
                self.conclude(request, principal, counted, self.clock.now(), &mut told)
            }
        };
        let Told { standings, deprecation, reservation, permits, .. } = told;
        let deprecation = deprecation.map(|deprecation| *deprecation);
        Outcome { verdict, standings, deprecation, reservation, permits }
    }

    /// The first half: what the credential is, and what is known of it.
    pub(crate) fn identify(&self, request: Head<'_>, now: Timestamp) -> Identity {
        if self.is_open_preflight(request) {
            return Identity::Known(Answer::Open);
        }
        match self.credential(request, now) {
            Ok(Some(Credential::ApiKey(key, marks))) => self.ask_key(&key, marks),
            Ok(Some(Credential::Jwt(token))) => self.ask_token(&token, now),
            Ok(None) => Identity::Known(Answer::Anonymous),
            Err(answer) => Identity::Known(answer),
        }
    }

    /// The second half: who that is, whether it may now, and whether it may here.
    ///
    /// The limit comes before the policy: a request refused for its scope counts like any other of
    /// its caller.
    pub(crate) fn admit(
        &self,
        request: Head<'_>,
        answer: Answer,
        now: Timestamp,
        told: &mut Told,
    ) -> Admission {
        told.needs_privacy = answer.needs_privacy(request);
        let principal = match self.prove(request, answer, now) {
            Ok(Some(principal)) => principal,
            Ok(None) => return Admission::Decided(Ok(None)),
            Err(refused) => {
                return Admission::Decided(Err(self.refuse(request, refused, now)));
            }
        };
        told.deprecation = principal.key().and_then(Deprecation::of).map(Box::new);
        let limited = match self.limit(request, &principal, now, told) {
            Ok(Err(pending)) => return Admission::Counting(principal, pending),
            Ok(Ok(verdict)) => self.limited(verdict, told),
            Err(rejection) => Err(rejection),
        };
        Admission::Decided(self.finish(request, principal, limited, now, told))
    }

    /// The second half of a request that somebody else has counted.
    pub(crate) fn conclude(
        &self,
        request: Head<'_>,
        principal: Principal,
        counted: Counted,
        now: Timestamp,
        told: &mut Told,
    ) -> Result<Option<Principal>, Rejection> {
        counted.standings.as_slice().iter().for_each(|one| told.standings.push(one.clone()));
        let limited = counted.verdict.map_err(unavailable);
        let limited = limited.and_then(|verdict| self.limited(verdict, told));
        self.finish(request, principal, limited, now, told)
    }

    #[inline]
    fn finish(
        &self,
        request: Head<'_>,
        principal: Principal,
        limited: Result<(), Rejection>,
        now: Timestamp,
        told: &mut Told,
    ) -> Result<Option<Principal>, Rejection> {
        let judged = limited.and_then(|()| self.judge(request, &principal));
        if let Err(rejection) = &judged {
            told.let_go();
            self.who(request, Some(&principal)).was_refused(rejection, &self.sampling, now);
        }
        judged.map(|()| Some(principal))
    }

    /// A preflight that passes without a principal.
    pub(crate) fn is_open_preflight(&self, request: Head<'_>) -> bool {
        self.preflights_pass && is_preflight(request)
    }

    fn credential<'r>(
        &self,
        request: Head<'r>,
        now: Timestamp,
    ) -> Result<Option<Credential<'r>>, Answer> {
        if let Some(Asks::Nothing) = self.routes.asks(request).map_err(Answer::Refused)? {
            return Err(Answer::Open);
        }
        let found = self.sources.find(request.headers).map_err(Answer::Refused)?;
        let Some(found) = found else { return Ok(None) };
        self.origin.judge(request, found.sender()).map_err(Answer::Refused)?;
        self.check_failures(request, now).map_err(Answer::Rejected)?;
        let admits = |environment| self.environments.admits(environment);
        found.classify(&self.formats, admits).map(Some).map_err(Answer::Refused)
    }

    fn ask_key(&self, key: &[u8], marks: Marks) -> Identity {
        if let Some(peppers) = &self.peppers {
            return self.ask_peppered(peppers, key, marks);
        }
        let presented = Presented { digest: KeyDigest::of_bytes(key), marks };
        if let Some(found) = self.store.peek(&presented.digest) {
            return Identity::Known(Answer::Key(presented, found));
        }
        let store = Arc::clone(&self.store);
        Identity::Asked(Box::pin(async move {
            let found = store.find(&presented.digest).await;
            Answer::Key(presented, found)
        }))
    }

    fn ask_token(&self, token: &[u8], now: Timestamp) -> Identity {
        let Some(verifier) = &self.verifier else {
            return Identity::Known(Answer::Refused(KeyInvalid));
        };
        let directory = self.directory.as_ref();
        let attempt = match verifier.try_verify(token, now) {
            Attempt::Ended(verified) => return ask_tenant(directory, verified),
            attempt => attempt,
        };
        let (verifier, token, directory) = (verifier.clone(), token.to_owned(), directory.cloned());
        let clock = Arc::clone(&self.clock);
        Identity::Asked(Box::pin(async move {
            let verified = verifier.finish(attempt, &token, &*clock).await;
            match ask_tenant(directory.as_ref(), verified) {
                Identity::Known(answer) => answer,
                Identity::Asked(question) => question.await,
            }
        }))
    }

    fn prove(
        &self,
        request: Head<'_>,
        answer: Answer,
        now: Timestamp,
    ) -> Result<Option<Principal>, Refused> {
        let (principal, judged) = match answer {
            Answer::Open => return Ok(None),
            Answer::Anonymous => return self.pass_anonymous(request).map(|()| None),
            Answer::Refused(kind) => return Err(kind.into()),
            Answer::Rejected(rejection) => return Err(rejection.into()),
            Answer::Key(presented, found) => {
                let record = found.map_err(unavailable)?.ok_or(KeyInvalid)?;
                let judged = self.prove_key(request, &record, &presented, now);
                (Principal::of_key(record), judged)
            }
            Answer::Token(token, tenant) => {
                let tenant = tenant.map_err(unavailable)?;
                let judged = self.prove_tenant(token.tenant(), tenant.as_deref());
                (Principal::of_token(token, tenant), judged)
            }
        };
        match judged {
            Ok(()) => Ok(Some(principal)),
            Err(kind) => Err(Refused { why: kind.into(), who: Some(principal) }),
        }
    }

    /// A rule that asks for a caller does so where authentication is optional otherwise, too.
    fn pass_anonymous(&self, request: Head<'_>) -> Result<(), Refused> {
        let asked = self.routes.asks(request)?.is_some() || self.policy.asks_more();
        if self.optional && !asked { Ok(()) } else { Err(MissingCredential.into()) }
    }

    fn prove_key(
        &self,
        request: Head<'_>,
        record: &KeyRecord,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<(), RejectionKind> {
        verify::verify(record, presented, self.environments, now)?;
        self.check_suspension(record.tenant())?;
        verify::verify_address(record, || self.address.of(request))
    }

    /// With a directory, a token's tenant has to be in it, under exactly its name: a database that
    /// folds case would make one tenant of two.
    fn prove_tenant(
        &self,
        named: Option<&TenantId>,
        tenant: Option<&Tenant>,
    ) -> Result<(), RejectionKind> {
        match tenant {
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

    fn limit(
        &self,
        request: Head<'_>,
        principal: &Principal,
        now: Timestamp,
        told: &mut Told,
    ) -> Result<Result<Verdict, Pending>, Rejection> {
        if !self.concurrency.is_empty() {
            self.enter(principal, now, told)?;
        }
        if self.limits.is_empty() {
            return Ok(Ok(Verdict::Admitted));
        }
        self.count(request, principal, now, &mut told.standings).map_err(unavailable)
    }

    fn limited(&self, verdict: Verdict, told: &mut Told) -> Result<(), Rejection> {
        match verdict {
            Verdict::Admitted => {}
            Verdict::Reserved(holds) => self.reserve(*holds, told),
            Verdict::Denied(wait) => return Err(limited(wait)),
        }
        Ok(())
    }

    #[cold]
    fn enter(
        &self,
        principal: &Principal,
        now: Timestamp,
        told: &mut Told,
    ) -> Result<(), Rejection> {
        let entered = self.concurrency.enter(principal, now, &mut told.standings);
        told.permits = entered.map_err(|busy| match busy {
            Busy::After(wait) => limited(Some(wait)),
            Busy::Unknown(error) => unavailable(error),
        })?;
        Ok(())
    }

    #[cold]
    fn reserve(&self, holds: Holds, told: &mut Told) {
        told.reservation = Some(Reservation::new(holds, &self.clock));
    }

    fn count(
        &self,
        request: Head<'_>,
        principal: &Principal,
        now: Timestamp,
        standings: &mut Standings,
    ) -> Result<Result<Verdict, Pending>, CountError> {
        let address = || self.address.of(request);
        let address = self.limits.look_at_address().then(address).flatten();
        let caller = Caller::new(principal, request, address);
        self.limits.count(&caller, now, standings)
    }

    fn judge(&self, request: Head<'_>, principal: &Principal) -> Result<(), Rejection> {
        self.policy.check(principal)?;
        match self.routes.asks(request)? {
            Some(Asks::Policy(policy)) => policy.check(principal),
            Some(Asks::Nothing) | None => Ok(()),
        }
    }

    /// Ends the road of a request that has no principal.
    #[cold]
    fn refuse(&self, request: Head<'_>, refused: Refused, now: Timestamp) -> Rejection {
        let Refused { why, who } = refused;
        let rejection = match &self.failures {
            Some(budget) if is_failure(why.kind()) => {
                let shown = || self.shown(request);
                budget.fail_with(self.address.of(request), shown, now).err().unwrap_or(why)
            }
            _ => why,
        };
        let who = self.who(request, who.as_ref()).showing(|| self.shown(request));
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

    fn check_failures(&self, request: Head<'_>, now: Timestamp) -> Result<(), Rejection> {
        match &self.failures {
            Some(budget) if budget.is_before_verification() => {
                budget.check(self.address.of(request), now)
            }
            _ => Ok(()),
        }
    }
}

fn ask_tenant(
    directory: Option<&Arc<dyn TenantDirectory>>,
    verified: Result<VerifiedToken, JwtError>,
) -> Identity {
    let token = match verified {
        Ok(token) => token,
        Err(error) => return Identity::Known(Answer::Rejected(error.into())),
    };
    let Some(directory) = directory else {
        let tenant = token.named_tenant().cloned();
        return Identity::Known(Answer::Token(token, Ok(tenant)));
    };
    let Some(id) = token.tenant().cloned() else {
        return Identity::Known(Answer::Refused(TokenInvalid));
    };
    if let Some(tenant) = directory.peek_tenant(&id) {
        return Identity::Known(Answer::Token(token, tenant));
    }
    let directory = Arc::clone(directory);
    Identity::Asked(Box::pin(async move {
        let tenant = directory.tenant(&id).await;
        Answer::Token(token, tenant)
    }))
}

/// A browser asks what it may send (Fetch, "CORS-preflight request"); it sends no credential.
fn is_preflight(request: Head<'_>) -> bool {
    request.method == http::Method::OPTIONS
        && request.headers.contains_key(ORIGIN)
        && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// A credential was presented and was not good: an attempt.
fn is_failure(kind: RejectionKind) -> bool {
    kind.status() == http::StatusCode::UNAUTHORIZED && kind != MissingCredential
}

fn limited(wait: Option<std::time::Duration>) -> Rejection {
    let rejection = Rejection::new(RejectionKind::RateLimited);
    match wait {
        Some(wait) => rejection.with_retry_after(wait),
        None => rejection,
    }
}

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
