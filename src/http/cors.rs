//! Cross-origin resource sharing: pages of a configured origin may use the interface from where they are, with their
//! visitor's cookie.
//!
//! Exactly the configured origins, compared as texts; to everybody else an answer looks as if there were no such thing.
//! Owns the headers and the answer to a preflight, which reads no cookie and asks no store. Stands outside of the session
//! layer, because its refusals leave as errors, and pages must be able to read those. Must never share a route by itself:
//! the table of routes says which.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, VARY,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpRequest, HttpResponse};

use super::site::Site;

/// Headers that a page may send, beside those that any form can.
const SENT: HeaderValue = HeaderValue::from_static("content-type, x-requested-with, x-csrf-token, x-no-touch");
/// Headers of an answer that a page may read, beside those that any may.
const READ: HeaderValue = HeaderValue::from_static("retry-after, x-request-id, etag");
/// Seconds for which a browser need not ask again: no longer, because so long an origin stays that is not configured any
/// more.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");
const YES: HeaderValue = HeaderValue::from_static("true");
const BY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The middleware of a route that is shared.
pub async fn share<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let origin = known_origin(request.request());
    match next.call(request).await {
        Ok(mut response) => {
            mark(response.headers_mut(), origin);
            Ok(response)
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut response| {
                mark(response.headers_mut(), origin.clone());
                response
            });
            Err(error)
        }
    }
}

/// The answer to a browser that asks whether a page of a configured origin may send what it wants to send; none if this
/// is no such question. The browser compares: what is not listed is not sent.
pub fn preflight(request: &HttpRequest, methods: &HeaderValue) -> Option<HttpResponse> {
    let asks = *request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    known_origin(request).filter(|_| asks)?;
    let mut response = HttpResponse::NoContent();
    response
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods.clone()))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, SENT))
        .insert_header((ACCESS_CONTROL_MAX_AGE, REMEMBERED));
    Some(response.finish())
}

fn known_origin(request: &HttpRequest) -> Option<HeaderValue> {
    request.app_data::<Data<Site>>()?.origins.known(request.headers()).cloned()
}

/// Said also where no origin has asked: a copy of that answer must not serve a page that has one.
fn mark(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, BY_ORIGIN);
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, YES);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
    }
}
