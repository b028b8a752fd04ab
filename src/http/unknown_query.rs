//! Queries of routes that change something.
//!
//! Owns that none of their parameters is overlooked: `?dry_run=true` beside a body that does not say it would end sessions
//! that were only to be counted. Where nothing changes, a parameter that means nothing is harmless and stays so.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use url::form_urlencoded;

use super::listing;

/// Refuses a request that changes something and has a parameter of another name than these.
pub async fn refuse<B: MessageBody>(
    knows: &'static [&'static str],
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if !request.method().is_safe() {
        let mut names = form_urlencoded::parse(request.query_string().as_bytes()).map(|(name, _)| name);
        if let Some(name) = names.find(|name| !knows.contains(&name.as_ref())) {
            return Err(listing::unknown(&name).into());
        }
    }
    next.call(request).await
}
