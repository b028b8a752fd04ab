//! Sends a navigation without a session to the sign-in page, and on to its target once there is a session.
//!
//! The cookie is `SameSite=Strict`: a browser withholds it from the first navigation that another site starts. So a
//! page of this site asks again before sessiond treats the user as signed out. Owns which navigation gets that page.
//! The page continues by itself only for a navigation from another site, and only to a target on this site, so a page
//! that always refuses cannot cause a redirect loop. Must never redirect to a target that [`super::next`] does not
//! allow.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HeaderName, HeaderValue, LOCATION, SET_COOKIE, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::cookie::Presented;
use super::forwarded_request::{self, only};
use super::media_type::is_media_type;
use super::next::{Next, has_parameter, path_of};
use super::pages;
use super::problem::Problem;
use super::site::Site;

/// The page at one address differs for a navigation from another site.
const BY_SITE: (HeaderName, HeaderValue) = (VARY, HeaderValue::from_static("Sec-Fetch-Site"));

/// The header in which gateways send the method of the original request.
const METHOD: &str = "x-forwarded-method";

/// The sign-in page. A navigation from another site that has a `next` first gets the page that asks again with the
/// cookie.
pub async fn front(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    match site.destinations.in_query(request.query_string()) {
        Some(next) if goes_on_by_itself(&site, &request, &next) => bounce_page(&request),
        // The page trusts a `next` in its own address, so an invalid one must not stay there.
        None if has_parameter(request.query_string(), "next") => sent(StatusCode::SEE_OTHER, &door(None)),
        _ => {
            let mut page = pages::index(request).await?;
            page.headers_mut().insert(BY_SITE.0, BY_SITE.1);
            Ok(page)
        }
    }
}

/// Where gateways send a navigation without a session. A gateway that can encode puts the page into `next`; one that
/// cannot (nginx) calls this route itself, names the page in `X-Forwarded-…`, and passes the answer on.
pub async fn bounce(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request.query_string();
    if !has_parameter(query, "next") && request.headers().contains_key(forwarded_request::URI) {
        // Any relative address would lie under the gateway, which would call this route again in a loop.
        if !site.proxies.trusts(request.peer_addr()) {
            return Err(Problem::proxy_not_trusted());
        }
        return if is_navigation(&request) { way_in(&site, &request) } else { Err(Problem::unauthenticated()) };
    }
    let next = site.destinations.in_query(query);
    let answer = match &next {
        Some(next) if goes_on_by_itself(&site, &request, next) => bounce_page(&request),
        next => sent(StatusCode::SEE_OTHER, &door(next.as_ref())),
    };
    // A gateway that redirects by itself may have dropped the headers of the answer it got.
    Ok(match next {
        Some(next) => cleared(answer?, &site, &request, next.location()),
        None => answer?,
    })
}

/// Removes the session cookies set for the page's own path: a request with such a cookie beside ours is refused there,
/// and none of our own routes ever receives the cookie.
fn cleared(mut answer: HttpResponse, site: &Site, request: &HttpRequest, page: &str) -> HttpResponse {
    let stale = site.stale_cookies_at(request.head(), path_of(page)).into_iter();
    stale.for_each(|line| answer.headers_mut().append(SET_COOKIE, line));
    answer
}

/// Replaces a gateway's 401 by the redirect to sign in, for navigations only. Other requests keep the 401, so that no
/// script gets a page where it expects an answer.
pub fn instead_of(problem: Problem, site: &Site, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let is_wanted = has_parameter(request.query_string(), "redirect")
        || forwarded_request::asked_below(&site.base_path, request).is_some();
    let is_told = site.proxies.trusts(request.peer_addr()) && is_navigation(request);
    if problem.status_code() == StatusCode::UNAUTHORIZED && is_wanted && is_told {
        way_in(site, request)
    } else {
        Err(problem)
    }
}

/// Redirects to sign in, and on to the page that a gateway asks about if that target is allowed.
fn way_in(site: &Site, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let page = forwarded_request::page(request.head(), forwarded_request::asked_below(&site.base_path, request));
    let next = page.as_ref().and_then(|page| site.destinations.judge_asked(page));
    let answer = sent(StatusCode::FOUND, &site.destinations.way_in(next.as_ref()))?;
    Ok(match (page, site.cookie.read(request.headers())) {
        (Some(page), Presented::Several(_) | Presented::TooMany) => cleared(answer, site, request, &page),
        _ => answer,
    })
}

/// The sign-in page's address, relative to the routes beside it.
pub fn door(next: Option<&Next>) -> Cow<'static, str> {
    next.map_or(Cow::Borrowed("./"), |next| Cow::Owned(format!("./?{}", next.query())))
}

/// Whether to show the page that asks again: another site started this navigation, so the browser may have withheld the
/// cookie; and the browser sends the cookie to the target, so the target does not send the user back here.
fn goes_on_by_itself(site: &Site, request: &HttpRequest, next: &Next) -> bool {
    only(request.headers(), "sec-fetch-site") == Some("cross-site")
        && site.destinations.cookie_reaches(next, forwarded_request::host(&site.proxies, request.head()).as_deref())
}

fn bounce_page(request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let mut page = pages::bounce(request)?;
    page.headers_mut().insert(BY_SITE.0, BY_SITE.1);
    page.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(page)
}

/// Redirects; no cache may store the answer.
pub fn sent(status: StatusCode, to: &str) -> Result<HttpResponse, Problem> {
    let location = HeaderValue::from_str(to).map_err(Problem::internal)?;
    Ok(HttpResponse::build(status).insert_header((LOCATION, location)).insert_header(BY_SITE).finish())
}

/// Whether a person waits for a page: a redirect to sign in is useless to a script, a form's body or a frame.
/// Some gateways ask with the original method, others send it in a header; the less safe of both counts.
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
    // A non-text byte, in a parameter or in another range, does not hide a match.
    let mut ranges = headers.get_all(ACCEPT).flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    ranges.any(|range| is_media_type(range, "text/html"))
}
