//! Routes for the signed-in user's own account.

use actix_session::Session;
use actix_web::HttpResponse;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bridge;
use super::device_cookie;
use super::extract::{Json, SignedIn, Text, Visit, nullable};
use super::problem::Problem;
use super::security_log::{Refused, note};
use super::sign_in::UserAnswer;
use super::site::Site;
use super::typed_password::typed;
use crate::service::{ChangePasswordError, Checked, Renewed, SessionView, UserView};

/// A new display name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// Null removes it.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, required, example = "Ana Silva")]
    name: Option<Text>,
}

/// A password change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    #[schema(format = Password)]
    current_password: String,
    #[schema(min_length = 8, max_length = 256, format = Password)]
    new_password: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionAnswer {
    /// The session that this request belongs to.
    pub session: SessionView,
}

/// The signed-in user and session.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeAnswer {
    /// The user.
    pub user: UserView,
    /// The session that this request belongs to.
    pub session: SessionView,
    /// The token for the X-CSRF-Token header of this session's pages. A gateway may require it.
    /// It changes with each renewal of the session's token.
    #[schema(
        min_length = 64,
        max_length = 64,
        example = "QkFTRTY0VVJMLW9mLWEtbm9uY2UtYW5kLWEtbWFjLW9mLTQ4LWJ5dGVzLWluLWFs"
    )]
    pub csrf_token: String,
}

/// The signed-in user and session.
#[utoipa::path(
    get, path = "/me", operation_id = "get_me", tag = "signed in",
    responses(
        (status = 200, description = "The user (read from the database), the session and its CSRF token.", body = MeAnswer),
    )
)]
pub async fn me(site: Data<Site>, SignedIn(checked): SignedIn) -> Result<Json<MeAnswer>, Problem> {
    who(&site, &checked).await?.map(Json).ok_or_else(Problem::unauthenticated)
}

/// Like `/me`, for public pages: without a session, the answer is `null` instead of 401.
#[utoipa::path(
    get, path = "/session", operation_id = "get_session", tag = "anyone", security((), ("session" = [])),
    responses(
        (status = 200, description = "Like `/me`, or null.", body = Option<MeAnswer>),
    )
)]
pub async fn session(site: Data<Site>, asking: Option<SignedIn>) -> Result<Json<Option<MeAnswer>>, Problem> {
    match asking {
        Some(SignedIn(checked)) => who(&site, &checked).await.map(Json),
        None => Ok(Json(None)),
    }
}

/// Returns `None` if the session has ended meanwhile.
async fn who(site: &Site, checked: &Checked) -> Result<Option<MeAnswer>, Problem> {
    let csrf_token = || site.csrf_tokens.issue(&checked.token_hash);
    let me = site.app.users.me(checked).await?;
    Ok(me.map(|me| MeAnswer { user: me.user, session: me.session, csrf_token: csrf_token() }))
}

/// Changes the display name.
#[utoipa::path(
    patch, path = "/me", operation_id = "update_me", tag = "signed in", request_body = Rename,
    responses(
        (status = 200, description = "The user with the new name.", body = UserAnswer),
        (status = 403, description = "Another device uses the session (`step-up-required`)."),
        (status = 422, description = "The name is not accepted (`invalid-body`)."),
        (status = 429, description = "Too many changes of the account (`too-many-attempts`)."),
    )
)]
pub async fn rename(
    site: Data<Site>,
    SignedIn(checked): SignedIn,
    Json(body): Json<Rename>,
) -> Result<Json<UserAnswer>, Problem> {
    let renamed = site.app.users.rename(&checked, body.name.map(|name| name.0)).await;
    let user = renamed.map_err(|error| site.refusal(error))?;
    Ok(Json(UserAnswer { user }))
}

/// Changes the password. Every other session ends, and this one gets a new token. The current password proves the
/// user's identity, so no other proof is needed.
#[utoipa::path(
    put, path = "/me/password", tag = "signed in", request_body = ChangePassword,
    responses(
        (status = 200, description = "Changed; the new token is in the cookie.", body = SessionAnswer,
         headers(("Set-Cookie" = String, description = "The session cookie with the new token."))),
        (status = 403, description = "The current password is wrong (`wrong-password`)."),
        (status = 422, description = "The new password is not accepted (`invalid-body`)."),
        (status = 429, description = "Too many wrong passwords in this session, or too many changes (`too-many-attempts`)."),
        (status = 503, description = "Not changed; or changed, but not confirmed yet (`unconfirmed`), with the new \
            token in the cookie.", headers(
            ("Set-Cookie" = String, description = "With `unconfirmed`: the session cookie with the new token, and the \
                device cookie."))),
    )
)]
pub async fn change_password(
    site: Data<Site>,
    visit: Visit,
    session: Session,
    SignedIn(checked): SignedIn,
    Json(body): Json<ChangePassword>,
) -> Result<HttpResponse, Problem> {
    let current = typed("current_password", body.current_password)?;
    let new = typed("new_password", body.new_password)?;
    let changed = site.app.users.change_password(&checked, current, new, visit.client()).await;
    let renewed = changed.inspect_err(|error| {
        if *error == ChangePasswordError::WrongPassword {
            note(&site.app, Refused::Password, visit.client(), Some(&checked), error);
        }
    })?;
    hand_over(&session, &visit, renewed)
}

/// Returns the answer with the session's new token in the cookie. An unconfirmed renewal gets it too: the old token is
/// already dead, and without the new one the user would be signed out.
pub fn hand_over(session: &Session, visit: &Visit, renewed: Renewed) -> Result<HttpResponse, Problem> {
    bridge::hand_over(session, visit, renewed.token, &renewed.session)?;
    let device = renewed.device.as_ref().map(device_cookie::set).transpose()?;
    if !renewed.invalidated {
        let problem = Problem::unconfirmed();
        return Err(device.into_iter().fold(problem, |it, cookie| it.with_header(SET_COOKIE, cookie)));
    }
    let mut answer = HttpResponse::Ok();
    if let Some(cookie) = device {
        answer.append_header((SET_COOKIE, cookie));
    }
    Ok(answer.json(SessionAnswer { session: renewed.session }))
}
