//! `/continue`: the last redirect, to `next` or to the sign-in page.
//!
//! Owns who continues and who has to sign in first. Must never redirect to a target that [`super::next`] does not
//! allow.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::bounce::{door, sent};
use super::gateway;
use super::next::Next;
use super::problem::Problem;
use super::site::Site;

/// Redirects a signed-in user to `next`, others to the sign-in page. That page reports it if the check fails.
pub async fn go_on(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let next = site.destinations.in_query(request.query_string());
    match gateway::signed_in(&site, &request).await {
        Err(problem) if problem.status_code().is_client_error() => sent(StatusCode::SEE_OTHER, &door(next.as_ref())),
        _ => sent(StatusCode::SEE_OTHER, next.as_ref().map_or("account", Next::location)),
    }
}
