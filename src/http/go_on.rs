//! `/continue`: the last step of every way in.
//!
//! Owns who goes on and who has to sign in first. Must never send anybody anywhere but where [`super::next`] lets them go.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::bounce::{door, sent};
use super::gateway;
use super::next::Next;
use super::problem::Problem;
use super::site::Site;

/// On to `next`, for who is signed in; else to the sign-in page. Where that cannot be told now, the page will say so.
pub async fn go_on(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let next = site.destinations.in_query(request.query_string());
    match gateway::signed_in(&site, &request).await {
        Err(problem) if problem.status_code().is_client_error() => sent(StatusCode::SEE_OTHER, &door(next.as_ref())),
        _ => sent(StatusCode::SEE_OTHER, next.as_ref().map_or("account", Next::location)),
    }
}
