//! Routes for administrators.
//!
//! The session layer checks the role on every request, so a role that was taken away is gone with the next request.
//! Every change needs a recent proof of identity.

pub mod alerts;
pub mod audit_log;
pub mod impersonate;
pub mod sessions;
pub mod users;

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::extract::{PathId, SignedIn, Visit};
use super::problem::Problem;
use super::site::Site;
use crate::domain::UserId;
use crate::service::AuditContext;

/// Disables an account. Its sessions end, and it cannot sign in.
#[utoipa::path(
    post, path = "/admin/users/{id}/disable", operation_id = "disable_user", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 204, description = "Disabled; its sessions have ended."),
        (status = 409, description = "The user is the last administrator (`last-administrator`)."),
        (status = 503, description = "Not disabled; or disabled, but not confirmed yet (`unconfirmed`)."),
    )
)]
pub async fn disable(
    site: Data<Site>,
    visit: Visit,
    SignedIn(checked): SignedIn,
    PathId(user): PathId<UserId>,
) -> Result<HttpResponse, Problem> {
    let context = AuditContext::administrator(&checked, visit.client());
    site.app.users.disable_user(user, &context).await.map_err(|error| site.refusal(error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Enables an account again. Sessions that ended stay ended.
#[utoipa::path(
    post, path = "/admin/users/{id}/enable", operation_id = "enable_user", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 204, description = "Enabled."),
    )
)]
pub async fn enable(
    site: Data<Site>,
    visit: Visit,
    SignedIn(checked): SignedIn,
    PathId(user): PathId<UserId>,
) -> Result<HttpResponse, Problem> {
    let context = AuditContext::administrator(&checked, visit.client());
    site.app.users.enable_user(user, &context).await.map_err(|error| site.refusal(error))?;
    Ok(HttpResponse::NoContent().finish())
}
