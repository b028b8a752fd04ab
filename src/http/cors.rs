//! Cross-origin resource sharing: pages of a configured origin may call the interface with their visitor's cookie.
//!
//! Compares origins exactly, as texts; for any other origin the answer is as if CORS did not exist. Owns the headers
//! and the answer to a preflight, which reads no cookie and asks no store. Wraps the session layer, whose refusals
//! leave as errors that pages must be able to read. Must never share a route by itself: the route table decides.

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

/// Request headers that a page may send, beside those that any form can send.
const SENT: HeaderValue =
    HeaderValue::from_static("authorization, content-type, x-requested-with, x-csrf-token, x-no-touch");
/// Response headers that a page may read, beside those that any page may read.
const READ: HeaderValue = HeaderValue::from_static("retry-after, x-request-id, etag");
/// Seconds for which a browser may cache a preflight. No longer: an origin removed from the settings stays allowed for
/// this time.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");
const YES: HeaderValue = HeaderValue::from_static("true");
const BY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The middleware of a shared route.
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

/// The answer to a preflight; `None` if the request is not one. The browser compares the lists and does not send what
/// they lack.
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

/// `Vary` is set without an Origin too: a cached copy of that answer must not serve a page that sends one.
fn mark(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, BY_ORIGIN);
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, YES);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
    }
}
