//! axum's edge: [`Principal`] and [`Reservation`] as extractors, [`Rejection`] as a response.
//!
//! `Principal` refuses where nobody is authenticated; `Option<Principal>` is `None` there, which only
//! happens on public routes and behind a gate whose authentication is
//! [optional](crate::AuthLayer::optional): a bad credential never reaches a handler.
//!
//! ```
//! use keygate::limit::Reservation;
//! use keygate::{Policy, Principal, Rejection};
//! use std::sync::LazyLock;
//!
//! static MAY_EXPORT: LazyLock<Policy> =
//!     LazyLock::new(|| Policy::any_of(["export", "admin"]).expect("two scopes"));
//!
//! async fn export(caller: Principal) -> Result<String, Rejection> {
//!     caller.require(&MAY_EXPORT)?;
//!     Ok(format!("for {}", caller.subject()))
//! }
//!
//! // With a limit that is settled later.
//! async fn answer(reservation: Reservation) -> &'static str {
//!     reservation.commit(512);
//!     "forty-two"
//! }
//!
//! async fn greet(caller: Option<Principal>) -> String {
//!     caller.map_or("who are you?".into(), |caller| format!("hello {}", caller.subject()))
//! }
//! # let _: axum::Router = axum::Router::new()
//! #     .route("/export", axum::routing::get(export))
//! #     .route("/answer", axum::routing::get(answer))
//! #     .route("/greet", axum::routing::get(greet));
//! ```

use std::convert::Infallible;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::limit::Reservation;
use crate::render::{Refusals, Wire};
use crate::{Principal, Rejection, RejectionKind};

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let principal = parts.extensions.get::<Self>().cloned();
        principal.ok_or(RejectionKind::MissingCredential.into())
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl<S: Sync> FromRequestParts<S> for Reservation {
    type Rejection = Rejection;

    /// A handler that settles where nothing was reserved is behind the wrong gate: 503, as for
    /// everything that can't be decided.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let reservation = parts.extensions.get::<Self>().cloned();
        let missing = || {
            let why = "no limit of the gate is settled later";
            Rejection::new(RejectionKind::Unavailable).with_source(why)
        };
        reservation.ok_or_else(missing)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Reservation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl IntoResponse for Rejection {
    /// The gate that the response passes gives it its form; without one it is a problem document.
    fn into_response(self) -> Response {
        Refusals::unanswered(self, Wire::Http).map(Body::from)
    }
}
