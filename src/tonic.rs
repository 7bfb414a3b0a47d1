//! tonic's edge: [`Rejection`] as a [`Status`].
//!
//! A gate around a tonic server answers refusals in gRPC by itself. This is for handlers, which find
//! the [`Principal`](crate::Principal) in their request's extensions:
//!
//! ```
//! use keygate::{Policy, Principal, Rejection, RejectionKind};
//! use std::sync::LazyLock;
//! use tonic::{Request, Response, Status};
//!
//! static MAY_GREET: LazyLock<Policy> =
//!     LazyLock::new(|| Policy::all_of(["greet"]).expect("a scope"));
//!
//! async fn say_hello(request: Request<()>) -> Result<Response<String>, Status> {
//!     let caller = request.extensions().get::<Principal>();
//!     let caller = caller.ok_or(Rejection::new(RejectionKind::MissingCredential))?;
//!     caller.require(&MAY_GREET)?;
//!     Ok(Response::new(format!("hello {}", caller.subject())))
//! }
//! # let _ = say_hello;
//! ```

use ::tonic::{Code, Status};
use http::StatusCode;

use crate::Rejection;

impl From<Rejection> for Status {
    fn from(rejection: Rejection) -> Self {
        let mut status = Self::new(code(rejection.status()), rejection.kind().text());
        status.set_source(std::sync::Arc::new(rejection));
        status
    }
}

fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Unknown,
    }
}
