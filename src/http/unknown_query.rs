//! Queries of routes that change something.
//!
//! Owns that none of their parameters is overlooked: `?dry_run=true` beside a body that does not say it would end sessions
//! that were only to be counted. Where nothing changes, a parameter that means nothing is harmless and stays so.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::listing;
use super::problem::Problem;

/// Refuses a request that changes something and has a parameter of another name than these.
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
