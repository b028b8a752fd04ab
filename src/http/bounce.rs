//! The ways in: where people go who came without a session, and where they go on to when they have one.
//!
//! The cookie is `SameSite=Strict`: a browser keeps it back from the first navigation that another site has begun. So
//! nobody is called signed out before a page of this very site has asked once more. Owns which navigation gets that page:
//! it sends on by itself only whom another site has sent, and what it leads to is no other site; so no page that always
//! refuses can keep a browser going round. Must never send anybody anywhere but where [`super::next`] lets them go.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::next::{Next, has_next, host_of};
use super::pages;
use super::problem::Problem;
use super::site::Site;

/// One page at one address is another one for who comes from another site.
const BY_SITE: (HeaderName, HeaderValue) = (VARY, HeaderValue::from_static("Sec-Fetch-Site"));

/// Where gateways tell the method of the request that they ask about.
const METHOD: &str = "x-forwarded-method";

/// Where they tell its address: nobody else sends it.
const URI: &str = "x-forwarded-uri";

/// The sign-in page; for who was sent to it from another site with somewhere to go on to, first the page that asks with
/// the cookie.
pub async fn front(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    match site.destinations.in_query(request.query_string()) {
        Some(next) if goes_on_by_itself(&site, &request, &next) => bounce_page(&request),
        // The page takes a `next` that it sees for one: what leads nowhere is not to be seen.
        None if has_next(request.query_string()) => sent(StatusCode::SEE_OTHER, &door(None)),
        _ => {
            let mut page = pages::index(request).await?;
            page.headers_mut().insert(BY_SITE.0, BY_SITE.1);
            Ok(page)
        }
    }
}

/// Where gateways send a navigation without a session. A gateway that can encode puts the page into `next`; one that
/// cannot (nginx) asks here itself, tells the page in `X-Forwarded-…`, and passes the answer on.
pub async fn bounce(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request.query_string();
    if query.is_empty() && request.headers().contains_key(URI) {
        // Any address relative to this one would lie under the gateway, which would ask here again, and so on.
        let next = page_asked_for(&site, &request).ok_or_else(Problem::no_page_told)?;
        return if is_navigation(&request) {
            sent(StatusCode::FOUND, &site.destinations.bounce(&next))
        } else {
            Err(Problem::unauthenticated())
        };
    }
    match site.destinations.in_query(query) {
        Some(next) if goes_on_by_itself(&site, &request, &next) => bounce_page(&request),
        next => sent(StatusCode::SEE_OTHER, &door(next.as_ref())),
    }
}

/// Instead of a gateway's 401: for a navigation to a page of a configured origin, the way in. Anything else stays as it
/// is, so that no script gets a page where it expects an answer.
pub fn instead_of(problem: Problem, site: &Site, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    if problem.status_code() != StatusCode::UNAUTHORIZED || request.query_string() != "redirect" {
        return Err(problem);
    }
    match page_asked_for(site, request) {
        Some(next) if is_navigation(request) => sent(StatusCode::FOUND, &site.destinations.bounce(&next)),
        _ => Err(problem),
    }
}

/// The sign-in page, relative to the routes that stand beside it.
pub fn door(next: Option<&Next>) -> Cow<'static, str> {
    next.map_or(Cow::Borrowed("./"), |next| Cow::Owned(format!("./?{}", next.query())))
}

/// Whether the page that asks once more is to be shown: another site has begun this navigation, so that the cookie may be
/// there and was kept back; and it goes along to where that page leads, so that nobody is sent back here as a stranger.
fn goes_on_by_itself(site: &Site, request: &HttpRequest, next: &Next) -> bool {
    only(request.headers(), "sec-fetch-site") == Some("cross-site")
        && site.destinations.cookie_reaches(next, own_host(site, request).as_deref())
}

fn bounce_page(request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let mut page = pages::bounce(request)?;
    page.headers_mut().insert(BY_SITE.0, BY_SITE.1);
    page.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(page)
}

/// Sends somebody on; nobody keeps a copy of that.
pub fn sent(status: StatusCode, to: &str) -> Result<HttpResponse, Problem> {
    let location = HeaderValue::from_str(to).map_err(Problem::internal)?;
    Ok(HttpResponse::build(status).insert_header((LOCATION, location)).insert_header(BY_SITE).finish())
}

/// The page that a gateway asks about, if that gateway is believed and the page is one of a configured origin.
fn page_asked_for(site: &Site, request: &HttpRequest) -> Option<Next> {
    if !site.proxies.believes(request.peer_addr()) {
        return None;
    }
    let headers = request.headers();
    let [scheme, host, uri] = ["x-forwarded-proto", "x-forwarded-host", URI].map(|name| forwarded(headers, name));
    let uri = uri.filter(|uri| uri.starts_with('/'))?;
    site.destinations.judge(&format!("{}://{}{uri}", scheme?, host?))
}

/// Whether a person waits for a page: a script, a form's body or a frame gets nothing out of being sent to sign in.
/// Some gateways ask with the method itself, others tell it; of both, the worse counts.
fn is_navigation(request: &HttpRequest) -> bool {
    let headers = request.headers();
    let reads = |method: &str| ["GET", "HEAD"].contains(&method);
    let told = !headers.contains_key(METHOD) || only(headers, METHOD).is_some_and(reads);
    if !told || !reads(request.method().as_str()) {
        return false;
    }
    if headers.contains_key("sec-fetch-mode") {
        let is_whole = !headers.contains_key("sec-fetch-dest") || only(headers, "sec-fetch-dest") == Some("document");
        return is_whole && only(headers, "sec-fetch-mode") == Some("navigate");
    }
    headers.get_all(ACCEPT).filter_map(|line| line.to_str().ok()).any(|line| line.contains("text/html"))
}

/// The host at which the browser has opened this server.
fn own_host(site: &Site, request: &HttpRequest) -> Option<String> {
    let headers = request.headers();
    let told = forwarded(headers, "x-forwarded-host").filter(|_| site.proxies.believes(request.peer_addr()));
    let host = told.or_else(|| only(headers, HOST.as_str()))?;
    host_of(host)
}

/// A header that a proxy sets: told once, by one proxy.
fn forwarded<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    only(headers, name).filter(|value| !value.contains(','))
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(name);
    let (first, second) = (lines.next(), lines.next());
    first.filter(|_| second.is_none()).and_then(|line| line.to_str().ok())
}
