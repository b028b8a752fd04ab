//! The guard of routes for services: a secret instead of a session.
//!
//! Owns who may pass: a service that shows its secret as a bearer token and has the route's scope. Administrators' routes
//! are open to it, too, beside the people who use them with a session. Must never let a browser pass: a secret that a page
//! can send is no secret.

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use std::future::{Ready, ready};
use std::net::SocketAddr;

use super::cookie::Presented;
use super::problem::Problem;
use super::request_id;
use super::security_log::{Refused, note};
use super::site::Site;
use crate::domain::service_secret::PREFIX;
use crate::domain::{Scope, ServiceSecret};
use crate::service::Caller;

/// The header in which a browser says whose page sent the request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The service that sent the request.
#[derive(Clone, Debug)]
pub struct FromService(pub Caller);

impl FromRequest for FromService {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Without the guard there is nobody.
        ready(request.extensions().get::<Self>().cloned().ok_or_else(Problem::unknown_service))
    }
}

/// Lets a service with this scope pass, and tells the handler who it is.
pub async fn admit<B: MessageBody>(
    scope: Scope,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let site = request.app_data::<Data<Site>>().cloned();
    let site = site.ok_or_else(|| Problem::internal("a route for services without its site"))?;
    let id = request_id::current().unwrap_or_else(|| site.request_id());
    let caller = request_id::within(id, judge(&site, scope, &request)).await?;
    request.extensions_mut().insert(FromService(caller));
    next.call(request).await
}

/// Whether a request to an administrators' route is a service's. Other credentials in this header, such as a proxy's own,
/// change nothing for a person with a session.
pub fn shows_secret(headers: &HeaderMap) -> bool {
    let is_secret = |line: &HeaderValue| {
        let shown = line.to_str().ok().and_then(bearer);
        shown.is_some_and(|secret| secret.starts_with(PREFIX))
    };
    headers.get_all(AUTHORIZATION).any(is_secret)
}

/// The service that administers: with one scope to see, with another one to change.
pub async fn administers(site: &Site, request: &ServiceRequest) -> Result<Caller, Problem> {
    let headers = request.headers();
    // Two identities: nobody could say whose request it is.
    if !matches!(site.cookie.read(headers), Presented::Nothing) {
        let client = site.client(request.peer_addr(), headers);
        note(&site.app, Refused::Forgery, &client, None, &"a service's secret came with a session cookie");
        return Err(Problem::from_browser());
    }
    let scope = if request.method().is_safe() { Scope::AdminRead } else { Scope::AdminWrite };
    let caller = judge(site, scope, request).await?;
    site.app.credentials.count_administration(&caller).await?;
    Ok(caller)
}

async fn judge(site: &Site, scope: Scope, request: &ServiceRequest) -> Result<Caller, Problem> {
    let headers = request.headers();
    let client = || site.client(request.peer_addr(), headers);
    if headers.contains_key(ORIGIN) || headers.contains_key(FETCH_SITE) {
        note(&site.app, Refused::Forgery, &client(), None, &"a browser's request to a route for services");
        return Err(Problem::from_browser());
    }
    let Some(secret) = shown(headers) else {
        return Err(Problem::unknown_service());
    };
    let Some(caller) = site.app.credentials.recognise(&secret).await? else {
        let why = format_args!("the secret {:?} of a service opens nothing", secret.id());
        note(&site.app, Refused::Access, &client(), None, &why);
        return Err(Problem::unknown_service());
    };
    require_scope(site, &caller, scope, request.peer_addr(), headers)?;
    Ok(caller)
}

/// Refuses a service without this scope: for a part of a request that wants a second one.
pub fn require(site: &Site, caller: &Caller, scope: Scope, request: &HttpRequest) -> Result<(), Problem> {
    require_scope(site, caller, scope, request.peer_addr(), request.headers())
}

fn require_scope(
    site: &Site,
    caller: &Caller,
    scope: Scope,
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if caller.may(scope) {
        return Ok(());
    }
    let client = || site.client(peer, headers);
    let why = format_args!("the service {} lacks the scope {}", caller.service, scope.name());
    note(&site.app, Refused::Access, &client(), None, &why);
    Err(Problem::insufficient_scope(scope))
}

/// The secret of the only Authorization header.
fn shown(headers: &HeaderMap) -> Option<ServiceSecret> {
    let mut lines = headers.get_all(AUTHORIZATION);
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    ServiceSecret::parse(bearer(line.to_str().ok()?)?)
}

/// The bearer token of one such header.
fn bearer(line: &str) -> Option<&str> {
    let (scheme, token) = line.split_once(' ')?;
    // Schemes are compared without case (RFC 9110 §11.1).
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRandom;

    fn secret_of(lines: &[String]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        shown(&headers).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn one_bearer_header_shows_a_secret() {
        let secret = ServiceSecret::generate(&SystemRandom).expose().to_owned();
        for line in [format!("Bearer {secret}"), format!("bearer  {secret} ")] {
            assert_eq!(secret_of(&[line]), Some(secret.clone()));
        }
        let bearer = format!("Bearer {secret}");
        let wrong = [
            vec![],
            vec![secret.clone()],
            vec![format!("Basic {secret}")],
            vec![format!("Bearer{secret}")],
            vec![format!("Bearer {secret}, Bearer {secret}")],
            vec![bearer.clone(), bearer],
        ];
        for lines in wrong {
            assert_eq!(secret_of(&lines), None, "{lines:?}");
        }
    }

    #[test]
    fn a_proxys_own_credentials_are_no_secret_of_a_service() {
        let shows = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
            }
            shows_secret(&headers)
        };
        for lines in [&["Bearer sd_svc_"] as &[_], &["bearer  sd_svc_0"], &["Basic eDp5", "Bearer sd_svc_0"]] {
            assert!(shows(lines), "{lines:?}");
        }
        for lines in [&[] as &[_], &["Basic eDp5"], &["Bearer eyJhbGciOiJub25lIn0"], &["sd_svc_0"]] {
            assert!(!shows(lines), "{lines:?}");
        }
    }
}
