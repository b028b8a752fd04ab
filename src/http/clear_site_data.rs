//! The `Clear-Site-Data` header: what a browser deletes at sign-out.
//!
//! Owns its spelling (W3C Clear Site Data §3.1). Must never add a type that the settings do not name.

use actix_web::http::header::{HeaderName, HeaderValue};

use crate::config::Config;

/// The header's name.
pub const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The header's value; none if nothing is to be deleted.
pub fn clearing(config: &Config) -> Option<HeaderValue> {
    let kinds: Vec<_> = config.clear_site_data.0.iter().map(|kind| format!("\"{}\"", kind.word())).collect();
    HeaderValue::from_str(&kinds.join(", ")).ok().filter(|value| !value.is_empty())
}
