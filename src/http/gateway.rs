//! The route that gateways call for each of their requests, to learn who sent it.
//!
//! The hottest path, so it bypasses actix-session: cookie, check, a few headers. Answers 200 with every identity header
//! (so that a proxy overwrites what its client sent) and with nothing that a gateway drops, or 401, or 503; never a
//! Set-Cookie, which proxies lose. `bounce` turns a 401 into a redirect where the gateway wants one.

use std::slice;

use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::bounce;
use super::cookie::Presented;
use super::csrf_token::Shown;
use super::forwarded_request;
use super::headers::REQUEST_ID;
use super::no_touch;
use super::problem::Problem;
use super::security_log::{Refused, note};
use super::site::{Site, user_agent};
use crate::service::Checked;

const SESSION_USER: HeaderName = HeaderName::from_static("x-session-user");
const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
const AUTHENTICATED_AT: HeaderName = HeaderName::from_static("x-session-authenticated-at");
/// Whether the request's CSRF token is its session's. Always present, so that it overwrites a client's own header.
const SESSION_CSRF: HeaderName = HeaderName::from_static("x-session-csrf");
/// Who acts in the session for the user: `agent:assistant-7`. Always present, for the same reason.
const SESSION_ACTOR: HeaderName = HeaderName::from_static("x-session-actor");
/// In the user's own sessions. No gateway drops a word, as some do with an empty header.
const NOBODY: HeaderValue = HeaderValue::from_static("none");

/// Tells a reverse proxy (nginx `auth_request`, Traefik ForwardAuth, Caddy `forward_auth`, Envoy `ext_authz`) whether
/// its client is signed in. Any method.
#[utoipa::path(
    get, path = "/auth/forward", operation_id = "forward_auth", tag = "gateways",
    responses(
        (status = 200, description = "Signed in. The body is empty. With `SESSIOND_JWT_HEADER` that header has a token for \
            services, too.", headers(
            ("X-Session-User" = uuid::Uuid, description = "The user's id."),
            ("X-Session-Id" = uuid::Uuid, description = "The session's id."),
            ("X-Session-Authenticated-At" = i64, description = "When the user last proved their identity, in seconds \
                since 1970, like OpenID Connect's `auth_time`; 0 if that proof no longer counts. If you need a recent \
                proof, let the user POST /reauthenticate first."),
            ("X-Session-Csrf" = String, description = "What X-CSRF-Token holds: `valid`, `invalid` or `none`."),
            ("X-Session-Actor" = String, description = "Who acts in the session for the user: `agent:` or `admin:` and an \
                id; `none` in the user's own sessions."),
            ("X-Request-Id" = uuid::Uuid, description = "The request's id, if the request has this header with any \
                value. Every other answer has it always."),
        )),
        (status = 302, description = "With `?redirect`, instead of 401: redirects a navigation to a page of a \
            configured origin to the sign-in page. For trusted proxies that pass the answer on.",
         headers(("Location" = String, description = "The sign-in page, with the requested page as `next`."))),
        (status = 401, description = "Not signed in (`unauthenticated`)."),
        (status = 403, description = "With `SESSIOND_CSRF_METHOD_HEADER`: the request may change something, and \
            X-CSRF-Token is missing or belongs to another session (`wrong-csrf-token`)."),
        (status = 503, description = "A store does not answer (`unavailable`), or the server is overloaded (`busy`). \
            Never answered with 401 or 200."),
    )
)]
pub async fn forward(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    match answer(&site, &request).await {
        Err(problem) => bounce::instead_of(problem, &site, &request),
        answered => answered,
    }
}

/// The live session of a request on a route without the session layer. A copy in memory answers before the signature is
/// verified: it was, when the copy was made.
pub async fn signed_in(site: &Site, request: &HttpRequest) -> Result<Checked, Problem> {
    let headers = request.headers();
    let address = || site.proxies.client_address(request.peer_addr(), headers);
    let cookie = site.cookie.only(headers);
    let key = cookie.as_ref().and_then(|cookie| site.copy_key(cookie));
    let known = match key {
        Some(key) => site.app.check.recall(key, Some(address())),
        None => None,
    };
    let checked = match known {
        Some(checked) => checked,
        None => {
            let token = match cookie.map_or_else(|| site.cookie.read(headers), |cookie| site.cookie.judge(&cookie)) {
                Presented::One(token) => token,
                Presented::Invalid => return Err(site.unknown_token(headers, address())),
                Presented::Nothing | Presented::Several(_) | Presented::TooMany => {
                    return Err(Problem::unauthenticated());
                }
            };
            let (from, activity) = (address(), no_touch::activity(request.method(), headers));
            let checked = site.app.check.look_up(&token, key, Some(from), activity).await?;
            checked.ok_or_else(|| site.unknown_token(headers, from))?
        }
    };
    let client = || site.client(request.peer_addr(), headers);
    let recognised = site.app.check.recognise(checked, user_agent(headers).as_deref(), &client).await?;
    recognised.ok_or_else(Problem::unauthenticated)
}

async fn answer(site: &Site, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let checked = signed_in(site, request).await?;
    let csrf = site.csrf_tokens.shown(request.headers(), slice::from_ref(&checked.token_hash));
    let named = forwarded_request::asked_below(&site.base_path, request).is_none().then(|| request.headers());
    if csrf != Shown::Right && site.forwarded_method.wants_csrf_token(request.method(), named) {
        note(
            &site.app,
            Refused::Forgery,
            &site.client(request.peer_addr(), request.headers()),
            Some(&checked),
            &"a gateway's request without the session's CSRF token",
        );
        return Err(Problem::wrong_csrf_token());
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((SESSION_CSRF, csrf.word()));
    response.insert_header((SESSION_USER, id_value(checked.user.uuid())?));
    response.insert_header((SESSION_ID, id_value(checked.session.uuid())?));
    let proven_at = checked.proven_at.map_or(0, |at| at.ms().div_euclid(1_000));
    response.insert_header((AUTHENTICATED_AT, HeaderValue::from(proven_at)));
    response.insert_header((SESSION_ACTOR, actor_value(&checked)?));
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    if let Some(name) = &site.token_header
        && let Some(token) = site.app.access_tokens.access_token(&checked, None, None)?
    {
        let token = if name == AUTHORIZATION { format!("Bearer {token}").into() } else { token };
        response.insert_header((name.clone(), HeaderValue::from_str(&token).map_err(Problem::internal)?));
    }
    if request.headers().contains_key(REQUEST_ID) {
        response.insert_header((REQUEST_ID, id_value(site.request_id())?));
    }
    Ok(response.finish())
}

fn actor_value(checked: &Checked) -> Result<HeaderValue, Problem> {
    match &checked.acting {
        Some(party) => HeaderValue::try_from(party.to_string()).map_err(Problem::internal),
        None => Ok(NOBODY),
    }
}

fn id_value(id: Uuid) -> Result<HeaderValue, Problem> {
    let mut buffer = [0; Hyphenated::LENGTH];
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)).map_err(Problem::internal)
}
