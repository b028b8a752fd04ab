//! Errors over HTTP: RFC 9457 problems.
//!
//! The only file with status codes of errors; the types, the titles and most details are here, too. It logs the cause of an
//! error once and never sends it. Must never hold anything about a user, a store or a query.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use uuid::Uuid;

use super::problem_body::{FieldError, ProblemBody, StepUp};
use super::request_id;
use crate::service::Outcome;

/// Media type of every error answer.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Not `Basic` or `Bearer`: `Basic` makes browsers open a dialog, and `Bearer` is for services.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Cookie realm=\"sessiond\"");

/// Where a signed-in user proves their identity again.
pub const REAUTHENTICATE: &str = "/reauthenticate";

/// Seconds after which a retry is worthwhile.
const RETRY_SOON: u64 = 1;
/// Most seconds to wait after an answer that many clients get at once, so that they do not all retry together.
const RETRY_SPREAD: u8 = 5;

/// A kind of problem.
pub struct Kind {
    /// Its name: the last part of its `type`.
    pub slug: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// The kind in words.
    pub title: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $slug:literal $status:ident $title:literal;)*) => {
        $(pub(super) const $name: Kind = Kind { slug: $slug, status: StatusCode::$status, title: $title };)*

        /// Every kind of problem. The document names them all.
        pub const KINDS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    NOT_JSON = "invalid-body" BAD_REQUEST "The request cannot be read";
    NOT_ACCEPTABLE = "not-acceptable" NOT_ACCEPTABLE "No answer of this kind";
    UNKNOWN_SERVICE = "unknown-service" UNAUTHORIZED "Unknown service";
    UNAUTHENTICATED = "unauthenticated" UNAUTHORIZED "Not signed in";
    WRONG_CREDENTIALS = "wrong-credentials" UNAUTHORIZED "Wrong e-mail address or password";
    WRONG_PASSWORD = "wrong-password" FORBIDDEN "Wrong password";
    FORBIDDEN_ORIGIN = "forbidden-origin" FORBIDDEN "Origin not allowed";
    STEP_UP_REQUIRED = "step-up-required" FORBIDDEN "Recent sign-in required";
    WRONG_CSRF_TOKEN = "wrong-csrf-token" FORBIDDEN "Wrong CSRF token";
    FORBIDDEN = "forbidden" FORBIDDEN "Not allowed";
    ACTING_SESSION = "acting-session" FORBIDDEN "Only for the user";
    CANNOT_IMPERSONATE = "cannot-impersonate" FORBIDDEN "This user cannot be impersonated";
    FROM_BROWSER = "from-browser" FORBIDDEN "Not for browsers";
    INSUFFICIENT_SCOPE = "insufficient-scope" FORBIDDEN "The service may not do this";
    USER_DISABLED = "user-disabled" FORBIDDEN "The user is disabled";
    TOKEN_REFUSED = "token-refused" UNAUTHORIZED "Token refused";
    REGISTRATION_CLOSED = "registration-closed" FORBIDDEN "Registration is closed";
    NOT_FOUND = "not-found" NOT_FOUND "Not found";
    METHOD_NOT_ALLOWED = "method-not-allowed" METHOD_NOT_ALLOWED "Method not allowed";
    REQUEST_TIMEOUT = "request-timeout" REQUEST_TIMEOUT "The request took too long to arrive";
    EMAIL_TAKEN = "email-taken" CONFLICT "E-mail address already in use";
    LAST_ADMINISTRATOR = "last-administrator" CONFLICT "Last administrator";
    TOO_MANY_SESSIONS = "too-many-sessions" CONFLICT "Too many sessions";
    TOKEN_USED = "token-used" CONFLICT "Token already exchanged";
    EXCHANGE_OVER = "exchange-over" GONE "Tokens are no longer exchanged";
    BODY_TOO_LARGE = "body-too-large" PAYLOAD_TOO_LARGE "The body is too large";
    TOO_MANY_ATTEMPTS = "too-many-attempts" TOO_MANY_REQUESTS "Too many attempts";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE "Wrong media type of the body";
    INVALID_BODY = "invalid-body" UNPROCESSABLE_ENTITY "Invalid field";
    KEY_REUSED = "idempotency-key-reused" UNPROCESSABLE_ENTITY "Idempotency key already used";
    INTERNAL = "internal" INTERNAL_SERVER_ERROR "Something went wrong";
    UNAVAILABLE = "unavailable" SERVICE_UNAVAILABLE "Temporarily unavailable";
    BUSY = "busy" SERVICE_UNAVAILABLE "Too busy";
    UNCONFIRMED = "unconfirmed" SERVICE_UNAVAILABLE "Done, but not confirmed yet";
}

impl Kind {
    /// The URN that programs compare.
    pub fn urn(&self) -> String {
        format!("urn:sessiond:problem:{}", self.slug)
    }
}

/// An error answer.
pub struct Problem(Box<Inner>);

struct Inner {
    kind: &'static Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    step_up: Option<StepUp>,
    outcome: Option<Outcome>,
    headers: Vec<(HeaderName, HeaderValue)>,
    instance: Option<Uuid>,
}

impl Problem {
    pub(super) fn new(kind: &'static Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let (detail, instance) = (detail.into(), request_id::current());
        let (errors, headers) = (Vec::new(), Vec::new());
        Self(Box::new(Inner { kind, detail, errors, step_up: None, outcome: None, headers, instance }))
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    pub(super) fn with_challenge(self) -> Self {
        self.with_header(WWW_AUTHENTICATE, CHALLENGE)
    }

    fn retry_soon(self) -> Self {
        self.with_header(RETRY_AFTER, HeaderValue::from(RETRY_SOON))
    }

    /// No session, an ended one, or a cookie that is not ours: one answer for all.
    pub fn unauthenticated() -> Self {
        Self::new(&UNAUTHENTICATED, "Sign in to continue.").with_header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// A gateway asks for a navigation without a session, but is not a trusted proxy.
    pub fn proxy_not_trusted() -> Self {
        let detail = "Sign in to continue. SESSIOND_TRUSTED_PROXIES does not list this gateway, so its X-Forwarded-Uri \
            header is ignored.";
        Self::new(&UNAUTHENTICATED, detail).with_header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// The e-mail address or the password is wrong, or the account is disabled: one answer for all.
    pub fn wrong_credentials() -> Self {
        Self::new(&WRONG_CREDENTIALS, "The e-mail address or the password is wrong.")
            .with_header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// Another site's page may have made the request. `origin` is that page's origin, in a form that is safe to show.
    pub fn forbidden_origin(origin: Option<&str>) -> Self {
        let detail = origin.map_or_else(
            || {
                "The request may come from another site's page. A program sends its body as application/json, or no body and the header X-Requested-With."
                    .to_owned()
            },
            |origin| {
                format!(
                    "The request comes from \"{origin}\", but this server's SESSIOND_ORIGIN does not list that origin."
                )
            },
        );
        Self::new(&FORBIDDEN_ORIGIN, detail)
    }

    /// A CSRF token is missing where it is required, or belongs to another session.
    pub fn wrong_csrf_token() -> Self {
        Self::new(&WRONG_CSRF_TOKEN, "The CSRF token is missing or wrong. Get the current one from GET /me.")
    }

    /// Signed in, but without the required role.
    pub fn forbidden() -> Self {
        Self::new(&FORBIDDEN, "Your account is not allowed to do this.")
    }

    /// Signed in, but too long ago for this action, or on another device.
    pub fn step_up_required(max_age: Duration) -> Self {
        let detail = "Confirm your password first: send it to the path in step_up, then repeat the request.";
        let mut problem = Self::new(&STEP_UP_REQUIRED, detail);
        problem.0.step_up = Some(StepUp { path: REAUTHENTICATE.to_owned(), max_age: max_age.as_secs() });
        problem
    }

    /// The same answer for a server whose routes begin at `base_path`.
    #[must_use]
    pub fn under(mut self, base_path: &str) -> Self {
        if let Some(step_up) = &mut self.0.step_up {
            step_up.path.insert_str(0, base_path);
        }
        self
    }

    /// The thing does not exist, or belongs to another user.
    pub fn not_found() -> Self {
        Self::new(&NOT_FOUND, "There is nothing at this URL.")
    }

    /// The path exists, the method does not; `allow` lists the path's methods.
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        let detail = "This path does not accept this method. The Allow header lists the methods that it accepts.";
        Self::new(&METHOD_NOT_ALLOWED, detail).with_header(ALLOW, allow)
    }

    /// The body did not arrive in time.
    pub fn request_timeout() -> Self {
        Self::new(&REQUEST_TIMEOUT, "The body did not arrive in time.")
    }

    /// The body is larger than the limit.
    pub fn body_too_large() -> Self {
        Self::new(&BODY_TOO_LARGE, "The body exceeds the size limit.")
    }

    /// The body is not declared as JSON.
    pub fn unsupported_media_type() -> Self {
        Self::new(&UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json.")
    }

    /// The body is not declared as a form.
    pub fn not_a_form() -> Self {
        Self::new(&UNSUPPORTED_MEDIA_TYPE, "Send the body as application/x-www-form-urlencoded.")
    }

    /// A form that cannot be read: a field is missing, unknown or given twice.
    pub fn unreadable_form() -> Self {
        Self::new(&NOT_JSON, "The form lacks a field, or has one twice or with a wrong value.")
    }

    /// The body is not JSON, or not a JSON object.
    pub fn not_json() -> Self {
        Self::new(&NOT_JSON, "The body is not a JSON object.")
    }

    /// A query parameter has an invalid value.
    pub fn invalid_query() -> Self {
        Self::new(&NOT_JSON, "A query parameter has an invalid value.")
    }

    /// A JSON object with an invalid field.
    pub fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { field: field.into(), detail: detail.into() };
        let mut problem = Self::new(&INVALID_BODY, format!("{}: {}", error.field, error.detail));
        problem.0.errors.push(error);
        problem
    }

    /// The request is done, but not yet known to hold everywhere.
    pub fn unconfirmed() -> Self {
        let detail = "The change is saved, but not yet confirmed everywhere. Repeat the request to confirm it.";
        Self::new(&UNCONFIRMED, detail).retry_soon()
    }

    /// Some of many are still unconfirmed: not a 2xx, which would say that all have ended.
    pub fn partly_unconfirmed(outcome: Outcome) -> Self {
        let mut problem = Self::unconfirmed();
        problem.0.outcome = Some(outcome);
        problem
    }

    /// An internal error. The cause goes to the log.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let problem = Self::new(&INTERNAL, "Something went wrong on our side.");
        log::error!("request {}: {cause}", problem.request());
        problem
    }

    /// The user has as many sessions as allowed.
    pub fn too_many_sessions() -> Self {
        Self::new(&TOO_MANY_SESSIONS, "You have too many sessions. Sign out somewhere else first.")
    }

    /// Too many attempts; the headers tell when to come back.
    pub fn too_many_attempts(detail: &'static str) -> Self {
        Self::new(&TOO_MANY_ATTEMPTS, detail)
    }

    /// The current password is wrong.
    pub fn wrong_password() -> Self {
        Self::new(&WRONG_PASSWORD, "That is not your current password.")
    }

    /// Only the operator creates accounts here.
    pub fn registration_closed() -> Self {
        Self::new(&REGISTRATION_CLOSED, "Registration is closed. Ask the operator of this service for an account.")
    }

    /// The address already has an account: the only answer that reveals this.
    pub fn email_taken() -> Self {
        Self::new(&EMAIL_TAKEN, "An account with this e-mail address already exists.")
    }

    /// No administrator would be left.
    pub fn last_administrator() -> Self {
        Self::new(&LAST_ADMINISTRATOR, "No other administrator can sign in. Make another user an administrator first.")
    }

    /// A store does not answer.
    pub fn unavailable() -> Self {
        Self::new(&UNAVAILABLE, "The service is temporarily unavailable. Try again in a moment.").retry_soon()
    }

    /// Nothing is broken, but the load is too high.
    pub fn busy() -> Self {
        let problem = Self::new(&BUSY, "The server is overloaded. Try again in a moment.");
        // Request ids are random, so one of their bytes serves as a die.
        let [die, ..] = problem.request().into_bytes();
        problem.with_header(RETRY_AFTER, HeaderValue::from(u16::from(die % RETRY_SPREAD) + 1))
    }

    /// The same answer; logs the cause and sends it nowhere.
    #[must_use]
    pub fn because(self, cause: impl fmt::Display) -> Self {
        log::warn!("request {}: {}: {cause}", self.request(), self.0.kind.slug);
        self
    }

    /// The request's id, for the log.
    fn request(&self) -> Uuid {
        self.0.instance.unwrap_or_default()
    }

    fn body(&self) -> Vec<u8> {
        let Inner { kind, detail, errors, step_up, outcome, instance, .. } = self.0.as_ref();
        let body = ProblemBody {
            kind: kind.urn(),
            title: kind.title,
            status: kind.status.as_u16(),
            detail,
            instance: instance.map(|id| id.urn().to_string()),
            errors,
            step_up: step_up.as_ref(),
            outcome: outcome.as_ref(),
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.kind.status.as_u16(), self.0.kind.slug, self.0.detail)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.kind.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.0.kind.status);
        for header in &self.0.headers {
            response.append_header(header.clone());
        }
        response.content_type(CONTENT_TYPE).body(self.body())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;

    async fn sent(problem: Problem) -> (HttpResponse, Value) {
        let body = to_bytes(problem.error_response().into_body()).await.unwrap();
        (problem.error_response(), serde_json::from_slice(&body).unwrap())
    }

    #[actix_web::test]
    async fn a_problem_names_its_kind_its_status_and_the_request() {
        let id = Uuid::from_u128(7);
        let problem = request_id::within(id, async { Problem::unauthenticated() }).await;
        let (response, body) = sent(problem).await;
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers().get(WWW_AUTHENTICATE), Some(&CHALLENGE));
        assert_eq!(response.headers().get("content-type").unwrap(), CONTENT_TYPE);
        assert_eq!(
            body,
            json!({
                "type": "urn:sessiond:problem:unauthenticated",
                "title": "Not signed in",
                "status": 401,
                "detail": "Sign in to continue.",
                "instance": "urn:uuid:00000000-0000-0000-0000-000000000007",
            })
        );
    }
}
