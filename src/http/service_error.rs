//! What an embedding application gets when the service cannot do something for it, and its answer over HTTP.
//!
//! Owns [`ServiceError`]. Must never put the cause of a failure into an answer.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use super::problem::Problem;
use crate::service::{Denied, EnsureError, RegisterError, Unavailable};

/// Why a [`Service`](crate::Service) did not do something, or cannot confirm it. A handler that returns it answers with
/// problem+json and the status of sessiond's own interface: 422, 409 or 503.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The address is not acceptable; one sentence for its owner.
    #[error("{0}")]
    InvalidEmail(String),
    /// The name is not acceptable; one sentence for its owner.
    #[error("{0}")]
    InvalidName(String),
    /// The key cannot name a user; one sentence about it.
    #[error("{0}")]
    InvalidKey(String),
    /// There is an account with this address.
    #[error("there is an account with this address")]
    EmailTaken,
    /// It is done, but a node may not know yet. Repeat the call to have it confirmed.
    #[error("done, but not confirmed: {0}")]
    Unconfirmed(String),
    /// A store does not answer, or too many requests wait. Try again later.
    #[error("{0}")]
    Unavailable(String),
}

impl From<RegisterError> for ServiceError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken => Self::EmailTaken,
            RegisterError::Denied(denied) => denied.into(),
            RegisterError::InvalidEmail(why) => Self::InvalidEmail(why),
            RegisterError::InvalidName(why) => Self::InvalidName(why),
            // Of those who register with a password.
            RegisterError::Closed | RegisterError::WeakPassword(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<EnsureError> for ServiceError {
    fn from(error: EnsureError) -> Self {
        match error {
            EnsureError::InvalidKey(why) => Self::InvalidKey(why.to_string()),
            EnsureError::InvalidEmail(why) => Self::InvalidEmail(why.to_string()),
            EnsureError::InvalidName(why) => Self::InvalidName(why),
            EnsureError::Denied(denied) => denied.into(),
        }
    }
}

impl From<Denied> for ServiceError {
    fn from(error: Denied) -> Self {
        match error {
            Denied::Unconfirmed(why) => Self::Unconfirmed(why),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<Unavailable> for ServiceError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl ServiceError {
    fn problem(&self) -> Problem {
        match self {
            Self::InvalidEmail(why) => Problem::invalid_field("email", why),
            Self::InvalidName(why) => Problem::invalid_field("name", why),
            Self::InvalidKey(why) => Problem::invalid_field("key", why),
            Self::EmailTaken => Problem::email_taken(),
            Self::Unconfirmed(_) => Problem::unconfirmed(),
            Self::Unavailable(_) => Problem::unavailable(),
        }
    }
}

impl ResponseError for ServiceError {
    fn status_code(&self) -> StatusCode {
        self.problem().status_code()
    }

    /// Logs the cause of a 503, and never sends it.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        let problem = self.problem();
        let problem = if problem.status_code().is_server_error() { problem.because(self) } else { problem };
        problem.error_response()
    }
}
