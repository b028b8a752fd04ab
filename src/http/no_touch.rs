//! Requests that a program makes by itself: they keep nobody signed in.
//!
//! Owns the header `X-No-Touch: 1`. It must never be worth anything to a thief: a use that is not counted is still looked
//! at, from another address or by another device as any; and whatever changes something is a use, whatever it says.

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName};

use crate::service::Activity;

const NO_TOUCH: HeaderName = HeaderName::from_static("x-no-touch");

/// Whether a request of this method with these headers is a use of its session.
pub fn activity(method: &Method, headers: &HeaderMap) -> Activity {
    match headers.get(NO_TOUCH) {
        Some(value) if value == "1" && (method == Method::GET || method == Method::HEAD) => Activity::Background,
        _ => Activity::Active,
    }
}
