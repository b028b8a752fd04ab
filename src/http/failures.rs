//! How each failure of the service becomes an answer.
//!
//! Owns the one place that maps failures to problems. Must never tell more than the problem's own words.

use super::problem::Problem;
use crate::domain::Terms;
use crate::service::{
    AdminError, ChangePasswordError, DataError, Denied, IssueError, ReauthenticateError, RegisterError, RenameError,
    ResetError, SignInError, Unavailable,
};

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        let problem = match &error {
            Unavailable::Busy(_) => Self::busy(),
            Unavailable::Store(_) => Self::unavailable(),
        };
        problem.because(error)
    }
}

impl From<Denied> for Problem {
    fn from(error: Denied) -> Self {
        match error {
            Denied::Unconfirmed(why) => Self::unconfirmed().because(why),
            Denied::StepUpRequired(required) => Self::step_up_required(required.max_age),
            Denied::Ended => Self::unauthenticated(),
            Denied::Forbidden => Self::forbidden(),
            Denied::Throttled(throttled) => throttled.into(),
            Denied::Unavailable(error) => error.into(),
        }
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::UnknownUser => Self::not_found(),
            AdminError::LastAdministrator => Self::last_administrator(),
            // Only where links are made, which has no route.
            AdminError::IsSubject => Self::forbidden(),
            AdminError::Denied(denied) => denied.into(),
        }
    }
}

impl From<DataError> for Problem {
    fn from(error: DataError) -> Self {
        match error {
            DataError::TooLarge => Self::body_too_large(),
            DataError::Denied(denied) => denied.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Self::wrong_credentials(),
            SignInError::InvalidEmail(why) => Self::invalid_field("email", why.0),
            SignInError::TooManySessions => Self::too_many_sessions(),
            SignInError::Denied(denied) => denied.into(),
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::UnknownUser => Self::unauthenticated(),
            IssueError::TooManySessions => Self::too_many_sessions(),
            IssueError::UnknownService => Self::unknown_service(),
            IssueError::TooLong(Terms { idle, absolute }) => Self::invalid_field(
                "idle_timeout",
                format!("At most {} seconds, and absolute_timeout at most {}.", idle.as_secs(), absolute.as_secs()),
            ),
            IssueError::Administrator => Self::cannot_impersonate(),
            IssueError::KeyReused => Self::key_reused(),
            // Of the route that exchanges tokens, which has its own words for it.
            IssueError::TokenUsed => Self::unauthenticated(),
            IssueError::Denied(denied) => denied.into(),
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Closed => Self::registration_closed(),
            RegisterError::InvalidEmail(why) => Self::invalid_field("email", why),
            RegisterError::WeakPassword(why) => Self::invalid_field("password", why),
            RegisterError::InvalidName(why) => Self::invalid_field("name", why),
            RegisterError::EmailTaken => Self::email_taken(),
            RegisterError::Denied(denied) => denied.into(),
        }
    }
}

impl From<RenameError> for Problem {
    fn from(error: RenameError) -> Self {
        match error {
            RenameError::InvalidName(why) => Self::invalid_field("name", why),
            RenameError::Denied(denied) => denied.into(),
        }
    }
}

impl From<ChangePasswordError> for Problem {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::WrongPassword => Self::wrong_password(),
            ChangePasswordError::WeakPassword(why) => Self::invalid_field("new_password", why),
            ChangePasswordError::Denied(denied) => denied.into(),
        }
    }
}

impl From<ReauthenticateError> for Problem {
    fn from(error: ReauthenticateError) -> Self {
        match error {
            ReauthenticateError::WrongPassword => Self::wrong_password(),
            ReauthenticateError::Denied(denied) => denied.into(),
        }
    }
}

impl From<ResetError> for Problem {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Invalid => {
                Self::invalid_field("token", "This link has been used, has expired or is incomplete.")
            }
            ResetError::WeakPassword(why) => Self::invalid_field("new_password", why),
            ResetError::Denied(denied) => denied.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::header::RETRY_AFTER;
    use actix_web::{HttpResponse, ResponseError};
    use serde_json::{Value, json};

    use super::*;

    async fn sent(problem: Problem) -> (HttpResponse, Value) {
        let body = to_bytes(problem.error_response().into_body()).await.unwrap();
        (problem.error_response(), serde_json::from_slice(&body).unwrap())
    }

    #[actix_web::test]
    async fn a_field_that_is_wrong_is_named() {
        let (response, body) = sent(RegisterError::WeakPassword("Too short.".to_owned()).into()).await;
        assert_eq!(response.status(), 422);
        assert_eq!(body["errors"], json!([{"field": "password", "detail": "Too short."}]));
    }

    #[actix_web::test]
    async fn a_sick_store_is_503_with_retry_after_and_without_its_cause() {
        let cause = Unavailable::Store("connection to redis refused".to_owned());
        let (response, body) = sent(cause.into()).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "1");
        assert!(!body.to_string().contains("redis"), "{body}");
    }

    #[actix_web::test]
    async fn l_02_who_is_sent_away_together_does_not_come_back_together() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..=u8::MAX {
            let id = uuid::Uuid::from_bytes([number; 16]);
            let busy = async { Problem::from(Unavailable::Busy("a test")) };
            let problem = crate::http::request_id::within(id, busy).await;
            let seconds = problem.error_response().headers().get(RETRY_AFTER).unwrap().to_str().unwrap().to_owned();
            seen.insert(seconds);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
    }

    #[actix_web::test]
    async fn every_503_says_when_to_come_back() {
        for problem in [Problem::unconfirmed(), Unavailable::Busy("a test").into()] {
            assert_eq!(problem.error_response().headers().get(RETRY_AFTER).unwrap(), "1");
        }
    }
}
