//! Routes to register, to sign in and out, and to reset a password.
//!
//! None needs a live session, and none fails because the session in the cookie cannot be checked.

use actix_session::Session;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{HttpResponse, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bridge;
use super::clear_site_data::CLEAR_SITE_DATA;
use super::cookie::Presented;
use super::device_cookie;
use super::extract::{Json, Text, Visit};
use super::problem::Problem;
use super::security_log::{Refused, note};
use super::site::Site;
use super::typed_password::typed;
use crate::service::{Denied, NewAccount, ResetError, SessionView, SignIn, SignInError, UserView};

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    #[schema(value_type = String, example = "ana@example.org")]
    email: Text,
    #[schema(min_length = 8, max_length = 256, format = Password)]
    password: String,
    #[schema(value_type = Option<String>)]
    name: Option<Text>,
}

/// A sign-in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    #[schema(value_type = String, example = "ana@example.org")]
    email: Text,
    #[schema(format = Password)]
    password: String,
    /// Whether to stay signed in after the browser is closed.
    #[serde(default)]
    remember: bool,
}

/// A new password, set with a one-time link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    #[schema(value_type = String, example = "b25lLXRpbWUtdG9rZW4tb2YtdGhlLWxpbms")]
    token: Text,
    #[schema(min_length = 8, max_length = 256, format = Password)]
    new_password: String,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAnswer {
    /// The user.
    pub user: UserView,
}

/// A user and a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedInAnswer {
    /// The user.
    pub user: UserView,
    /// The session that this request belongs to.
    pub session: SessionView,
}

/// Creates an account. It is not signed in.
#[utoipa::path(
    post, path = "/register", tag = "anyone", security(()), request_body = Register,
    responses(
        (status = 201, description = "The account is created.", body = UserAnswer),
        (status = 403, description = "Registration is closed (`registration-closed`)."),
        (status = 409, description = "The e-mail address already has an account (`email-taken`)."),
        (status = 429, description = "Too many registrations from this address (`too-many-attempts`)."),
    )
)]
pub async fn register(site: Data<Site>, visit: Visit, Json(body): Json<Register>) -> Result<HttpResponse, Problem> {
    let name = body.name.map(|name| name.0);
    let account = NewAccount { email: body.email.0, password: typed("password", body.password)?, name };
    let user = site.app.users.register(account, visit.client()).await?;
    Ok(HttpResponse::Created().json(UserAnswer { user }))
}

/// Signs in. The browser's previous session ends.
#[utoipa::path(
    post, path = "/login", tag = "anyone", security(()), request_body = Login,
    responses(
        (status = 200, description = "Signed in; the session is in the cookie.", body = SignedInAnswer,
         headers(("Set-Cookie" = String, description = "Two headers: the session cookie and the device cookie."))),
        (status = 401, description = "Refused (`wrong-credentials`). The answer is the same for every cause."),
        (status = 409, description = "The user has too many sessions (`too-many-sessions`)."),
        (status = 429, description = "Too many wrong passwords, or too many sign-ins (`too-many-attempts`)."),
    )
)]
pub async fn login(
    site: Data<Site>,
    visit: Visit,
    session: Session,
    Json(body): Json<Login>,
) -> Result<HttpResponse, Problem> {
    let sign_in = SignIn {
        email: body.email.0,
        password: typed("password", body.password)?,
        remember: body.remember,
        replaces: visit.presented_hashes(),
        device: visit.device().cloned(),
    };
    let signed_in = site.app.sign_in.sign_in(sign_in, visit.client()).await.inspect_err(|error| {
        if *error == SignInError::Refused {
            note(&site.app, Refused::SignIn, visit.client(), None, error);
        }
    })?;
    bridge::hand_over(&session, &visit, signed_in.token, &signed_in.session)?;
    let device = device_cookie::set(&signed_in.device)?;
    let answer = SignedInAnswer { user: signed_in.user, session: signed_in.session };
    Ok(HttpResponse::Ok().append_header((SET_COOKIE, device)).json(answer))
}

/// Signs out, whether or not the session is still live. If the request has several session cookies, every session ends.
/// Repeat it until it succeeds: the cookies are removed only when the end is recorded.
#[utoipa::path(
    post, path = "/logout", tag = "signed in", security((), ("session" = [])),
    responses(
        (status = 204, description = "Signed out; the cookie is removed from every domain and path.", headers(
            ("Set-Cookie" = String, description = "Removes the session cookie."),
            ("Clear-Site-Data" = String, description = "What else the browser deletes, as configured."),
        )),
        (status = 401, description = "More than 200 session cookies, which no browser sends (`unauthenticated`)."),
        (status = 503, description = "Not ended: repeat the request, with the cookie, after Retry-After. Or ended, but \
            not confirmed yet (`unconfirmed`): the cookie is removed.", headers(
            ("Set-Cookie" = String, description = "If the session has ended: removes the session cookie."),
            ("Clear-Site-Data" = String, description = "If the session has ended: what else the browser deletes, as \
                configured."),
        )),
    )
)]
pub async fn logout(site: Data<Site>, visit: Visit) -> Result<HttpResponse, Problem> {
    if matches!(visit.presented(), Presented::TooMany) {
        return Err(Problem::unauthenticated());
    }
    let ended = site.app.sessions.sign_out(&visit.presented_hashes(), visit.client()).await;
    ended.map_err(|error| refusal(&site, error))?;
    let mut response = HttpResponse::build(StatusCode::NO_CONTENT);
    response.insert_header((SET_COOKIE, site.cookie.removal()));
    if let Some(kinds) = &site.clear_site_data {
        response.insert_header((CLEAR_SITE_DATA, kinds.clone()));
    }
    Ok(response.finish())
}

/// The answer to a sign-out that failed. If the ledger has recorded the end, the cookie is cleared, even if not every
/// node knows of the end yet. If it has not, the session lives on and the cookie stays: it is needed to end the session.
fn refusal(site: &Site, error: Denied) -> Problem {
    let is_done = matches!(error, Denied::Unconfirmed(_));
    let problem = Problem::from(error);
    if !is_done {
        return problem;
    }
    let problem = problem.with_header(SET_COOKIE, site.cookie.removal());
    match &site.clear_site_data {
        Some(kinds) => problem.with_header(CLEAR_SITE_DATA, kinds.clone()),
        None => problem,
    }
}

/// Sets a new password with a one-time link. Every session of the user ends.
#[utoipa::path(
    post, path = "/reset", operation_id = "reset_password", tag = "anyone", security(()), request_body = Reset,
    responses(
        (status = 204, description = "The password is changed."),
        (status = 422, description = "The link has been used or has expired, or the password is not accepted \
            (`invalid-body`)."),
        (status = 429, description = "Too many attempts with this link (`too-many-attempts`)."),
        (status = 503, description = "Not changed; or changed, but not confirmed yet (`unconfirmed`)."),
    )
)]
pub async fn reset(site: Data<Site>, visit: Visit, Json(body): Json<Reset>) -> Result<HttpResponse, Problem> {
    let new = typed("new_password", body.new_password)?;
    let done = site.app.users.reset_password(&body.token.0, new, visit.client()).await;
    done.inspect_err(|error| {
        if *error == ResetError::Invalid {
            note(&site.app, Refused::ResetLink, visit.client(), None, error);
        }
    })?;
    Ok(HttpResponse::NoContent().finish())
}
