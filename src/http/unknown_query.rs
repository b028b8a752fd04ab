//! Query parameters of changing routes.
//!
//! Owns that each unknown one is refused: `?dry_run=true` beside a body without it would end sessions that were only to
//! be counted. On routes that change nothing, an unknown parameter is harmless and allowed.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::listing;
use super::problem::Problem;

/// Refuses a changing request with a query parameter that is not in `knows`.
pub async fn refuse<B: MessageBody>(
    knows: &'static [&'static str],
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if !request.method().is_safe() {
        let given = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let given = given.map_err(|_| Problem::invalid_query())?;
        if let Some((name, _)) = given.iter().find(|(name, _)| !knows.contains(&name.as_str())) {
            return Err(listing::unknown(name).into());
        }
    }
    next.call(request).await
}
