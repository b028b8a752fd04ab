//! HTTP: the only layer that knows status codes, cookies and headers; only it and the server know actix.
//!
//! A request passes [`headers`] (every answer), then, on routes that use sessions, [`guard`] (origin, cookie, check),
//! actix-session over [`bridge`], and the handler in the file named after its caller.
//! Handlers hold no SQL, no Redis and no policy: extract, one call of the service, answer.

pub mod access_level;
pub mod account;
pub mod acting_problem;
pub mod admin;
mod administrator;
mod bounce;
pub mod bridge;
mod canonical_path;
pub mod catch_panic;
mod clear_site_data;
pub mod client_address;
pub mod context;
pub mod cookie;
mod cors;
pub mod csrf;
pub mod csrf_token;
mod derived_key;
mod device_cookie;
pub mod events;
mod exchange;
pub mod extract;
pub mod failures;
mod filter;
mod filter_document;
mod form;
pub mod forwarded_method;
mod forwarded_request;
pub mod gateway;
mod go_on;
pub mod guard;
pub mod headers;
mod idempotency;
mod introspection_format;
mod issued_cookie;
mod jwks;
mod listing;
mod media_type;
pub mod named_fields;
pub mod next;
mod no_touch;
mod old_token;
pub mod openapi;
mod openapi_common;
mod openapi_examples;
mod openapi_problems;
#[cfg(test)]
mod openapi_tests;
pub mod operator;
pub mod pages;
pub mod problem;
pub mod problem_body;
pub mod reauthenticate;
pub mod removal;
mod request_id;
pub mod routes;
mod security_log;
mod service_error;
mod service_guard;
mod service_problem;
mod services;
pub mod sessions;
pub mod sign_in;
mod signature;
pub mod site;
mod stale_cookies;
mod subjects;
mod throttled;
pub mod typed_password;
mod unknown_query;

pub(crate) use context::current_session;
pub use context::remember_me;
pub use csrf::Origins;
pub use extract::SignedIn;
pub use guard::{SessionLayer, session_layer};
pub use problem::Problem;
pub use routes::application;
pub use service_error::ServiceError;
pub use site::Site;
