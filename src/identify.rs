//! The first half of a request's road: what its credential is, and whose.

use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};

use crate::RejectionKind::{KeyInvalid, TokenInvalid};
use crate::authenticator::Authenticator;
use crate::credential::{Credential, Marks};
use crate::jwt::{Attempt, JwtError, VerifiedToken};
use crate::key::verify::Presented;
use crate::limit::FailureBudget;
use crate::outcome::{Answer, Identity, InAuthorization, Nobody};
use crate::policy::Asks;
use crate::store::{KeyStore, StoreError, TenantDirectory};
use crate::{Head, KeyDigest, Principal, Rejection, Tenant, Timestamp};

impl Authenticator {
    /// The first half: what the credential is, and whose.
    pub(crate) fn identify(&self, request: Head<'_>, now: Timestamp) -> Identity {
        if self.is_open_preflight(request) {
            return Identity::Known(Nobody::Open.into());
        }
        match self.credential(request, now) {
            Ok(Some(Credential::ApiKey(key, marks))) => self.ask_key(&key, marks),
            Ok(Some(Credential::Jwt(token, place))) => self.ask_token(&token, place, now),
            Ok(None) => Identity::Known(Nobody::Anonymous.into()),
            Err(nobody) => Identity::Known(nobody.into()),
        }
    }

    /// A preflight that passes without a principal.
    pub(crate) fn is_open_preflight(&self, request: Head<'_>) -> bool {
        self.preflights_pass && is_preflight(request)
    }

    fn credential<'r>(
        &self,
        request: Head<'r>,
        now: Timestamp,
    ) -> Result<Option<Credential<'r>>, Nobody> {
        if let Some(Asks::Nothing) = self.routes.asks(request)? {
            return Err(Nobody::Open);
        }
        let Some(found) = self.sources.find(request.headers)? else { return Ok(None) };
        self.origin.judge(request, found.sender())?;
        self.check_failures(request, now)?;
        let admits = |environment| self.environments.admits(environment);
        Ok(Some(found.classify(&self.formats, admits)?))
    }

    fn ask_key(&self, key: &[u8], marks: Marks) -> Identity {
        if let Some(peppers) = &self.peppers {
            return self.ask_peppered(peppers, key, marks);
        }
        let digest = KeyDigest::of_bytes(key);
        let presented = Presented { digest, marks, admitted: self.environments };
        self.limits.await_key(&presented.digest);
        match self.store.peek(&presented.digest) {
            Some(found) => Identity::Known(presented.answer(found)),
            None => self.ask_store(presented),
        }
    }

    #[inline(never)]
    fn ask_store(&self, presented: Presented) -> Identity {
        let store = Arc::clone(&self.store);
        Identity::Asked(Box::pin(
            async move { presented.answer(store.find(&presented.digest).await) },
        ))
    }

    #[inline(never)]
    fn ask_token(&self, token: &[u8], place: InAuthorization, now: Timestamp) -> Identity {
        let Some(verifier) = &self.verifier else {
            return Identity::Known(Nobody::Refused(KeyInvalid).into());
        };
        let directory = self.directory.as_ref();
        let attempt = match verifier.try_verify(token, now) {
            Attempt::Ended(verified) => return ask_tenant(directory, verified, place),
            attempt => attempt,
        };
        let (verifier, token, directory) = (verifier.clone(), token.to_owned(), directory.cloned());
        let clock = Arc::clone(&self.clock);
        Identity::Asked(Box::pin(async move {
            let verified = verifier.finish(attempt, &token, &*clock).await;
            match ask_tenant(directory.as_ref(), verified, place) {
                Identity::Known(answer) => answer,
                Identity::Asked(question) => question.await,
            }
        }))
    }

    fn check_failures(&self, request: Head<'_>, now: Timestamp) -> Result<(), Rejection> {
        match &self.failures {
            Some(budget) if budget.is_before_verification() => {
                self.check_budget(budget, request, now)
            }
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn check_budget(
        &self,
        budget: &FailureBudget,
        request: Head<'_>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        budget.check(self.address.of(request), now)
    }
}

fn ask_tenant(
    directory: Option<&Arc<dyn TenantDirectory>>,
    verified: Result<VerifiedToken, JwtError>,
    place: InAuthorization,
) -> Identity {
    let token = match verified {
        Ok(token) => token,
        Err(error) => return Identity::Known(Nobody::Untrusted(error).into()),
    };
    let Some(directory) = directory else {
        let tenant = token.named_tenant().cloned();
        return Identity::Known(Answer::Caller(Principal::of_token(token, tenant), place));
    };
    let Some(id) = token.tenant().cloned() else {
        return Identity::Known(Nobody::Refused(TokenInvalid).into());
    };
    if let Some(tenant) = directory.peek_tenant(&id) {
        return Identity::Known(of_tenant(token, tenant, place));
    }
    let directory = Arc::clone(directory);
    Identity::Asked(Box::pin(async move {
        let tenant = directory.tenant(&id).await;
        of_tenant(token, tenant, place)
    }))
}

fn of_tenant(
    token: VerifiedToken,
    tenant: Result<Option<Arc<Tenant>>, StoreError>,
    place: InAuthorization,
) -> Answer {
    match tenant {
        Ok(tenant) => Answer::Caller(Principal::of_token(token, tenant), place),
        Err(error) => Answer::unavailable(error),
    }
}

/// A browser asks what it may send (Fetch, "CORS-preflight request"); it sends no credential.
fn is_preflight(request: Head<'_>) -> bool {
    request.method == http::Method::OPTIONS
        && request.headers.contains_key(ORIGIN)
        && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
