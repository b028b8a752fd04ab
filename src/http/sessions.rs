//! Routes for the user's own sessions: list them, end them.

use actix_web::HttpResponse;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, PathId, Query, SignedIn, Visit};
use super::problem::Problem;
use super::site::Site;
use crate::domain::{ActorKind, SessionId};
use crate::service::{SessionView, Those};

/// A user's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionsAnswer {
    /// All that are alive.
    pub sessions: Vec<SessionView>,
}

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevokedAnswer {
    /// The number of sessions.
    pub revoked: usize,
}

/// Which sessions to end.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Also ends the session of this request.
    #[serde(default)]
    #[param(required = false)]
    include_current: bool,
    /// Only the sessions in which an agent, or an administrator, acts for the user.
    #[param(required = false)]
    actor: Option<ActorKind>,
}

/// Lists the user's sessions.
#[utoipa::path(
    get, path = "/sessions", operation_id = "list_sessions", tag = "signed in",
    responses(
        (status = 200, description = "All live sessions of the user.", body = SessionsAnswer),
    )
)]
pub async fn list(site: Data<Site>, SignedIn(checked): SignedIn) -> Result<Json<SessionsAnswer>, Problem> {
    let sessions = site.app.sessions.list_sessions(&checked).await?;
    Ok(Json(SessionsAnswer { sessions }))
}

/// Ends one of the user's sessions.
#[utoipa::path(
    delete, path = "/sessions/{id}", operation_id = "revoke_session", tag = "signed in",
    params(("id" = uuid::Uuid, Path, description = "The session's id.")),
    responses(
        (status = 204, description = "The session has ended.",
         headers(("Set-Cookie" = String, description = "Removes the session cookie if the request ended its own \
             session."))),
        (status = 403, description = "This is another session, and the proof of identity is too old \
            (`step-up-required`)."),
        (status = 404, description = "The user has no such session (`not-found`)."),
        (status = 503, description = "Not ended; or ended, but not confirmed yet (`unconfirmed`)."),
    )
)]
pub async fn revoke(
    site: Data<Site>,
    visit: Visit,
    SignedIn(checked): SignedIn,
    PathId(id): PathId<SessionId>,
) -> Result<HttpResponse, Problem> {
    let existed =
        site.app.sessions.sign_out_session(&checked, id, visit.client()).await.map_err(|error| site.refusal(error))?;
    if !existed.0 {
        return Err(Problem::not_found());
    }
    Ok(without_cookie_if(id == checked.session, &site, HttpResponse::NoContent().finish()))
}

/// Ends all the user's sessions except this request's; with `include_current`, that one too; with `actor`, only those in
/// which such a party acts.
#[utoipa::path(
    delete, path = "/sessions", operation_id = "revoke_sessions", tag = "signed in", params(Which),
    responses(
        (status = 200, description = "The sessions have ended.", body = RevokedAnswer,
         headers(("Set-Cookie" = String, description = "Removes the session cookie if the request ended its own \
             session."))),
        (status = 403, description = "The proof of identity is too old (`step-up-required`)."),
        (status = 429, description = "Too many requests that ended no session (`too-many-attempts`)."),
        (status = 503, description = "Not ended; or ended, but not confirmed yet (`unconfirmed`)."),
    )
)]
pub async fn revoke_all(
    site: Data<Site>,
    visit: Visit,
    SignedIn(checked): SignedIn,
    Query(which): Query<Which>,
) -> Result<HttpResponse, Problem> {
    let those = match which.actor {
        Some(kind) => Those::Of(kind),
        None => Those::All((!which.include_current).then_some(checked.session)),
    };
    let revoked = site.app.sessions.sign_out_sessions(&checked, those, visit.client()).await;
    let revoked = revoked.map_err(|error| site.refusal(error))?;
    let ended_itself = which.include_current && which.actor.is_none();
    Ok(without_cookie_if(ended_itself, &site, HttpResponse::Ok().json(RevokedAnswer { revoked })))
}

/// Removes the cookie if the user ended the session of this request.
fn without_cookie_if(ended_itself: bool, site: &Site, mut response: HttpResponse) -> HttpResponse {
    if ended_itself {
        response.headers_mut().append(SET_COOKIE, site.cookie.removal());
    }
    response
}
