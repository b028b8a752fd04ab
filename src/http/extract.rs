//! What handlers take from a request: a body, an id from the path, a query, the signed-in user.
//!
//! Owns how strictly requests are read. A body that does not match its description exactly is refused with the name of
//! the field: nothing is guessed, ignored or taken twice. Must never put the request's content into an answer or a log,
//! except the name of a field.

use std::future::{Future, Ready, ready};
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest, Sha256};

use super::context::{self, Context};
use super::csrf::is_json;
use super::named_fields;
use super::problem::Problem;
use crate::domain::{SessionId, UserId};
use crate::service::Checked;

/// Longest body, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body, in a request or an answer.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let judged = judge(request);
        let payload = payload.take();
        Box::pin(async move {
            judged?;
            named_fields::from_slice(&arrived(payload).await?).map(Self)
        })
    }
}

/// Checks everything that needs no body.
fn judge(request: &HttpRequest) -> Result<(), Problem> {
    if !is_json(request.headers().get(CONTENT_TYPE)) {
        return Err(Problem::unsupported_media_type());
    }
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if length.is_some_and(|length: usize| length > MAX_BODY) {
        return Err(Problem::body_too_large());
    }
    Ok(())
}

/// A JSON body, and the SHA-256 of its bytes.
#[derive(Debug)]
pub struct JsonAsSent<T>(pub T, pub [u8; 32]);

impl<T: DeserializeOwned> FromRequest for JsonAsSent<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let judged = judge(request);
        let payload = payload.take();
        Box::pin(async move {
            judged?;
            let body = arrived(payload).await?;
            named_fields::from_slice(&body).map(|read| Self(read, Sha256::digest(&body).into()))
        })
    }
}

/// The whole body, once it has arrived in time.
pub async fn arrived(payload: Payload) -> Result<web::BytesMut, Problem> {
    let body = tokio::time::timeout(BODY_TIMEOUT, collect(payload)).await;
    body.map_err(|_| Problem::request_timeout())?
}

async fn collect(mut payload: Payload) -> Result<web::BytesMut, Problem> {
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::not_json())?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Problem::body_too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl<T: Serialize> Responder for Json<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

/// A text of a body. Refuses a NUL: SQLite would store it, PostgreSQL would fail on it, and no person types one.
#[derive(Debug)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains('\0') { Err(de::Error::custom("a text with a NUL")) } else { Ok(Self(text)) }
    }
}

/// Reads a field that may be missing or null, and tells the two apart: for `#[serde(default, deserialize_with)]`.
pub fn told<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Reads a field that may be missing but not null (serde takes null for a missing `Option`): for `#[serde(default,
/// deserialize_with)]`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads a field that may be null but must be there (serde takes a missing `Option` for null).
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// The query of the address. `unknown_query.rs` has already refused unknown parameters.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let query = web::Query::<T>::from_query(request.query_string());
        ready(query.map(|query| Self(query.into_inner())).map_err(|_| Problem::invalid_query()))
    }
}

/// An id that a path can contain.
pub trait PublicId: Sized {
    /// Reads its only spelling.
    fn read(text: &str) -> Option<Self>;
}

impl PublicId for SessionId {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl PublicId for UserId {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

/// The `{id}` of the path. A malformed id is 404, as an unknown one is.
#[derive(Debug)]
pub struct PathId<T>(pub T);

impl<T: PublicId> FromRequest for PathId<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(T::read);
        ready(id.map(Self).ok_or_else(Problem::not_found))
    }
}

/// The request as the session layer knows it: its client and its cookie.
#[derive(Debug)]
pub struct Visit(Rc<Context>);

impl Deref for Visit {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

impl FromRequest for Visit {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(context::current().map(Self).ok_or_else(|| Problem::internal("a route needs the session layer")))
    }
}

/// The request's live session; 401 without one. If the check failed, the session layer has already answered 503.
#[derive(Debug)]
pub struct SignedIn(pub Checked);

impl FromRequest for SignedIn {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        let checked = context::current().and_then(|context| context.checked());
        ready(checked.map(Self).ok_or_else(Problem::unauthenticated))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Renaming {
        #[serde(deserialize_with = "nullable")]
        name: Option<Text>,
    }

    async fn read(content_type: &'static str, body: impl Into<web::Bytes>) -> Result<Option<String>, u16> {
        let request = TestRequest::post().insert_header((CONTENT_TYPE, content_type)).set_payload(body);
        let (request, mut payload) = request.to_http_parts();
        let read = Json::<Renaming>::from_request(&request, &mut payload).await;
        read.map(|json| json.0.name.map(|name| name.0)).map_err(|problem| problem.status_code().as_u16())
    }

    #[actix_web::test]
    async fn a_body_is_read_strictly() {
        let json = "application/json";
        assert_eq!(read(json, r#"{"name":"Ana"}"#).await, Ok(Some("Ana".to_owned())));
        assert_eq!(read("Application/JSON; charset=utf-8", r#"{"name":null}"#).await, Ok(None));
        for (status, body) in [
            (400, ""),
            (400, "{"),
            (400, "nonsense"),
            (400, "[\"Ana\"]"),
            (400, "\"Ana\""),
            (400, r#"{"name":"Ana"} {}"#),
            (422, "{}"),
            (422, r#"{"name":7}"#),
            (422, r#"{"name":"a\u0000b"}"#),
            (422, r#"{"name":"Ana","name":"Eve"}"#),
            (422, r#"{"name":"Ana","role":"admin"}"#),
        ] {
            assert_eq!(read(json, body).await, Err(status), "{body}");
        }
        assert_eq!(read("text/plain", r#"{"name":"Ana"}"#).await, Err(415));
        assert_eq!(read("", r#"{"name":"Ana"}"#).await, Err(415));
        assert_eq!(read(json, format!("{{\"name\":\"{}\"}}", "a".repeat(MAX_BODY))).await, Err(413));
    }

    #[actix_web::test]
    async fn what_is_no_id_names_nothing() {
        let request = TestRequest::default().param("id", "7").to_http_request();
        let status = PathId::<SessionId>::extract(&request).await.map(drop).map_err(|problem| problem.status_code());
        assert_eq!(status, Err(actix_web::http::StatusCode::NOT_FOUND));
    }
}
