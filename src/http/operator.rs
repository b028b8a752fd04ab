//! Routes for the operator: liveness and readiness.

use actix_web::HttpResponse;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Json;
use super::site::Site;
use crate::service::Readiness;

/// Liveness.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Live)]
pub struct Liveness {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Shows that the process answers. Does not check the stores, because a restart would not repair them.
#[utoipa::path(
    get, path = "/health/live", operation_id = "check_live", tag = "operators", security(()),
    responses((status = 200, description = "The process answers.", body = Liveness))
)]
pub async fn live() -> Json<Liveness> {
    Json(Liveness { status: "ok" })
}

/// Whether this node should receive requests.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "check_ready", tag = "operators", security(()),
    responses(
        (status = 200, description = "The node is ready.", body = Readiness),
        (status = 503, description = "The node is not ready now.", body = Readiness),
    )
)]
pub async fn ready(site: Data<Site>) -> HttpResponse {
    let readiness = site.app.fence.readiness().await;
    if readiness.ready {
        HttpResponse::Ok().json(readiness)
    } else {
        HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, 1)).json(readiness)
    }
}
