//! Routes for services about their users: list and end sessions, disable and enable.
//!
//! A user is named by the subject of `POST /issue`; accounts of this server are out of reach.

use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::future::{Ready, ready};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, PathId, Query};
use super::problem::Problem;
use super::service_guard::FromService;
use super::sessions::RevokedAnswer;
use super::site::Site;
use crate::domain::{ActorKind, SessionId, Subject, UserId};
use crate::service::{AuditContext, SessionView, Those};

/// The live sessions of a subject.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubjectSessionsAnswer {
    /// The last used first.
    pub sessions: Vec<SessionView>,
}

/// The `{subject}` of the path, percent-encoded there. One that cannot be a subject is 404, as an unknown one is.
#[derive(Debug)]
pub struct OfPath(Subject);

impl FromRequest for OfPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // The router leaves escaped slashes and percent signs as they are.
        let decoded = request.match_info().get("subject").map(|text| percent_decode_str(text).decode_utf8());
        let subject = decoded.and_then(Result::ok).and_then(|text| Subject::parse(&text).ok());
        ready(subject.map(Self).ok_or_else(Problem::not_found))
    }
}

async fn user_of(site: &Site, subject: Subject) -> Result<UserId, Problem> {
    site.app.users.find_subject(subject).await?.ok_or_else(Problem::not_found)
}

fn context(site: &Site, by: &FromService, request: &HttpRequest) -> AuditContext {
    AuditContext::service(by.0.service, &site.client(request.peer_addr(), request.headers()))
}

/// Lists the live sessions of a subject.
#[utoipa::path(
    get, path = "/subjects/{subject}/sessions", operation_id = "list_subject_sessions", tag = "services",
    security(("service" = [])),
    params(("subject" = String, Path, description = "The subject, percent-encoded.", example = "user-4711")),
    responses(
        (status = 200, description = "All live sessions, the last used first.", body = SubjectSessionsAnswer),
        (status = 404, description = "There is no such subject (`not-found`)."),
    )
)]
pub async fn list(
    site: Data<Site>,
    _by: FromService,
    OfPath(subject): OfPath,
) -> Result<Json<SubjectSessionsAnswer>, Problem> {
    let user = user_of(&site, subject).await?;
    Ok(Json(SubjectSessionsAnswer { sessions: site.app.sessions.sessions_of(user, None).await? }))
}

/// Which of a subject's sessions to end.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhoseEnd {
    /// Only the sessions in which an agent, or an administrator, acts for the user.
    #[param(required = false)]
    actor: Option<ActorKind>,
}

/// Ends all sessions of a subject; with `actor`, only those in which such a party acts.
#[utoipa::path(
    delete, path = "/subjects/{subject}/sessions", operation_id = "revoke_subject_sessions", tag = "services",
    security(("service" = [])),
    params(("subject" = String, Path, description = "The subject, percent-encoded.", example = "user-4711"), WhoseEnd),
    responses(
        (status = 200, description = "The sessions have ended, on every node.", body = RevokedAnswer),
        (status = 404, description = "There is no such subject (`not-found`)."),
        (status = 503, description = "Not ended; or ended, but not confirmed yet (`unconfirmed`): repeat the request."),
    )
)]
pub async fn revoke_all(
    site: Data<Site>,
    by: FromService,
    OfPath(subject): OfPath,
    Query(which): Query<WhoseEnd>,
    request: HttpRequest,
) -> Result<Json<RevokedAnswer>, Problem> {
    let user = user_of(&site, subject).await?;
    let those = which.actor.map_or(Those::All(None), Those::Of);
    let ended = site.app.sessions.revoke_all_of(user, those, &context(&site, &by, &request)).await?;
    Ok(Json(RevokedAnswer { revoked: ended.ok_or_else(Problem::not_found)? }))
}

/// Ends one session of a subject.
#[utoipa::path(
    delete, path = "/subjects/{subject}/sessions/{id}", operation_id = "revoke_subject_session", tag = "services",
    security(("service" = [])),
    params(
        ("subject" = String, Path, description = "The subject, percent-encoded.", example = "user-4711"),
        ("id" = uuid::Uuid, Path, description = "The session's id."),
    ),
    responses(
        (status = 204, description = "The session has ended, on every node."),
        (status = 404, description = "The subject has no such session (`not-found`)."),
        (status = 503, description = "Not ended; or ended, but not confirmed yet (`unconfirmed`): repeat the request."),
    )
)]
pub async fn revoke(
    site: Data<Site>,
    by: FromService,
    OfPath(subject): OfPath,
    PathId(id): PathId<SessionId>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let user = user_of(&site, subject).await?;
    match site.app.sessions.revoke_of(user, id, &context(&site, &by, &request)).await?.0 {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(Problem::not_found()),
    }
}

/// Disables a subject: ends all sessions, and no session is issued any more.
#[utoipa::path(
    post, path = "/subjects/{subject}/disable", operation_id = "disable_subject", tag = "services",
    security(("service" = [])),
    params(("subject" = String, Path, description = "The subject, percent-encoded.", example = "user-4711")),
    responses(
        (status = 200, description = "Disabled, and the sessions have ended on every node.", body = RevokedAnswer),
        (status = 404, description = "There is no such subject (`not-found`)."),
        (status = 409, description = "The last administrator (`last-administrator`)."),
        (status = 503, description = "Not disabled; or disabled, but not confirmed yet (`unconfirmed`): repeat the \
            request."),
    )
)]
pub async fn disable(
    site: Data<Site>,
    by: FromService,
    OfPath(subject): OfPath,
    request: HttpRequest,
) -> Result<Json<RevokedAnswer>, Problem> {
    let user = user_of(&site, subject).await?;
    let revoked = site.app.users.disable_user(user, &context(&site, &by, &request)).await?;
    Ok(Json(RevokedAnswer { revoked }))
}

/// Enables a subject again. Ended sessions stay ended.
#[utoipa::path(
    post, path = "/subjects/{subject}/enable", operation_id = "enable_subject", tag = "services",
    security(("service" = [])),
    params(("subject" = String, Path, description = "The subject, percent-encoded.", example = "user-4711")),
    responses(
        (status = 204, description = "Enabled."),
        (status = 404, description = "There is no such subject (`not-found`)."),
    )
)]
pub async fn enable(
    site: Data<Site>,
    by: FromService,
    OfPath(subject): OfPath,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let user = user_of(&site, subject).await?;
    site.app.users.enable_user(user, &context(&site, &by, &request)).await?;
    Ok(HttpResponse::NoContent().finish())
}
