//! Everything that can be configured, and its defaults.

use std::sync::Arc;

use http::header::HeaderName;
use tower_layer::Layer;

use crate::authenticator::Authenticator;
use crate::credential::{Source, Sources};
use crate::gate::Gate;
use crate::jwt::JwtVerifiers;
use crate::key::{EnvironmentPolicy, Formats, KeyFormat};
use crate::limit::{Concurrencies, Concurrency, FailureBudget, Limit, Limits};
use crate::metadata::ProtectedResource;
use crate::policy::{ClientAddress, Routes, SameOrigin};
use crate::render::{Challenge, RateLimitHeaders, Refusals, Render, Scheme};
use crate::service::Auth;
use crate::store::{KeyStore, MemoryStore, TenantDirectory};
use crate::{Clock, ConfigError, Peppers, Policy, RefusalSampling, SystemClock};

/// A gate as a tower layer.
///
/// [`AuthLayer::new`] is complete and safe: it reads `sk_live_…` keys from `Authorization: Bearer`
/// and `X-API-Key`, and refuses everything else. Each setter changes one thing.
///
/// In axum it goes on last: [`Router::layer`](https://docs.rs/axum/0.8/axum/struct.Router.html#method.layer)
/// is around the routes that stand before it, and those that are added later have no gate.
///
/// ```
/// use axum::{Router, routing::get};
/// use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
/// use keygate::limit::{Limit, Quota};
/// use keygate::render::Envelope;
/// use keygate::{AuthLayer, Environment, KeyFormat, Policy, Require, store::MemoryStore};
///
/// # let secret = "0123456789abcdefghijklmnopqrstuv";
/// let key = JwtKey::secret(Algorithm::HS256, secret)?;
/// let verifier = JwtVerifier::builder("https://id.example.com", "orders").key(key).build()?;
/// let gate = AuthLayer::new(MemoryStore::new())
///     .key_formats([KeyFormat::new("acme")?])?
///     .environment(Environment::Live)
///     .jwt(verifier)
///     .limit(Limit::per_tenant(Quota::per_minute(1000)?))?
///     .render(Envelope::nested());
///
/// let app: Router = Router::new()
///     .route("/orders", get(|| async { "orders" }))
///     .route_layer(Require::new(Policy::all_of(["read:orders"])?))
///     .layer(gate);
/// # let _ = app;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthLayer {
    gate: Arc<Gate>,
    challenge: Challenge,
}

impl AuthLayer {
    /// A gate over `store`.
    ///
    /// | setting | default |
    /// | --- | --- |
    /// | [`sources`](Self::sources) | `Authorization: Bearer` and, for keys, `X-API-Key` |
    /// | [`key_formats`](Self::key_formats) | [`KeyFormat::sk`] |
    /// | [`environment`](Self::environment) | live keys only |
    /// | [`peppers`](Self::peppers) | none: keys are found by their SHA-256 |
    /// | [`jwt`](Self::jwt) | no JWT is accepted |
    /// | [`tenants`](Self::tenants) | a token's tenant is a name, of which nothing is known |
    /// | [`require`](Self::require), [`routes`](Self::routes) | any authenticated caller, everywhere |
    /// | [`limit`](Self::limit), [`concurrency`](Self::concurrency), [`failures`](Self::failures) | none |
    /// | [`client_address`](Self::client_address) | a [`PeerAddr`](crate::policy::PeerAddr) among the request's extensions; axum's `ConnectInfo` has to be named |
    /// | CORS preflights | pass without a credential; see [`refuse_preflights`](Self::refuse_preflights) |
    /// | [`render`](Self::render) | RFC 9457 problem details |
    /// | [`rate_limit_headers`](Self::rate_limit_headers) | `X-RateLimit-*`, where there is a limit |
    pub fn new(store: impl KeyStore) -> Self {
        let authenticator = Authenticator {
            sources: Sources::default(),
            formats: Formats::default(),
            environments: EnvironmentPolicy::default(),
            peppers: None,
            store: Arc::new(store),
            verifier: None,
            directory: None,
            suspended_pass: false,
            optional: false,
            preflights_pass: true,
            routes: Routes::default(),
            policy: Policy::authenticated(),
            origin: SameOrigin::new(),
            address: ClientAddress::default(),
            concurrency: Concurrencies::default(),
            limits: Limits::default(),
            failures: None,
            sampling: RefusalSampling::new(),
            clock: Arc::new(SystemClock::new()),
        };
        let refusals = Refusals::default();
        let gate = Gate { authenticator, refusals, stripped: Vec::new() };
        Self { gate: Arc::new(gate), challenge: Challenge::default() }
    }

    /// A gate for JWTs alone, from `Authorization: Bearer`.
    pub fn tokens_only(verifier: impl Into<JwtVerifiers>) -> Self {
        let mut layer = Self::new(MemoryStore::new()).jwt(verifier);
        let gate = layer.gate();
        gate.authenticator.formats = Formats::none();
        gate.authenticator.sources = Sources::bearer_tokens();
        layer
    }

    /// The gate, to change it. It is copied first if it guards a service already.
    fn gate(&mut self) -> &mut Gate {
        Arc::make_mut(&mut self.gate)
    }

    fn authenticator(&mut self) -> &mut Authenticator {
        &mut self.gate().authenticator
    }

    /// Where credentials are read, instead of the defaults.
    ///
    /// # Errors
    ///
    /// When there is none, or one place stands twice.
    pub fn sources(
        mut self,
        sources: impl IntoIterator<Item = Source>,
    ) -> Result<Self, ConfigError> {
        self.authenticator().sources = Sources::new(sources.into_iter().collect())?;
        self.offer();
        Ok(self)
    }

    /// The formats of keys, instead of the default. Several may share a prefix, such as the one in
    /// which keys are issued now and the one in which they once were; of different prefixes, the
    /// longest with which a text begins decides.
    ///
    /// # Errors
    ///
    /// When one prefix means both environments.
    pub fn key_formats(
        mut self,
        formats: impl IntoIterator<Item = KeyFormat>,
    ) -> Result<Self, ConfigError> {
        self.authenticator().formats = Formats::new(formats.into_iter().collect())?;
        Ok(self)
    }

    /// How the digests of the store are made, instead of with SHA-256 alone. Keys are to be issued
    /// with the [same](crate::Keys::peppers).
    pub fn peppers(mut self, peppers: Peppers) -> Self {
        self.authenticator().peppers = Some(Arc::new(peppers));
        self
    }

    /// Which environments' keys pass: an [`Environment`](crate::Environment) for one of them, or an
    /// [`EnvironmentPolicy`].
    pub fn environment(mut self, environments: impl Into<EnvironmentPolicy>) -> Self {
        self.authenticator().environments = environments.into();
        self
    }

    /// Accepts the JWTs that `verifier` accepts: a [`JwtVerifier`](crate::jwt::JwtVerifier) of one issuer, or
    /// [`JwtVerifiers`] of several.
    ///
    /// A token names its tenant and no more. Whether that is suspended, and on which
    /// [plan](Limit::plan) it is, is known only with [`tenants`](Self::tenants). Without it callers
    /// with a JWT have each limit's own quota, whatever their plan.
    pub fn jwt(mut self, verifier: impl Into<JwtVerifiers>) -> Self {
        self.authenticator().verifier = Some(verifier.into());
        self
    }

    /// Looks up the tenants of JWTs: an unknown one is refused, a suspended one too, and limits know
    /// the plan. Keys bring their tenant in their record.
    pub fn tenants(mut self, directory: impl TenantDirectory) -> Self {
        self.authenticator().directory = Some(Arc::new(directory));
        self
    }

    /// Lets suspended tenants pass: for the routes by which they end their suspension.
    pub fn admit_suspended(mut self) -> Self {
        self.authenticator().suspended_pass = true;
        self
    }

    /// Lets requests without a credential pass, without a principal, except where a rule of
    /// [`routes`](Self::routes) or [`require`](Self::require) asks for more than authentication. A
    /// bad credential is refused still.
    pub fn optional(mut self) -> Self {
        self.authenticator().optional = true;
        self
    }

    /// Refuses CORS preflights like any other request without a credential.
    ///
    /// By default they pass, since browsers send them without one: an `OPTIONS` request with
    /// `Origin` and `Access-Control-Request-Method` reaches the service, which must do nothing but
    /// answer it. Choose this where a CORS layer stands in front of the gate, or where handlers are
    /// called with any method.
    pub fn refuse_preflights(mut self) -> Self {
        self.authenticator().preflights_pass = false;
        self
    }

    /// What every route asks of its callers.
    pub fn require(mut self, policy: Policy) -> Self {
        self.authenticator().policy = policy;
        self
    }

    /// What single routes ask of their callers besides; public routes too. Paths are those that the
    /// gate sees: behind axum's `nest` they lack the prefix.
    pub fn routes(mut self, routes: Routes) -> Self {
        self.authenticator().routes = routes;
        self
    }

    /// What proves that a cookie's request is no cross-site request.
    pub fn same_origin(mut self, origin: SameOrigin) -> Self {
        self.authenticator().origin = origin;
        self
    }

    /// How the client's address is found. Without it, keys bound to networks are refused, and limits
    /// and failures by address count all clients together. Under axum:
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use axum::{Router, extract::ConnectInfo};
    /// use keygate::{AuthLayer, policy::ClientAddress, store::MemoryStore};
    ///
    /// let gate = AuthLayer::new(MemoryStore::new()).client_address(ClientAddress::peer_from(
    ///     |extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip()),
    /// ));
    /// let app: Router = Router::new().layer(gate);
    /// let service = app.into_make_service_with_connect_info::<SocketAddr>();
    /// ```
    pub fn client_address(mut self, address: ClientAddress) -> Self {
        self.authenticator().address = address;
        self
    }

    /// Adds a limit. Several are counted all or none.
    ///
    /// # Errors
    ///
    /// When its cost is above one of its quotas; when it has the [name](Limit::name) of another limit of
    /// the gate, or is a clone of one; when it can't be shared as it is; when it is the ninth.
    pub fn limit(mut self, limit: Limit) -> Result<Self, ConfigError> {
        self.authenticator().limits = self.gate.authenticator.limits.with(limit)?;
        Ok(self)
    }

    /// Limits how many requests run at a time. Several let a request run all or none.
    ///
    /// # Errors
    ///
    /// When it has the name of another, or is the ninth.
    pub fn concurrency(mut self, concurrency: Concurrency) -> Result<Self, ConfigError> {
        self.authenticator().concurrency = self.gate.authenticator.concurrency.with(concurrency)?;
        Ok(self)
    }

    /// How many failed authentications an address may have. How that is found is told with
    /// [`client_address`](Self::client_address).
    pub fn failures(mut self, budget: FailureBudget) -> Self {
        self.authenticator().failures = Some(budget);
        self
    }

    /// How the bodies of refusals look: an [`Envelope`](crate::render::Envelope),
    /// [`Problem`](crate::render::Problem), or a closure.
    ///
    /// ```
    /// use keygate::{AuthLayer, Rejection, Rendered, store::MemoryStore};
    ///
    /// let gate = AuthLayer::new(MemoryStore::new())
    ///     .render(|why: &Rejection| Rendered::text(format!("no: {}", why.code())));
    /// ```
    pub fn render(mut self, render: impl Render) -> Self {
        let gate = self.gate();
        gate.refusals = gate.refusals.clone().render(render);
        self
    }

    /// The realm that challenges name (RFC 9110 section 11.5), instead of `api`.
    ///
    /// # Errors
    ///
    /// When `realm` holds other than printable ASCII.
    pub fn realm(mut self, realm: &str) -> Result<Self, ConfigError> {
        self.challenge = self.challenge.realm(realm)?;
        self.offer();
        Ok(self)
    }

    /// Names the metadata of the protected resource in challenges (RFC 9728 section 5.1), which is
    /// mounted in front of the gate.
    pub fn protected_resource(mut self, resource: &ProtectedResource) -> Self {
        self.challenge = self.challenge.resource(resource);
        self.offer();
        self
    }

    /// Which rate-limit headers answers carry, instead of `X-RateLimit-*`.
    pub fn rate_limit_headers(mut self, headers: RateLimitHeaders) -> Self {
        let gate = self.gate();
        gate.refusals = gate.refusals.clone().rate_limit_headers(headers);
        self
    }

    /// Removes headers from requests before the service sees them: those by which a service behind
    /// a gateway would know its caller, such as `X-User-Id`, and which a client could send itself.
    ///
    /// # Errors
    ///
    /// When a name is no header's name.
    pub fn strip_headers<'n>(
        mut self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Self, ConfigError> {
        for name in names {
            let name = HeaderName::try_from(name)
                .map_err(|_| ConfigError::invalid("header", name, "no header name"))?;
            self.gate().stripped.push(name);
        }
        Ok(self)
    }

    /// Which refusals are logged where the feature `tracing` is on, instead of 100 a minute for each
    /// tenant and address.
    pub fn sample_refusals(mut self, sampling: RefusalSampling) -> Self {
        self.authenticator().sampling = sampling;
        self
    }

    /// The clock by which expiry and limits are judged.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.authenticator().clock = Arc::new(clock);
        self
    }

    /// The gate without a service behind it.
    pub fn into_authenticator(self) -> Authenticator {
        self.gate.authenticator.clone()
    }

    /// Challenges name the schemes that are read.
    fn offer(&mut self) {
        let schemes: Vec<Scheme> = self.gate.authenticator.sources.schemes();
        let challenge = self.challenge.clone().offering(&schemes);
        let gate = self.gate();
        gate.refusals = gate.refusals.clone().challenge(challenge);
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth::new(inner, Arc::clone(&self.gate))
    }
}
