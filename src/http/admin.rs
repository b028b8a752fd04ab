//! Routes for administrators.
//!
//! The session layer checks the role on every request, so a role that was taken away is gone with the next request.
//! Every change needs a recent proof of identity. A service that shows its secret needs neither: its scopes say what it
//! may do here.

pub mod alerts;
pub mod audit_log;
pub mod impersonate;
pub mod sessions;
pub mod users;

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::administrator::Administrator;
use super::extract::PathId;
use super::problem::Problem;
use super::site::Site;
use crate::domain::UserId;

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
    by: Administrator,
    PathId(user): PathId<UserId>,
) -> Result<HttpResponse, Problem> {
    let context = by.context();
    site.app.users.disable_user(user, &context).await.map_err(|error| by.refusal(&site, error))?;
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
    by: Administrator,
    PathId(user): PathId<UserId>,
) -> Result<HttpResponse, Problem> {
    let context = by.context();
    site.app.users.enable_user(user, &context).await.map_err(|error| by.refusal(&site, error))?;
    Ok(HttpResponse::NoContent().finish())
}
