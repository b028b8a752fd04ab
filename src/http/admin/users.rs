//! Administrators' routes for users.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Role, Roles, UserId};
use crate::http::administrator::Administrator;
use crate::http::extract::{Json, PathId};
use crate::http::filter_document::Page;
use crate::http::listing::{Parameters, cursor, no_cursor};
use crate::http::problem::Problem;
use crate::http::site::Site;
use crate::service::{UserDetail, UserPosition, UserRow};

/// Longest query; no address and no name is longer.
const MAX_QUERY: usize = 256;

/// A page of users.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsersAnswer {
    /// The users.
    pub users: Vec<UserRow>,
    /// The `cursor` of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// The roles of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRoles {
    /// All roles of the user. `user` is always included and need not be named.
    roles: Vec<Role>,
}

/// Finds users. Without a query: all, ordered by address.
#[utoipa::path(
    get, path = "/admin/users", operation_id = "list_users", tag = "administrators",
    params(
        ("query" = Option<String>, Query, max_length = 256, description = "The start of an e-mail address, of one of \
            its parts (`silva` finds `ana.silva@…`), of its host (`example.org`, `@example.org`), of a name or of a \
            word in a name. Upper and lower case are the same."),
        Page,
    ),
    responses(
        (status = 200, description = "A page of them.", body = UsersAnswer),
    )
)]
pub async fn list(site: Data<Site>, mut asked: Parameters) -> Result<Json<UsersAnswer>, Problem> {
    let query = asked.take("query")?.unwrap_or_default();
    if query.chars().count() > MAX_QUERY {
        return Err(Problem::invalid_field("query", "Must have at most 256 characters."));
    }
    let (after, limit) = (asked.cursor(position)?, asked.limit()?);
    asked.finish()?;
    let (users, next) = site.app.users.find_users(&query, after, limit).await?.ok_or_else(no_cursor)?;
    Ok(Json(UsersAnswer { users, next_cursor: next.as_ref().map(place) }))
}

/// The cursor's content: `a` and an address, or `n`, an id and a name.
fn place(position: &UserPosition) -> String {
    match position {
        UserPosition::Address(key) => cursor(format!("a{key}").as_bytes()),
        UserPosition::Name(name, user) => cursor(&[b"n", user.uuid().as_bytes().as_slice(), name].concat()),
    }
}

fn position(place: &[u8]) -> Option<UserPosition> {
    match place.split_first()? {
        (b'a', key) => {
            let key = String::from_utf8(key.to_vec()).ok().filter(|key| !key.contains('\0'))?;
            Some(UserPosition::Address(key))
        }
        (b'n', rest) => {
            let (user, name) = rest.split_first_chunk()?;
            Some(UserPosition::Name(name.to_vec(), UserId::from_bytes(*user)))
        }
        _ => None,
    }
}

/// Shows a user with the live and the ended sessions.
#[utoipa::path(
    get, path = "/admin/users/{id}", operation_id = "get_user", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The user.", body = UserDetail),
    )
)]
pub async fn show(
    site: Data<Site>,
    by: Administrator,
    PathId(user): PathId<UserId>,
) -> Result<Json<UserDetail>, Problem> {
    site.app.users.user_detail(user, by.session()).await?.map(Json).ok_or_else(Problem::not_found)
}

/// Replaces a user's roles. If the roles change, the user's sessions end.
#[utoipa::path(
    put, path = "/admin/users/{id}/roles", operation_id = "put_user_roles", tag = "administrators", request_body = PutRoles,
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 204, description = "The new roles apply from the next sign-in."),
        (status = 409, description = "The user is the last administrator (`last-administrator`)."),
        (status = 503, description = "Not changed; or changed, but not confirmed yet (`unconfirmed`)."),
    )
)]
pub async fn put_roles(
    site: Data<Site>,
    by: Administrator,
    PathId(user): PathId<UserId>,
    Json(body): Json<PutRoles>,
) -> Result<HttpResponse, Problem> {
    let context = by.context();
    let roles = body.roles.into_iter().fold(Roles::new_account(), Roles::with);
    site.app.users.put_roles(user, roles, &context).await.map_err(|error| by.refusal(&site, error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes an account. Its sessions end, then its personal data is erased; the audit log keeps its id. The address may
/// be registered again.
#[utoipa::path(
    delete, path = "/admin/users/{id}", operation_id = "delete_user", tag = "administrators",
    params(("id" = uuid::Uuid, Path, description = "The user's id.")),
    responses(
        (status = 204, description = "Deleted, now or before."),
        (status = 409, description = "The user is the last administrator (`last-administrator`)."),
        (status = 503, description = "Not deleted; or deleted, but not confirmed yet (`unconfirmed`): repeat the \
            request."),
    )
)]
pub async fn delete(
    site: Data<Site>,
    by: Administrator,
    PathId(user): PathId<UserId>,
) -> Result<HttpResponse, Problem> {
    let context = by.context();
    site.app.users.delete_user(user, &context).await.map_err(|error| by.refusal(&site, error))?;
    Ok(HttpResponse::NoContent().finish())
}
