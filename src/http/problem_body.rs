//! The body of an error over HTTP: RFC 9457.
//!
//! Owns its fields and their OpenAPI description. Must never have a field for a cause: the cause goes to the log.

use serde::Serialize;
use utoipa::ToSchema;

use crate::service::Outcome;

/// One invalid field of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's name in the body.
    #[schema(example = "email")]
    pub field: String,
    /// What is wrong, in a sentence for the user.
    #[schema(example = "This is not an e-mail address.")]
    pub detail: String,
}

/// What to do first, if a change needs a recent proof of identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StepUp {
    /// Where to POST `{password}`. Repeat the refused request with the cookie of that answer.
    #[schema(example = "/reauthenticate")]
    pub path: String,
    /// The maximum age of that proof, in seconds.
    #[schema(example = 900)]
    pub max_age: u64,
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// `urn:sessiond:problem:` and the kind of problem, for programs to compare.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    pub kind: String,
    /// The kind of problem in words.
    #[schema(example = "Not signed in")]
    pub title: &'a str,
    /// The status of the answer.
    #[schema(example = 401)]
    pub status: u16,
    /// This particular problem in words.
    #[schema(example = "Sign in to continue.")]
    pub detail: &'a str,
    /// `urn:uuid:` and the id of the request, as in the X-Request-Id header and in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub instance: Option<String>,
    /// The invalid fields.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [FieldError],
    /// What to do first; only with `step-up-required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub step_up: Option<&'a StepUp>,
    /// How much is done; only with `unconfirmed`, if the request ends many sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub outcome: Option<&'a Outcome>,
}
