//! Problems of services: what only an application with a secret is told.
//!
//! Owns their words. Must never tell why a secret opens nothing.

use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};

use super::problem::{
    FORBIDDEN, FROM_BROWSER, INSUFFICIENT_SCOPE, KEY_REUSED, NOT_ACCEPTABLE, Problem, UNKNOWN_SERVICE, USER_DISABLED,
};
use crate::domain::Scope;

impl Problem {
    /// No secret of a service, or one that opens nothing: one answer for all.
    pub fn unknown_service() -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"sessiond\"");
        let detail = "Send the service's secret: Authorization: Bearer sd_svc_…";
        Self::new(&UNKNOWN_SERVICE, detail).with_header(WWW_AUTHENTICATE, challenge)
    }

    /// The service lacks a scope.
    pub fn insufficient_scope(scope: Scope) -> Self {
        let name = scope.name();
        let challenge = format!("Bearer realm=\"sessiond\", error=\"insufficient_scope\", scope=\"{name}\"");
        let problem = Self::new(&INSUFFICIENT_SCOPE, format!("This service lacks the scope \"{name}\"."));
        match HeaderValue::from_str(&challenge) {
            Ok(challenge) => problem.with_header(WWW_AUTHENTICATE, challenge),
            Err(_) => problem,
        }
    }

    /// A browser sent what only a service may send.
    pub fn from_browser() -> Self {
        Self::new(
            &FROM_BROWSER,
            "A browser must never have a service's secret: services send it from their own servers, without a cookie.",
        )
    }

    /// The service's user is disabled.
    pub fn user_disabled() -> Self {
        Self::new(&USER_DISABLED, "The user is disabled here: no session is issued.")
    }

    /// The idempotency key came with another request, or its session is over.
    pub fn key_reused() -> Self {
        Self::new(&KEY_REUSED, "This key was used for another request, or the session that it made is over.")
    }

    /// A service asks to act for a user as a person at the console does.
    pub fn only_for_people() -> Self {
        Self::new(&FORBIDDEN, "Only a person does this: a service asks POST /issue for a session with an actor.")
    }

    /// A service asks for a token alone, and none are issued.
    pub fn tokens_are_off() -> Self {
        Self::new(&NOT_ACCEPTABLE, "No tokens are issued here: accept application/json, or set SESSIOND_JWT_ISSUER.")
    }
}
