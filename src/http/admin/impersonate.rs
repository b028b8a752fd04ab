//! The route by which an administrator acts for a user.
//!
//! Owns the one answer that sets a session cookie of another user. Must never be reached by a session in which somebody acts.

use actix_web::HttpResponse;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::{Reason, UserId};
use crate::http::administrator::Administrator;
use crate::http::extract::{Json, PathId, Text, Visit};
use crate::http::problem::Problem;
use crate::http::sign_in::SignedInAnswer;
use crate::http::site::Site;
use crate::service::{Impersonate, IssueError};

/// Why an administrator acts for a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImpersonateBody {
    /// The user and the audit log see it.
    #[schema(value_type = String, example = "Ticket 4711: the invoice does not open", min_length = 1, max_length = 500)]
    reason: Text,
}

/// Acts for a user: this browser gets a session of the user, at most an hour long, in which the administrator only sees what
/// the user sees. The administrator's own session ends; sign out and sign in to be back.
#[utoipa::path(
    post, path = "/admin/users/{id}/impersonate", operation_id = "impersonate_user", tag = "administrators",
    request_body = ImpersonateBody,
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The browser has the session.", body = SignedInAnswer,
         headers(("Set-Cookie" = String, description = "The session cookie of the new session."))),
        (status = 403, description = "The user is an administrator (`cannot-impersonate`)."),
        (status = 404, description = "There is no such user, or the user is disabled (`not-found`)."),
        (status = 409, description = "Too many parties act for the user (`too-many-sessions`)."),
    )
)]
pub async fn impersonate(
    site: Data<Site>,
    visit: Visit,
    by: Administrator,
    PathId(user): PathId<UserId>,
    Json(body): Json<ImpersonateBody>,
) -> Result<HttpResponse, Problem> {
    let reason = Reason::parse(&body.reason.0).map_err(|invalid| Problem::invalid_field("reason", invalid.0))?;
    let checked = by.person()?;
    let asked = Impersonate { user, reason, replaces: visit.presented_hashes() };
    let issued = site.app.sign_in.impersonate(asked, checked, visit.client()).await.map_err(|error| match error {
        IssueError::UnknownUser => Problem::not_found(),
        other => site.refusal(other),
    })?;
    let cookie = site.cookie.issued(&issued.token, None)?;
    let answer = SignedInAnswer { user: issued.user, session: issued.session };
    Ok(HttpResponse::Ok().append_header((SET_COOKIE, cookie.set_cookie)).json(answer))
}
