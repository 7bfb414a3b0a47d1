//! What a request says: members of its JSON object, and parameters of its query. Whatever is wrong
//! is answered with the name of the field.

use std::collections::HashMap;
use std::str::FromStr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::answer::Refusal;

/// The members of a JSON object, each to be taken once.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// A field that may be absent or null.
    pub fn take<T: DeserializeOwned>(
        &mut self,
        name: &str,
        form: &str,
    ) -> Result<Option<T>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|_| bad(name, form)),
        }
    }

    /// A field that has to be there.
    pub fn need<T: DeserializeOwned>(&mut self, name: &str, form: &str) -> Result<T, Refusal> {
        self.take(name, form)?.ok_or_else(|| Refusal::invalid(format!("{name} is required")))
    }

    /// Refuses what nobody asked for: a mistyped `expiresAt` would be a key that never expires.
    pub fn end(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            Some(name) => Err(Refusal::invalid(format!("{name:?} is no field of this request"))),
            None => Ok(()),
        }
    }
}

/// `name` is not of the form `form`.
pub fn bad(name: &str, form: &str) -> Refusal {
    Refusal::invalid(format!("{name} must be {form}"))
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body = Json::<Map<String, Value>>::from_request(request, state).await;
        body.map(|Json(members)| Self(members)).map_err(unreadable)
    }
}

fn unreadable(why: JsonRejection) -> Refusal {
    match why.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(),
        _ => Refusal::invalid("The body must be a JSON object, sent as application/json"),
    }
}

/// The parameters of the query.
#[derive(Debug)]
pub struct Parameters(HashMap<String, String>);

impl Parameters {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn read<T: FromStr>(&self, name: &str, form: &str) -> Result<Option<T>, Refusal> {
        self.text(name).map(|text| text.parse().map_err(|_| bad(name, form))).transpose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::from_request_parts(parts, state).await;
        let unreadable = |_| Refusal::invalid("The query can't be read");
        query.map(|Query(parameters)| Self(parameters)).map_err(unreadable)
    }
}
