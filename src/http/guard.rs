//! The session layer: runs before and after every route that uses sessions.
//!
//! actix-session answers a failing store with an empty 500, a dead session with a fresh one, and two cookies with the
//! first; so this layer wraps it. It admits requests by the route's access level, runs actix-session and actix-identity
//! where they are needed, with the [`Context`] around them, and maps the store's refusals to the right answers.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_identity::IdentityMiddleware;
use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_session::{SessionExt, SessionMiddleware, SessionStatus};
use actix_web::body::MessageBody;
use actix_web::cookie::SameSite;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{HeaderMap, SET_COOKIE};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, ResponseError};

use super::access_level::AccessLevel;
use super::bridge::Bridge;
use super::context::{self, Context};
use super::cookie::{CookieAnswer, InvalidCookie, LetThrough, Presented};
use super::csrf::shown;
use super::csrf_token::Shown;
use super::device_cookie;
use super::no_touch;
use super::old_token;
use super::problem::Problem;
use super::request_id;
use super::security_log::{Refused, note, note_access};
use super::service_guard;
use super::site::Site;
use crate::config::Config;
use crate::domain::{Client, Role, SystemRandom};
use crate::service::{Activity, App, Checked, Denied};

/// The session layer for an actix application that embeds sessiond, with [`SessionLayer::for_worker`] in each worker.
///
/// # Errors
/// When the cookie's key cannot be read, or its domain does not fit into a header.
pub fn session_layer(app: &App, config: &Config) -> Result<SessionLayer, InvalidCookie> {
    let site = Site::new(app, config, Arc::new(SystemRandom))?;
    Ok(SessionLayer { site, level: AccessLevel::Embedded, acting: false })
}

/// The session layer: an actix middleware that gives routes their sessions.
///
/// It is around the routes that use actix-session's `Session` or actix-identity's `Identity`, and takes the place of
/// both crates' own middleware. [`Service::session_layer`](crate::Service::session_layer) makes it. If a session cannot
/// be checked, the layer answers 503. It does not judge where a request comes from: see [`Origins`](super::Origins).
#[derive(Clone)]
pub struct SessionLayer {
    site: Site,
    level: AccessLevel,
    acting: bool,
}

impl SessionLayer {
    /// The layer for routes of this access level.
    pub(super) fn new(site: &Site, level: AccessLevel) -> Self {
        Self { site: site.clone(), level, acting: false }
    }

    /// The same, with or without sessions that read here in their user's place.
    pub(super) fn with_acting(self, acting: bool) -> Self {
        Self { acting, ..self }
    }

    /// The same for one worker, with connections of its own.
    #[doc(hidden)]
    #[must_use]
    pub fn for_worker(&self) -> Self {
        Self { site: self.site.for_worker(), ..self.clone() }
    }

    /// Fixes cookie attributes and lifetime; the store has its own deadlines and ignores the TTL. The cookie lasts for
    /// the browser session; "remember me" adds its lifetime to single cookies when the answer leaves.
    fn sessions(&self) -> SessionMiddleware<Bridge> {
        let cookie = &self.site.cookie;
        SessionMiddleware::builder(Bridge::new(self.site.app.clone(), self.level), cookie.key().clone())
            .cookie_name(cookie.name().to_owned())
            .cookie_domain(cookie.domain().map(ToOwned::to_owned))
            .cookie_path("/".to_owned())
            .cookie_secure(true)
            .cookie_http_only(true)
            .cookie_same_site(SameSite::Strict)
            .cookie_content_security(CookieContentSecurity::Signed)
            .session_lifecycle(BrowserSession::default())
            .build()
    }
}

type WithIdentity<S> = <IdentityMiddleware as Transform<S, ServiceRequest>>::Transform;
type WithSession<S> = <SessionMiddleware<Bridge> as Transform<WithIdentity<S>, ServiceRequest>>::Transform;
type Answer<B> = Result<ServiceResponse<B>, Error>;

impl<S, B> Transform<S, ServiceRequest> for SessionLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = Guard<WithSession<S>>;
    type InitError = ();
    type Future = Pin<Box<dyn Future<Output = Result<Self::Transform, ()>>>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let (layer, sessions) = (self.clone(), self.sessions());
        Box::pin(async move {
            let service = IdentityMiddleware::default().new_transform(service).await?;
            let service = Rc::new(sessions.new_transform(service).await?);
            Ok(Guard { layer: Rc::new(layer), service })
        })
    }
}

/// The layer without actix-session and actix-identity, for routes that only need to know the user.
pub struct CheckLayer(pub SessionLayer);

impl<S, B> Transform<S, ServiceRequest> for CheckLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = Guard<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Guard { layer: Rc::new(self.0.clone()), service: Rc::new(service) }))
    }
}

/// The layer around one service.
pub struct Guard<S> {
    layer: Rc<SessionLayer>,
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for Guard<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Answer<B>>>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let (layer, service) = (Rc::clone(&self.layer), Rc::clone(&self.service));
        let id = layer.site.request_id();
        Box::pin(request_id::within(id, async move {
            let context = Rc::new(layer.admit(&mut request).await?);
            let answer = context::with_context(Rc::clone(&context), async { service.call(request).await }).await;
            layer.finish(&context, answer).await
        }))
    }
}

impl SessionLayer {
    /// Admits the request or returns the refusal. Changes the request only here, before any code can hold a clone of it
    /// (actix panics when a cloned request is changed or routed).
    async fn admit(&self, request: &mut ServiceRequest) -> Result<Context, Problem> {
        if self.level == AccessLevel::Administrator && service_guard::shows_secret(request.headers()) {
            return self.admit_service(request).await;
        }
        let headers = request.headers();
        if self.level != AccessLevel::Embedded && !self.site.origins.allow(request.method(), headers) {
            return Err(self.forbid_origin(request));
        }
        let client = self.site.client(request.peer_addr(), headers);
        let presented = self.site.cookie.read(headers);
        let checked = match self.level {
            AccessLevel::Account | AccessLevel::Background | AccessLevel::Administrator | AccessLevel::Renewal => {
                let activity = self.activity(request.method(), headers);
                Some(self.signed_in(&presented, request, &client, activity).await?)
            }
            AccessLevel::Anyone => {
                let activity = self.activity(request.method(), headers);
                match self.signed_in(&presented, request, &client, activity).await {
                    // What cannot be told is still refused.
                    Err(problem) if problem.status_code() == StatusCode::UNAUTHORIZED => None,
                    found => Some(found?),
                }
            }
            AccessLevel::Public | AccessLevel::Embedded | AccessLevel::Service(_) => None,
        };
        if self.level == AccessLevel::Public
            && let Some(cookie) = &self.site.old_token_cookie
        {
            old_token::keep(cookie, request);
        }
        // On sign-in routes; read before cookies are removed.
        let device = match self.level {
            AccessLevel::Public => device_cookie::read(headers),
            _ => None,
        };
        self.judge_csrf_token(request, &presented, &client, checked.as_ref())?;
        self.judge_actor(request, &client, checked.as_ref())?;
        self.judge_role(request, &client, checked.as_ref()).await?;
        let through = match self.level {
            AccessLevel::Public => Some(LetThrough::Nothing),
            AccessLevel::Renewal => Some(LetThrough::Session),
            AccessLevel::Embedded => Some(LetThrough::All),
            // Nothing behind this layer reads a cookie.
            AccessLevel::Anyone
            | AccessLevel::Account
            | AccessLevel::Background
            | AccessLevel::Administrator
            | AccessLevel::Service(_) => None,
        };
        if let Some(through) = through {
            self.site.cookie.let_through(request.headers_mut(), &presented, through);
        }
        let activity = self.activity(request.method(), request.headers());
        Ok(Context::new(client, presented, checked).with_device(device).with_activity(activity))
    }

    /// A service administers: its secret takes the place of session, role, origin and proof.
    async fn admit_service(&self, request: &ServiceRequest) -> Result<Context, Problem> {
        let service = service_guard::administers(&self.site, request).await?;
        let client = self.site.client(request.peer_addr(), request.headers());
        Ok(Context::new(client, Presented::Nothing, None).by_service(service))
    }

    /// Tells which origin it was, and which setting would name it.
    fn forbid_origin(&self, request: &ServiceRequest) -> Problem {
        let client = self.site.client(request.peer_addr(), request.headers());
        let origin = shown(request.headers());
        let why = match &origin {
            Some(origin) => format!(
                "{}: SESSIOND_ORIGIN does not list the origin \"{origin}\"",
                route(request, &self.site.base_path)
            ),
            None => format!("{}: the request names no known origin", route(request, &self.site.base_path)),
        };
        note(&self.site.app, Refused::Forgery, &client, None, &why);
        Problem::forbidden_origin(origin.as_deref())
    }

    /// A CSRF token need not be there, since the origin was judged; one that is there must be right.
    fn judge_csrf_token(
        &self,
        request: &ServiceRequest,
        presented: &Presented,
        client: &Client,
        checked: Option<&Checked>,
    ) -> Result<(), Problem> {
        let is_judged = self.level != AccessLevel::Embedded && !request.method().is_safe();
        if is_judged && self.site.csrf_tokens.shown(request.headers(), &presented.hashes()) == Shown::Wrong {
            let route = route(request, &self.site.base_path);
            let why = format_args!("{route}: the CSRF token belongs to another session");
            note(&self.site.app, Refused::Forgery, client, checked, &why);
            return Err(Problem::wrong_csrf_token());
        }
        Ok(())
    }

    /// A session in which somebody acts for the user only reads, and only where the route says so: whatever it could change
    /// here, the password, other sessions, other accounts, is the user's alone.
    fn judge_actor(&self, request: &ServiceRequest, client: &Client, checked: Option<&Checked>) -> Result<(), Problem> {
        let Some((checked, party)) = checked.and_then(|checked| Some((checked, checked.acting.as_deref()?))) else {
            return Ok(());
        };
        if self.acting && request.method().is_safe() {
            return Ok(());
        }
        let why = format_args!("{party} acts for the user");
        note_access(&self.site.app, client, checked, route(request, &self.site.base_path), &why);
        Err(Problem::acting_session())
    }

    fn activity(&self, method: &Method, headers: &HeaderMap) -> Activity {
        match self.level {
            AccessLevel::Background => Activity::Background,
            _ => no_touch::activity(method, headers),
        }
    }

    /// Checks the role before reading anything else of the request, which only an administrator may make.
    async fn judge_role(
        &self,
        request: &ServiceRequest,
        client: &Client,
        checked: Option<&Checked>,
    ) -> Result<(), Problem> {
        if self.level != AccessLevel::Administrator {
            return Ok(());
        }
        let checked = checked.ok_or_else(Problem::unauthenticated)?;
        if !self.site.app.users.has_role(checked.user, Role::Admin).await? {
            let route = route(request, &self.site.base_path);
            note_access(&self.site.app, client, checked, route, &"not an administrator");
            return Err(Problem::forbidden());
        }
        Ok(())
    }

    /// The live session of the request. Missing, forged, doubled, ended and expired get one answer.
    async fn signed_in(
        &self,
        presented: &Presented,
        request: &ServiceRequest,
        client: &Client,
        activity: Activity,
    ) -> Result<Checked, Problem> {
        let headers = request.headers();
        let token = match presented {
            Presented::One(token) => token,
            Presented::Invalid => return Err(self.site.unknown_token(headers, client.ip)),
            Presented::Nothing => return Err(Problem::unauthenticated()),
            Presented::Several(_) | Presented::TooMany => return Err(self.site.several_cookies(request.head())),
        };
        let app = &self.site.app;
        let Some(checked) = app.check.authenticate(token, client.ip, activity).await? else {
            return Err(self.site.unknown_token(headers, client.ip));
        };
        let checked = app.check.recognise(checked, client.user_agent.as_deref(), || client.clone()).await?;
        checked.ok_or_else(Problem::unauthenticated)
    }

    /// Ends the sessions that are to end, and settles the cookie. An error of actix-session becomes the reason that the
    /// store left; an error of the application stays as it is.
    async fn finish<B>(&self, context: &Context, answer: Answer<B>) -> Answer<B> {
        let mut response = answer.map_err(|error| context.take_refusal().map_or(error, Error::from))?;
        let mut cookie = context.cookie_answer();
        let mut ending: Vec<_> = context.take_ending().into_iter().collect();
        if self.level == AccessLevel::Embedded && response.request().get_session().status() == SessionStatus::Purged {
            // Also cookies that opened no session: at a sign-out there may be several, or old ones.
            ending = context.presented_hashes();
        }
        if !ending.is_empty() {
            // On the heap, so that requests which end nothing reserve no space for it.
            let ended = Box::pin(self.site.app.sessions.sign_out(&ending, context.client())).await;
            // The cookie goes once the end is recorded, confirmed or not; earlier, without it the user could not retry.
            ended.map_err(|error| {
                let is_done = matches!(error, Denied::Unconfirmed(_));
                let problem = Problem::from(error);
                if is_done { problem.with_header(SET_COOKIE, self.site.cookie.removal()) } else { problem }
            })?;
            cookie = CookieAnswer::Removed;
        }
        // Some of the request's cookies may lie where the new cookie does not replace them.
        let changes = self.site.cookie.changes_in(response.headers(), cookie);
        let stale = match context.presented() {
            Presented::Nothing => Vec::new(),
            _ if changes => self.site.stale_cookies(response.request().head()),
            _ => Vec::new(),
        };
        self.site.cookie.settle(response.headers_mut(), cookie);
        stale.into_iter().for_each(|line| response.headers_mut().append(SET_COOKIE, line));
        if context.is_unconfirmed() {
            // Reports that the old token is unconfirmed, without losing the new one.
            let cookies = response.headers().get_all(SET_COOKIE);
            return Err(cookies
                .fold(Problem::unconfirmed(), |it, line| it.with_header(SET_COOKIE, line.clone()))
                .into());
        }
        Ok(response)
    }
}

/// The request for a log line: a known method and the declared route with its parameter names. Contains no text from
/// the client.
fn route(request: &ServiceRequest, base_path: &str) -> String {
    let pattern = request.match_pattern().unwrap_or_default();
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let method = known.iter().find(|method| *method == request.method()).map_or("another method", Method::as_str);
    format!("{method} {}", pattern.strip_prefix(base_path).unwrap_or(&pattern))
}
