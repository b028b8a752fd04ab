//! Administrators' routes to find and end the sessions of any user.

use actix_web::HttpResponse;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{SessionId, UserId};
use crate::http::administrator::Administrator;
use crate::http::extract::{Json, PathId, Text};
use crate::http::filter::{Asked, FilterFields, cursor, read_cursor};
use crate::http::filter_document::{Page, SessionFilter, SessionSearch};
use crate::http::listing::Parameters;
use crate::http::problem::Problem;
use crate::http::sessions::RevokedAnswer;
use crate::http::site::Site;
use crate::service::{FoundSession, Matching, Outcome, SessionDetail, Those, Wanted};

/// Most sessions that one request ends by default.
const DEFAULT_LIMIT: usize = 1_000;
/// Most sessions that one request may ask to end.
const LARGEST_LIMIT: usize = 10_000;

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundAnswer {
    /// Newest first. Even before the last page, a page can have fewer than `limit` sessions, or none.
    pub sessions: Vec<FoundSession>,
    /// Where the next page begins; null at the end.
    pub next_cursor: Option<String>,
}

/// The sessions of one user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserSessionsAnswer {
    /// All that are alive, newest first.
    pub sessions: Vec<SessionDetail>,
}

/// The sessions to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeMatching {
    /// The filter. The session of the request itself never matches.
    #[schema(value_type = SessionFilter)]
    filter: FilterFields,
    /// Confirms that a filter without a field means all users' sessions.
    #[serde(default)]
    #[schema(required = false)]
    all: bool,
    /// Only counts the sessions.
    #[serde(default)]
    #[schema(required = false)]
    dry_run: bool,
    /// The maximum number of sessions to end.
    #[serde(default = "default_limit")]
    #[schema(required = false, minimum = 1, maximum = 10_000)]
    limit: usize,
    /// Where an earlier answer stopped. Only a dry run needs it: ended sessions no longer match.
    #[schema(value_type = Option<String>)]
    cursor: Option<Text>,
}

fn default_limit() -> usize {
    DEFAULT_LIMIT
}

/// The result.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevokeMatchingAnswer {
    #[serde(flatten)]
    outcome: Outcome,
    /// Where to continue; null at the end.
    next_cursor: Option<String>,
}

/// Finds live sessions.
#[utoipa::path(
    get, path = "/admin/sessions", operation_id = "find_sessions", tag = "administrators", params(SessionSearch, Page),
    responses(
        (status = 200, description = "A page of sessions, newest first.", body = FoundAnswer),
    )
)]
pub async fn find(site: Data<Site>, by: Administrator, parameters: Parameters) -> Result<Json<FoundAnswer>, Problem> {
    let asked = Asked::read(parameters)?;
    let current = by.session();
    let page = site.app.sessions.find_sessions(Wanted {
        filter: asked.filter,
        after: asked.after,
        limit: asked.limit,
        current,
    });
    let page = page.await?;
    Ok(Json(FoundAnswer { sessions: page.sessions, next_cursor: page.next.map(cursor) }))
}

/// Ends any session.
#[utoipa::path(
    delete, path = "/admin/sessions/{id}", operation_id = "revoke_any_session", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The session's id.")),
    responses(
        (status = 204, description = "The session has ended.",
         headers(("Set-Cookie" = String, description = "Removes the session cookie if the request ended its own \
             session."))),
        (status = 503, description = "Not ended; or ended, but not confirmed yet (`unconfirmed`)."),
    )
)]
pub async fn revoke(
    site: Data<Site>,
    by: Administrator,
    PathId(id): PathId<SessionId>,
) -> Result<HttpResponse, Problem> {
    let context = by.context();
    let existed = site.app.sessions.revoke(id, &context).await.map_err(|error| by.refusal(&site, error))?;
    if !existed.0 {
        return Err(Problem::not_found());
    }
    Ok(without_cookie_if(by.session() == Some(id), &site, HttpResponse::NoContent().finish()))
}

/// Shows a user's live sessions.
#[utoipa::path(
    get, path = "/admin/users/{id}/sessions", operation_id = "list_user_sessions", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "All live sessions of the user, newest first.", body = UserSessionsAnswer),
    )
)]
pub async fn of_user(
    site: Data<Site>,
    by: Administrator,
    PathId(user): PathId<UserId>,
) -> Result<Json<UserSessionsAnswer>, Problem> {
    let sessions = site.app.sessions.sessions_of_user(user, by.session()).await?;
    Ok(Json(UserSessionsAnswer { sessions: sessions.ok_or_else(Problem::not_found)? }))
}

/// Ends all of a user's sessions.
#[utoipa::path(
    delete, path = "/admin/users/{id}/sessions", operation_id = "revoke_user_sessions", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The sessions have ended.", body = RevokedAnswer,
         headers(("Set-Cookie" = String, description = "Removes the session cookie if the request ended its own \
             session."))),
        (status = 503, description = "Not ended; or ended, but not confirmed yet (`unconfirmed`)."),
    )
)]
pub async fn revoke_of_user(
    site: Data<Site>,
    by: Administrator,
    PathId(user): PathId<UserId>,
) -> Result<HttpResponse, Problem> {
    let context = by.context();
    let revoked = site
        .app
        .sessions
        .revoke_all_of(user, Those::All(None), &context)
        .await
        .map_err(|error| by.refusal(&site, error))?;
    let answer = HttpResponse::Ok().json(RevokedAnswer { revoked: revoked.ok_or_else(Problem::not_found)? });
    Ok(without_cookie_if(by.user() == Some(user), &site, answer))
}

/// Ends or counts the sessions that match a filter. Repeat the request while `more` is true, with or without the
/// `cursor`. Repeating it ends no session twice and confirms earlier ends.
#[utoipa::path(
    post, path = "/admin/sessions/revoke", operation_id = "revoke_matching_sessions", tag = "administrators", request_body = RevokeMatching,
    responses(
        (status = 200, description = "The sessions counted in `revoked` have ended.", body = RevokeMatchingAnswer),
        (status = 422, description = "A field is invalid, or the filter is empty and `all` is not true \
            (`invalid-body`)."),
        (status = 503, description = "Not ended; or ended, but not all of it confirmed yet (`unconfirmed`, with the \
            `outcome`)."),
    )
)]
pub async fn revoke_matching(
    site: Data<Site>,
    by: Administrator,
    Json(body): Json<RevokeMatching>,
) -> Result<Json<RevokeMatchingAnswer>, Problem> {
    let context = by.context();
    let filter = body.filter.read()?;
    if filter.is_empty() && !body.all {
        return Err(Problem::invalid_field(
            "filter",
            "An empty filter means all sessions of all users: set all to true, or add a field.",
        ));
    }
    by.require_still(&site).await?;
    if !(1..=LARGEST_LIMIT).contains(&body.limit) {
        return Err(Problem::invalid_field("limit", "Must be a number from 1 to 10000."));
    }
    let after = body.cursor.map(|text| read_cursor(&text.0)).transpose()?;
    let wanted = Matching { filter, dry_run: body.dry_run, limit: body.limit, after };
    let outcome =
        site.app.sessions.revoke_matching(wanted, &context).await.map_err(|error| by.refusal(&site, error))?;
    if outcome.unconfirmed > 0 {
        return Err(Problem::partly_unconfirmed(outcome));
    }
    let next_cursor = outcome.next.map(cursor);
    Ok(Json(RevokeMatchingAnswer { outcome, next_cursor }))
}

/// Removes the cookie if the administrator ended the session of this request.
fn without_cookie_if(ended_itself: bool, site: &Site, mut response: HttpResponse) -> HttpResponse {
    if ended_itself {
        response.headers_mut().append(SET_COOKIE, site.cookie.removal());
    }
    response
}
