//! The claims: what a token must say, and until when.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::algorithm::Algorithm;
use super::claim_rule::ClaimRule;
use super::error::{JwtError, JwtErrorKind};
use super::json::{EXP, IAT, JsonError, NBF, Name, NoText, Object, Value};
use super::profile::Profile;
use super::text::Text;
use super::token::{Facts, VerifiedToken};
use crate::policy::{Met, is_scope_byte, is_scope_token};
use crate::{Tenant, Timestamp};

/// What the claims of one issuer's tokens must be.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) profile: Profile,
    /// Any, when none.
    pub(crate) issuer: Option<Arc<str>>,
    /// Any, when none.
    pub(crate) audiences: Option<Vec<String>>,
    pub(crate) leeway: Duration,
    pub(crate) max_age: Option<Duration>,
    pub(crate) subject_claim: String,
    pub(crate) tenant_claim: String,
    pub(crate) scope_claims: Vec<String>,
    pub(crate) required: Vec<(String, ClaimRule)>,
    pub(crate) forbidden: Vec<String>,
}

impl Rules {
    /// Judges claims whose signature, by `algorithm`, is known to be good.
    pub(crate) fn admit(
        &self,
        json: String,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<VerifiedToken, JwtError> {
        let mut facts = self.facts(&json, algorithm)?;
        self.check_time(&facts, now)?;
        facts.claims = json;
        Ok(VerifiedToken::new(facts))
    }

    /// The claims' text is still to be added.
    #[inline(always)]
    fn facts(&self, json: &str, algorithm: Algorithm) -> Result<Facts, JwtError> {
        let mut claims = Object::default();
        claims.read(json).map_err(unreadable)?;
        self.check_required(&claims)?;
        self.check_audience(&claims)?;
        self.check_profile(&claims)?;
        let issued_at = claims.date(IAT);
        if self.max_age.is_some() && issued_at.is_none() {
            return Err(JwtError::claims("iat is absent"));
        }
        let text = |text: Option<&str>| text.map(|text| Text::of(text, json));
        Ok(Facts {
            algorithm: Some(algorithm),
            issuer: text(self.issuer(&claims)?),
            subject: Text::of(self.subject(&claims)?, json),
            tenant: self.tenant(&claims)?,
            scope: self.scope(&claims, json)?,
            scopes: OnceLock::new(),
            met: Met::default(),
            id: text(text_of(&claims, JTI, "jti is not text")?),
            session: text(text_of(&claims, SID, "sid is not text")?),
            expires: claims.date(EXP).ok_or(JwtError::claims("exp is absent"))?,
            not_before: claims.date(NBF),
            issued_at,
            claims: String::new(),
        })
    }

    fn check_required(&self, claims: &Object<'_>) -> Result<(), JwtError> {
        if self.required.iter().any(|(name, rule)| !rule.admits(claims.get(Name::of(name)))) {
            return Err(JwtError::claims("a required claim is absent, or not what it must be"));
        }
        match self.forbidden.iter().any(|name| claims.get(Name::of(name)).is_some()) {
            true => Err(JwtError::claims("a forbidden claim is present")),
            false => Ok(()),
        }
    }

    fn check_profile(&self, claims: &Object<'_>) -> Result<(), JwtError> {
        let has = |name| text_of(claims, name, NOT_TEXT).map(|text| text.is_some());
        match self.profile {
            Profile::PlainJwt => Ok(()),
            Profile::AccessToken if has(SUB)? && has(CLIENT_ID)? && has(JTI)? => {
                claims.date(IAT).map(drop).ok_or(JwtError::claims("iat is absent"))
            }
            Profile::AccessToken => Err(JwtError::claims("a claim of RFC 9068 is absent")),
            Profile::IdToken if !has(SUB)? || claims.date(IAT).is_none() => {
                Err(JwtError::claims("a claim of an ID token is absent"))
            }
            Profile::IdToken => self.check_parties(claims),
        }
    }

    /// OpenID Connect Core 1.0 section 3.1.3.7, steps 3 to 5.
    fn check_parties(&self, claims: &Object<'_>) -> Result<(), JwtError> {
        let audiences = || claims.get(AUD).into_iter().flat_map(Value::texts).flatten();
        if !audiences().all(|name| self.is_ours(name)) {
            return Err(JwtError::claims("aud names somebody else too"));
        }
        match text_of(claims, AZP, "azp is not text")? {
            Some(party) if self.is_ours(party) => Ok(()),
            None if audiences().count() < 2 => Ok(()),
            _ => Err(JwtError::claims("azp is absent or somebody else")),
        }
    }

    /// RFC 9068 section 4: exactly the issuer; a list of issuers is no issuer.
    fn issuer<'c>(&self, claims: &'c Object<'_>) -> Result<Option<&'c str>, JwtError> {
        let issuer = text_of(claims, ISS, "iss is not text")?;
        match &self.issuer {
            Some(expected) if issuer != Some(expected) => {
                Err(JwtError::claims("iss is not the expected issuer"))
            }
            _ => Ok(issuer),
        }
    }

    fn check_audience(&self, claims: &Object<'_>) -> Result<(), JwtError> {
        let named = match claims.get(AUD) {
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
        audience.texts().all(|text| text.is_some())
            && audience.texts().flatten().any(|name| self.is_ours(name))
    }

    fn is_ours(&self, name: &str) -> bool {
        self.audiences.as_ref().is_none_or(|audiences| audiences.iter().any(|own| own == name))
    }

    fn subject<'c>(&self, claims: &'c Object<'_>) -> Result<&'c str, JwtError> {
        match text_of(claims, Name::of(&self.subject_claim), "the subject is not text")? {
            Some(subject) if !subject.is_empty() => Ok(subject),
            _ => Err(JwtError::claims("the subject is absent or empty")),
        }
    }

    fn tenant(&self, claims: &Object<'_>) -> Result<Option<Arc<Tenant>>, JwtError> {
        match text_of(claims, Name::of(&self.tenant_claim), "the tenant is not text")? {
            Some("") => Err(JwtError::claims("the tenant is empty")),
            tenant => Ok(tenant.map(|id| Arc::new(Tenant::new(id)))),
        }
    }

    /// RFC 9068 section 2.2.3 has a space-separated text; lists are common too.
    fn scope(&self, claims: &Object<'_>, json: &str) -> Result<Option<Text>, JwtError> {
        const REASON: &str = "the scopes are neither a space-separated text nor a list of scopes";
        let Some(value) = self.scope_claims.iter().find_map(|name| claims.get(Name::of(name)))
        else {
            return Ok(None);
        };
        let scopes = match value {
            Value::Text(list) => are_scopes(list).then(|| Text::of(list, json)),
            _ => {
                let all: Option<Vec<_>> = value.texts().collect();
                let all = all.filter(|scopes| scopes.iter().all(|scope| is_scope_token(scope)));
                all.map(|scopes| Text::Own(scopes.join(" ").into()))
            }
        };
        scopes.map(Some).ok_or(JwtError::claims(REASON))
    }

    /// Judges the time alone: what changes of a token while it stays the same.
    pub(crate) fn check_time(&self, token: &Facts, now: Timestamp) -> Result<(), JwtError> {
        self.check_begun(token, now)?;
        self.check_not_over(token, now)
    }

    fn check_begun(&self, token: &Facts, now: Timestamp) -> Result<(), JwtError> {
        let latest = now.saturating_add(self.leeway);
        let refused = |reason| Err(JwtError::new(JwtErrorKind::NotYetValid, reason));
        match (token.not_before > Some(latest), token.issued_at > Some(latest)) {
            (true, _) => refused("nbf lies in the future"),
            (_, true) => refused("iat lies in the future"),
            _ => Ok(()),
        }
    }

    /// Last of all: only a token that is good otherwise is called expired.
    fn check_not_over(&self, token: &Facts, now: Timestamp) -> Result<(), JwtError> {
        let over = |end: Timestamp| now >= end.saturating_add(self.leeway);
        let expired = |reason| Err(JwtError::new(JwtErrorKind::Expired, reason));
        let oldest = self.max_age.zip(token.issued_at);
        match oldest.is_some_and(|(age, start)| over(start.saturating_add(age))) {
            true => expired("the token is older than the greatest age"),
            false if over(token.expires) => expired("exp has passed"),
            false => Ok(()),
        }
    }
}

const NOT_TEXT: &str = "a claim of the profile is not text";

const ISS: Name<'_> = Name::of("iss");
const SUB: Name<'_> = Name::of("sub");
const AUD: Name<'_> = Name::of("aud");
const JTI: Name<'_> = Name::of("jti");
const SID: Name<'_> = Name::of("sid");
const AZP: Name<'_> = Name::of("azp");
const CLIENT_ID: Name<'_> = Name::of("client_id");

/// A claim that has to be text if it is there.
#[inline]
fn text_of<'c>(
    claims: &'c Object<'_>,
    name: Name<'_>,
    otherwise: &'static str,
) -> Result<Option<&'c str>, JwtError> {
    claims.text(name).map_err(|NoText| JwtError::claims(otherwise))
}

fn are_scopes(list: &str) -> bool {
    // Without a way out in between, many bytes are looked at in one step.
    list.bytes().fold(true, |so_far, byte| so_far & (byte == b' ' || is_scope_byte(byte)))
}

fn unreadable(error: JsonError) -> JwtError {
    const REASON: &str = "the claims are not a JSON object with unique names and numeric times";
    let kind = match error {
        JsonError::Syntax(_) => JwtErrorKind::Malformed,
        JsonError::NoObject | JsonError::Repeated | JsonError::NoDate => JwtErrorKind::Claims,
    };
    JwtError::new(kind, REASON).caused_by(error)
}
