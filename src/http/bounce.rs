//! The ways in: where people go who came without a session, and where they go on to when they have one.
//!
//! The cookie is `SameSite=Strict`: a browser keeps it back from the first navigation that another site has begun. So
//! nobody is called signed out before a page of this very site has asked once more. Owns which navigation gets that page:
//! it sends on by itself only whom another site has sent, and what it leads to is no other site; so no page that always
//! refuses can keep a browser going round. Must never send anybody anywhere but where [`super::next`] lets them go.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HeaderName, HeaderValue, LOCATION, SET_COOKIE, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::cookie::Presented;
use super::media_type::is_media_type;
use super::next::{Next, has_parameter, path_of};
use super::pages;
use super::problem::Problem;
use super::site::Site;
use super::told::{self, only};

/// One page at one address is another one for who comes from another site.
const BY_SITE: (HeaderName, HeaderValue) = (VARY, HeaderValue::from_static("Sec-Fetch-Site"));

/// Where gateways tell the method of the request that they ask about.
const METHOD: &str = "x-forwarded-method";

/// The sign-in page; for who was sent to it from another site with somewhere to go on to, first the page that asks with
/// the cookie.
pub async fn front(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    match site.destinations.in_query(request.query_string()) {
        Some(next) if goes_on_by_itself(&site, &request, &next) => bounce_page(&request),
        // The page takes a `next` that it sees for one: what leads nowhere is not to be seen.
        None if has_parameter(request.query_string(), "next") => sent(StatusCode::SEE_OTHER, &door(None)),
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
    if !has_parameter(query, "next") && request.headers().contains_key(told::URI) {
        // Any address relative to this one would lie under the gateway, which would ask here again, and so on.
        if !site.proxies.believes(request.peer_addr()) {
            return Err(Problem::proxy_not_trusted());
        }
        return if is_navigation(&request) { way_in(&site, &request) } else { Err(Problem::unauthenticated()) };
    }
    let next = site.destinations.in_query(query);
    let answer = match &next {
        Some(next) if goes_on_by_itself(&site, &request, next) => bounce_page(&request),
        next => sent(StatusCode::SEE_OTHER, &door(next.as_ref())),
    };
    // A gateway that sends people here by itself may have passed nothing on of what it was answered.
    Ok(match next {
        Some(next) => cleared(answer?, &site, &request, next.location()),
        None => answer?,
    })
}

/// Rid of the session cookies that stand for a page's own path: nobody who has one beside ours is let in there, and no
/// route of ours ever sees it.
fn cleared(mut answer: HttpResponse, site: &Site, request: &HttpRequest, page: &str) -> HttpResponse {
    let stale = site.stale_cookies_at(request.head(), path_of(page)).into_iter();
    stale.for_each(|line| answer.headers_mut().append(SET_COOKIE, line));
    answer
}

/// Instead of a gateway's 401: for a navigation, the way in. Anything else stays as it is, so that no script gets a page
/// where it expects an answer.
pub fn instead_of(problem: Problem, site: &Site, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let is_wanted =
        has_parameter(request.query_string(), "redirect") || told::asked_below(&site.base_path, request).is_some();
    let is_told = site.proxies.believes(request.peer_addr()) && is_navigation(request);
    if problem.status_code() == StatusCode::UNAUTHORIZED && is_wanted && is_told {
        way_in(site, request)
    } else {
        Err(problem)
    }
}

/// To sign in, and on to the page that a gateway asks about, where that may be followed.
fn way_in(site: &Site, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let page = told::page(request.head(), told::asked_below(&site.base_path, request));
    let next = page.as_ref().and_then(|page| site.destinations.judge_asked(page));
    let answer = sent(StatusCode::FOUND, &site.destinations.way_in(next.as_ref()))?;
    Ok(match (page, site.cookie.read(request.headers())) {
        (Some(page), Presented::Several(_) | Presented::TooMany) => cleared(answer, site, request, &page),
        _ => answer,
    })
}

/// The sign-in page, relative to the routes that stand beside it.
pub fn door(next: Option<&Next>) -> Cow<'static, str> {
    next.map_or(Cow::Borrowed("./"), |next| Cow::Owned(format!("./?{}", next.query())))
}

/// Whether the page that asks once more is to be shown: another site has begun this navigation, so that the cookie may be
/// there and was kept back; and it goes along to where that page leads, so that nobody is sent back here as a stranger.
fn goes_on_by_itself(site: &Site, request: &HttpRequest, next: &Next) -> bool {
    only(request.headers(), "sec-fetch-site") == Some("cross-site")
        && site.destinations.cookie_reaches(next, told::host(&site.proxies, request.head()).as_deref())
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
    // A byte that is no text, in a parameter or in another range, hides nothing.
    let mut ranges = headers.get_all(ACCEPT).flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    ranges.any(|range| is_media_type(range, "text/html"))
}
