//! The claims: what a token must say, and until when.

use std::sync::Arc;
use std::time::Duration;

use super::error::{JwtError, JwtErrorKind};
use super::json::{Object, Value};
use super::token::VerifiedToken;
use crate::{ScopeSet, TenantId, Timestamp};

/// What the claims of one issuer's tokens must be.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Any, when none.
    pub(crate) issuer: Option<Arc<str>>,
    /// Any, when none.
    pub(crate) audiences: Option<Vec<String>>,
    pub(crate) leeway: Duration,
    pub(crate) max_age: Option<Duration>,
    pub(crate) subject_claim: String,
    pub(crate) tenant_claim: String,
    pub(crate) scope_claims: Vec<String>,
    pub(crate) required: Vec<String>,
}

impl Rules {
    /// Judges claims whose signature is known to be good.
    pub(crate) fn admit(&self, json: String, now: Timestamp) -> Result<VerifiedToken, JwtError> {
        let claims = Object::parse(&json).map_err(unreadable)?;
        self.check_required(&claims)?;
        self.check_audience(&claims)?;
        let mut token = VerifiedToken {
            issuer: self.issuer(&claims)?,
            subject: self.subject(&claims)?.into(),
            tenant: self.tenant(&claims)?,
            scopes: self.scopes(&claims)?,
            id: claims.text("jti", JwtError::claims("jti is not text"))?.map(Arc::from),
            expires: time(&claims, "exp").ok_or(JwtError::claims("exp is absent"))?,
            issued_at: time(&claims, "iat"),
            claims: Arc::default(),
        };
        self.check_begun(&claims, now)?;
        self.check_not_over(&token, now)?;
        token.claims = json.into();
        Ok(token)
    }

    fn check_required(&self, claims: &Object<'_>) -> Result<(), JwtError> {
        let absent = |name: &String| matches!(claims.get(name), None | Some(Value::Null));
        match self.required.iter().any(absent) {
            true => Err(JwtError::claims("a required claim is absent")),
            false => Ok(()),
        }
    }

    /// RFC 9068 section 4: exactly the issuer; a list of issuers is no issuer.
    fn issuer(&self, claims: &Object<'_>) -> Result<Option<Arc<str>>, JwtError> {
        let issuer = claims.text("iss", JwtError::claims("iss is not text"))?;
        match &self.issuer {
            None => Ok(issuer.map(Arc::from)),
            Some(expected) if issuer == Some(expected) => Ok(Some(expected.clone())),
            Some(_) => Err(JwtError::claims("iss is not the expected issuer")),
        }
    }

    fn check_audience(&self, claims: &Object<'_>) -> Result<(), JwtError> {
        let named = match claims.get("aud") {
            Some(audience) => self.names_us(audience),
            None => self.audiences.is_none(),
        };
        match named {
            true => Ok(()),
            false => Err(JwtError::claims("aud doesn't name this service")),
        }
    }

    /// True for a text or a list of nothing but texts, one of which is ours.
    fn names_us(&self, audience: &Value<'_>) -> bool {
        let ours = |name: &str| match &self.audiences {
            Some(audiences) => audiences.iter().any(|own| own == name),
            None => true,
        };
        audience.texts().all(|text| text.is_some()) && audience.texts().flatten().any(ours)
    }

    fn subject<'c>(&self, claims: &'c Object<'_>) -> Result<&'c str, JwtError> {
        match claims.text(&self.subject_claim, JwtError::claims("the subject is not text"))? {
            Some(subject) if !subject.is_empty() => Ok(subject),
            _ => Err(JwtError::claims("the subject is absent or empty")),
        }
    }

    fn tenant(&self, claims: &Object<'_>) -> Result<Option<TenantId>, JwtError> {
        match claims.text(&self.tenant_claim, JwtError::claims("the tenant is not text"))? {
            Some("") => Err(JwtError::claims("the tenant is empty")),
            tenant => Ok(tenant.map(TenantId::from)),
        }
    }

    /// RFC 9068 section 2.2.3 has a space-separated text; lists are common too.
    fn scopes(&self, claims: &Object<'_>) -> Result<ScopeSet, JwtError> {
        const REASON: &str = "the scopes are neither a space-separated text nor a list of scopes";
        let Some(value) = self.scope_claims.iter().find_map(|name| claims.get(name)) else {
            return Ok(ScopeSet::default());
        };
        let scopes = match value {
            Value::Text(list) => ScopeSet::parse(list),
            _ => {
                let list: Option<Vec<_>> = value.texts().collect();
                ScopeSet::new(list.ok_or(JwtError::claims(REASON))?)
            }
        };
        // The scope's own error quotes it.
        scopes.map_err(|_| JwtError::claims(REASON))
    }

    fn check_begun(&self, claims: &Object<'_>, now: Timestamp) -> Result<(), JwtError> {
        let latest = now.saturating_add(self.leeway);
        let ahead = |name| time(claims, name).is_some_and(|time| time > latest);
        let refused = |reason| Err(JwtError::new(JwtErrorKind::NotYetValid, reason));
        match (ahead("nbf"), ahead("iat")) {
            (true, _) => refused("nbf lies in the future"),
            (_, true) => refused("iat lies in the future"),
            _ => Ok(()),
        }
    }

    /// Last of all: only a token that is good otherwise is called expired.
    fn check_not_over(&self, token: &VerifiedToken, now: Timestamp) -> Result<(), JwtError> {
        let over = |end: Timestamp| now >= end.saturating_add(self.leeway);
        let expired = |reason| Err(JwtError::new(JwtErrorKind::Expired, reason));
        match (self.max_age, token.issued_at) {
            (Some(_), None) => return Err(JwtError::claims("iat is absent")),
            (Some(age), Some(start)) if over(start.saturating_add(age)) => {
                return expired("the token is older than the greatest age");
            }
            _ => {}
        }
        match over(token.expires) {
            true => expired("exp has passed"),
            false => Ok(()),
        }
    }
}

fn unreadable(error: serde_json::Error) -> JwtError {
    const REASON: &str = "the claims are not a JSON object with unique names and numeric times";
    let kind = match error.is_data() {
        true => JwtErrorKind::Claims,
        false => JwtErrorKind::Malformed,
    };
    JwtError::new(kind, REASON).caused_by(error)
}

fn time(claims: &Object<'_>, name: &str) -> Option<Timestamp> {
    match claims.get(name) {
        Some(Value::Time(time)) => Some(*time),
        _ => None,
    }
}
