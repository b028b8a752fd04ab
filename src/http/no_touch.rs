//! Requests that a program makes by itself: they do not extend the session.
//!
//! Owns the header `X-No-Touch: 1`. It must never help a thief: a request that does not count as use is still checked
//! for a new address and another device, and a request that changes something is a use, with or without the header.

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName};

use crate::service::Activity;

const NO_TOUCH: HeaderName = HeaderName::from_static("x-no-touch");

/// Whether a request with this method and these headers counts as use of its session.
pub fn activity(method: &Method, headers: &HeaderMap) -> Activity {
    match headers.get(NO_TOUCH) {
        Some(value) if value == "1" && (method == Method::GET || method == Method::HEAD) => Activity::Background,
        _ => Activity::Active,
    }
}
