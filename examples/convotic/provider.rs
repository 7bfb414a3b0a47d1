//! The OpenID provider at which people prove who they are.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::Uri;
use keygate::jwt::remote::{HttpClient, RemoteKeys};
use keygate::jwt::{JwtVerifier, Profile, VerifiedToken};
use keygate::{Rejection, RejectionKind, SystemClock};
use openidconnect::core::{CoreAuthenticationFlow, CoreErrorResponseType, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError,
};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Client};
use crate::http::{Http, is_on_loopback, is_safe};
use crate::refusal::unavailable;

/// Between attempts to find a provider that is away.
const PAUSE: Duration = Duration::from_secs(5);

/// Who Convotic is to which provider.
#[derive(Clone)]
pub(crate) struct Registration {
    pub(crate) issuer: String,
    pub(crate) client: ClientId,
    pub(crate) secret: ClientSecret,
}

/// Speaks with the provider: asks it for people, and takes its word for who they are.
pub(crate) struct Provider {
    registration: Registration,
    back: RedirectUrl,
    http: Http,
    client: OnceLock<Client>,
    verifier: JwtVerifier,
}

/// What has to come back with the person, or belong to what comes back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

impl Provider {
    /// The provider of `registration`, which sends people back to `base`. Its metadata and its keys
    /// are looked for from now on, so that no request waits for them or causes them to be fetched.
    pub(crate) async fn new(
        registration: Registration,
        base: &str,
    ) -> Result<Arc<Self>, Box<dyn Error>> {
        let provider = Arc::new(Self {
            back: RedirectUrl::new(format!("{base}/auth/callback"))?,
            http: Http::new()?,
            client: OnceLock::new(),
            verifier: verifier(&registration)?,
            registration,
        });
        if !provider.is_found().await {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move {
                while !provider.is_found().await {
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Ok(provider)
    }

    async fn is_found(&self) -> bool {
        match self.find().await {
            Ok(client) => self.client.set(client).is_ok(),
            Err(error) => {
                eprintln!("convotic: nobody can sign in yet: {}", with_causes(&*error));
                false
            }
        }
    }

    async fn find(&self) -> Result<Client, Box<dyn Error + Send + Sync>> {
        let Registration { issuer, client, secret } = self.registration.clone();
        let metadata =
            CoreProviderMetadata::discover_async(IssuerUrl::new(issuer)?, &self.http).await?;
        let (authorize, token) = (metadata.authorization_endpoint(), metadata.token_endpoint());
        let endpoints = [Some(authorize.as_str()), token.map(|url| url.as_str())];
        for endpoint in endpoints {
            if !is_safe(&endpoint.ok_or("the provider has no token endpoint")?.parse()?) {
                return Err("an endpoint is neither https nor on loopback".into());
            }
        }
        let client = Client::from_provider_metadata(metadata, client, Some(secret));
        Ok(client.set_redirect_uri(self.back.clone()))
    }

    fn client(&self) -> Result<&Client, Rejection> {
        self.client.get().ok_or_else(|| unavailable("the provider was not found yet"))
    }

    /// Where to send a person, and what to keep until they are back.
    pub(crate) fn ask(&self) -> Result<(String, Pending), Rejection> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (url, state, nonce) = self
            .client()?
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .set_pkce_challenge(challenge)
            .url();
        Ok((url.into(), Pending { state, nonce, verifier }))
    }

    /// Who has come back with `code`, by the provider's word.
    pub(crate) async fn identify(
        &self,
        code: String,
        pending: Pending,
    ) -> Result<VerifiedToken, Rejection> {
        let answer = self.exchange(code, pending.verifier).await?;
        let token = answer.unverified().ok_or_else(|| unavailable("an answer without ID token"))?;
        let token = self.verifier.verify_or_fetch(token, &SystemClock::new()).await?;
        token.check_nonce(pending.nonce.secret())?;
        Ok(token)
    }

    async fn exchange(
        &self,
        code: String,
        verifier: PkceCodeVerifier,
    ) -> Result<Answer, Rejection> {
        let request = self.client()?.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(unavailable)?.set_pkce_verifier(verifier);
        request.request_async(&self.http).await.map_err(|error| match &error {
            RequestTokenError::ServerResponse(answer)
                if *answer.error() == CoreErrorResponseType::InvalidGrant =>
            {
                Rejection::new(RejectionKind::TokenInvalid)
            }
            // The body of an answer may hold tokens: it goes into no log.
            RequestTokenError::Parse(..) => unavailable("an answer of another form"),
            // The provider is away, or does not know Convotic: nothing that the person could mend.
            _ => unavailable(error.to_string()),
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.registration.issuer
    }
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// ID tokens are verified by the rules of the gates, with keys that follow the provider's.
fn verifier(registration: &Registration) -> Result<JwtVerifier, Box<dyn Error>> {
    let issuer = registration.issuer.as_str();
    let url: Uri = issuer.parse().map_err(|why| format!("OIDC_ISSUER {issuer:?}: {why}"))?;
    let mut keys = RemoteKeys::discover(issuer);
    if is_on_loopback(&url) {
        keys = keys.danger_allow_http();
    }
    let (keys, refresh) = keys.build(HttpClient::new()?)?;
    tokio::spawn(refresh);
    let verifier = JwtVerifier::builder(issuer, registration.client.as_str());
    // An ID token comes once.
    Ok(verifier.profile(Profile::IdToken).remote_keys(keys).cache(0).build()?)
}
