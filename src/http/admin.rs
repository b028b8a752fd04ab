//! Routes for administrators.
//!
//! The role is read for each request, so that one that was taken away is gone with the next; and every change wants a
//! recent proof of who asks for it.

pub mod alerts;
pub mod people;
pub mod sessions;
pub mod trail;

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::extract::{PathId, SignedIn, Visit};
use super::noted::note_access;
use super::problem::Problem;
use super::site::Site;
use crate::domain::{Role, UserId};
use crate::service::{Cause, Checked};

/// Disables an account. Its sessions end, and it cannot sign in.
#[utoipa::path(
    post, path = "/admin/users/{id}/disable", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 204, description = "Disabled; its sessions have ended."),
        (status = 401, description = "Not signed in."),
        (status = 429, description = "Too many cookies from this address that open no session."),
        (status = 403, description = "Not an administrator, or the last proof is too old (`step-up-required`)."),
        (status = 404, description = "There is no such user."),
        (status = 409, description = "Nobody could administer any more (`last-administrator`)."),
        (status = 503, description = "Not disabled, or (`unconfirmed`) disabled, but not confirmed yet."),
    )
)]
pub async fn disable(
    site: Data<Site>,
    visit: Visit,
    SignedIn(checked): SignedIn,
    PathId(user): PathId<UserId>,
) -> Result<HttpResponse, Problem> {
    let cause = administrator(&site, &visit, &checked).await?;
    site.app.disable_user(user, &cause).await.map_err(|error| site.refusal(error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Enables an account again. Sessions that ended stay ended.
#[utoipa::path(
    post, path = "/admin/users/{id}/enable", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 204, description = "Enabled."),
        (status = 401, description = "Not signed in."),
        (status = 429, description = "Too many cookies from this address that open no session."),
        (status = 403, description = "Not an administrator, or the last proof is too old (`step-up-required`)."),
        (status = 404, description = "There is no such user."),
        (status = 503, description = "Try again after Retry-After."),
    )
)]
pub async fn enable(
    site: Data<Site>,
    visit: Visit,
    SignedIn(checked): SignedIn,
    PathId(user): PathId<UserId>,
) -> Result<HttpResponse, Problem> {
    let cause = administrator(&site, &visit, &checked).await?;
    site.app.enable_user(user, &cause).await.map_err(|error| site.refusal(error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// For whatever an administrator changes: with their proof, which the transaction will judge.
pub(super) async fn administrator(site: &Site, visit: &Visit, checked: &Checked) -> Result<Cause, Problem> {
    reader(site, visit, checked).await?;
    Ok(Cause::proven(checked, visit.client()))
}

/// For whatever an administrator looks at.
pub(super) async fn reader(site: &Site, visit: &Visit, checked: &Checked) -> Result<(), Problem> {
    if !site.app.has_role(checked.user, Role::Admin).await? {
        note_access(&site.app, visit.client(), checked, visit.route(&site.base_path));
        return Err(Problem::forbidden());
    }
    Ok(())
}
