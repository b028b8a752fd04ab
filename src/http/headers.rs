//! The headers that every answer carries, except a gateway's 200.
//!
//! The outermost middleware, because errors of other middlewares are answers too: actix's own `DefaultHeaders`
//! skips everything that leaves as `Err`. Builds the values once. Must never replace a header that a handler has set, nor
//! spare an answer that a gateway may pass on to a browser, or that a page of another origin has asked for.

use std::sync::Arc;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::problem::Problem;
use super::{canonical_path, catch_panic, forwarded_request, request_id};
use crate::config::{Config, Hsts, Origin};

/// The request's id, as in problems and the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The header in which a browser says whose page sent the request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Answers are data: if a browser shows one as a page, it may load, run and frame nothing.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// Two years, as the preload lists of browsers ask for. For this host; for all hosts below it only if configured,
/// because other services may run there without https.
const HSTS: [(Hsts, HeaderValue); 2] = [
    (Hsts::Host, HeaderValue::from_static("max-age=63072000")),
    (Hsts::Subdomains, HeaderValue::from_static("max-age=63072000; includeSubDomains")),
];

/// Headers for every answer of one configuration.
#[derive(Clone, Debug)]
pub struct AnswerHeaders {
    fixed: Vec<(HeaderName, HeaderValue)>,
    base_path: String,
}

impl AnswerHeaders {
    /// Adds HSTS if a configured origin is https.
    pub fn new(config: &Config) -> Self {
        Self::under(&config.base_path, config.origins.iter().any(Origin::is_https).then_some(config.hsts))
    }

    fn under(base_path: &str, hsts: Option<Hsts>) -> Self {
        let mut fixed = vec![
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
            (CONTENT_SECURITY_POLICY, DATA_POLICY),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let promised = HSTS.into_iter().filter(|(kind, _)| Some(*kind) == hsts);
        fixed.extend(promised.map(|(_, value)| (STRICT_TRANSPORT_SECURITY, value)));
        Self { fixed, base_path: base_path.to_owned() }
    }

    /// Whether the path is not canonical: the router would decode it, and no rule of a proxy in front would match it.
    /// Below the gateways' route, paths belong to other servers, which may spell them differently.
    fn is_misspelt(&self, path: &str) -> bool {
        // A subject may be spelled in any way: the route needs a secret that no rule of a proxy knows.
        let of_subject = path.strip_prefix(self.base_path.as_str()).is_some_and(|path| path.starts_with("/subjects/"));
        !of_subject && !forwarded_request::is_route(&self.base_path, path) && canonical_path::is_not(path)
    }

    /// Whether the answer is a gateway's 200: the handler has set all that a gateway reads. A gateway may pass every other
    /// answer on to a browser.
    fn is_whole<B>(&self, response: &ServiceResponse<B>) -> bool {
        let request = response.request();
        response.status() == StatusCode::OK
            && forwarded_request::is_route(&self.base_path, request.path())
            && !may_be_of_another_origin(request.headers())
    }

    /// Adds the headers that the answer lacks.
    pub fn complete(&self, headers: &mut HeaderMap, request: Uuid) {
        for (name, value) in &self.fixed {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if let Some(id) = id_value(request) {
            headers.insert(REQUEST_ID, id);
        }
    }
}

/// Whether a page of another origin may have sent the request. Its browser must keep the 200 from the page, which would
/// otherwise learn that its visitor is signed in: a `<script>` from this address would load.
fn may_be_of_another_origin(headers: &HeaderMap) -> bool {
    headers.get_all(FETCH_SITE).any(|site| site != "same-origin" && site != "none")
}

fn id_value(id: Uuid) -> Option<HeaderValue> {
    let mut buffer = [0; Hyphenated::LENGTH];
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)).ok()
}

/// The middleware: answers the request under its id, and completes the answer if it is not whole.
pub async fn complete<B: MessageBody>(
    answers: Arc<AnswerHeaders>,
    id: Uuid,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    // In a block of its own: services below may read the id before they are first polled.
    let answered = request_id::within(id, async {
        match answers.is_misspelt(request.path()) {
            true => Err(Problem::not_found().into()),
            false => catch_panic::answered(next.call(request)).await,
        }
    });
    match answered.await {
        Ok(mut response) => {
            if !answers.is_whole(&response) {
                answers.complete(response.headers_mut(), id);
            }
            Ok(response)
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut response| {
                answers.complete(response.headers_mut(), id);
                response
            });
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    fn completed(hsts: Option<Hsts>, already: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in already {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        AnswerHeaders::under("", hsts).complete(&mut headers, Uuid::from_u128(1));
        headers
    }

    #[test]
    fn every_answer_is_guarded_and_not_stored() {
        let headers = completed(Some(Hsts::Host), &[]);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=63072000"),
            ("x-request-id", "00000000-0000-0000-0000-000000000001"),
        ] {
            assert_eq!(headers.get(name).unwrap(), value);
        }
    }

    #[test]
    fn hsts_is_only_promised_where_there_is_https() {
        assert!(!completed(None, &[]).contains_key("strict-transport-security"));
    }

    #[test]
    fn what_a_page_has_set_stays() {
        let headers =
            completed(None, &[("cache-control", "no-cache"), ("content-security-policy", "default-src 'self'")]);
        assert_eq!(headers.get("cache-control").unwrap(), "no-cache");
        assert_eq!(headers.get_all("content-security-policy").count(), 1);
    }

    #[actix_web::test]
    async fn what_leaves_a_middleware_as_an_error_is_completed_too() {
        let answers = Arc::new(AnswerHeaders::under("", None));
        let app = App::new()
            .route("/", web::get().to(HttpResponse::Ok))
            .wrap(from_fn(async |_, _: Next<_>| Err::<ServiceResponse, _>(Problem::unauthenticated().into())))
            .wrap(from_fn(move |request, next| complete(Arc::clone(&answers), Uuid::from_u128(9), request, next)));
        let error = try_call_service(&init_service(app).await, TestRequest::default().to_request()).await.unwrap_err();
        let response = error.error_response();
        assert_eq!(response.status(), 401);
        for name in ["x-content-type-options", "cache-control", "x-request-id", "www-authenticate"] {
            assert!(response.headers().contains_key(name), "{name}");
        }
    }
}
