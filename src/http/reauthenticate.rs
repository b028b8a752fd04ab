//! The route on which a signed-in user proves their identity again.
//!
//! Owns its request and answer. Must never open a session: a user without one signs in.

use actix_session::Session;
use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::ToSchema;

use super::account::{SessionAnswer, hand_over};
use super::extract::{Json, SignedIn, Visit};
use super::problem::Problem;
use super::security_log::{Refused, note};
use super::site::Site;
use super::typed_password::typed;
use crate::service::ReauthenticateError;

/// The proof.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reauthenticate {
    #[schema(format = Password)]
    password: String,
}

/// Proves the user's identity again, for actions that need a recent proof (`step-up-required`). The session keeps its
/// id and gets a new token.
#[utoipa::path(
    post, path = "/reauthenticate", tag = "signed in", request_body = Reauthenticate,
    responses(
        (status = 200, description = "The password is right; the new token is in the cookie.", body = SessionAnswer,
         headers(("Set-Cookie" = String, description = "The session cookie with the new token."))),
        (status = 403, description = "The password is wrong (`wrong-password`)."),
        (status = 429, description = "Too many wrong passwords in this session, or too many right ones (`too-many-attempts`)."),
        (status = 503, description = "Not proven; or proven, but not confirmed yet (`unconfirmed`), with the new token \
            in the cookie.", headers(
            ("Set-Cookie" = String, description = "With `unconfirmed`: the session cookie with the new token, and the \
                device cookie."))),
    )
)]
pub async fn reauthenticate(
    site: Data<Site>,
    visit: Visit,
    session: Session,
    SignedIn(checked): SignedIn,
    Json(body): Json<Reauthenticate>,
) -> Result<HttpResponse, Problem> {
    let password = typed("password", body.password)?;
    let proven = site.app.sign_in.reauthenticate(&checked, password, visit.client()).await;
    let renewed = proven.inspect_err(|error| {
        if *error == ReauthenticateError::WrongPassword {
            note(&site.app, Refused::Password, visit.client(), Some(&checked), error);
        }
    })?;
    hand_over(&session, &visit, renewed)
}
