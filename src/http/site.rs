//! What the routes of one worker share: the service, and the settings that judge requests and shape answers.
//!
//! Owns [`Site`]: made once at startup, then once for each worker. Must never hold anything about a request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use uuid::Uuid;

use super::clear_site_data::clearing;
use super::client_address::ProxyTrust;
use super::cookie::{InvalidCookie, SessionCookie};
use super::csrf::Origins;
use super::csrf_token::CsrfTokens;
use super::forwarded_method::ForwardedMethod;
use super::forwarded_request;
use super::headers::AnswerHeaders;
use super::idempotency::IdempotencyKeys;
use super::next::Destinations;
use super::problem::Problem;
use super::request_id::{self, RequestIds};
use super::signature::DecodedCookie;
use crate::config::Config;
use crate::domain::{Client, Random, device};
use crate::service::{App, CopyKey};

/// One worker's share. Cloning is cheap and shares the worker's connections.
#[derive(Clone)]
pub struct Site {
    /// The service.
    pub app: App,
    /// The session cookie.
    pub cookie: Arc<SessionCookie>,
    /// The origins whose pages may make changes.
    pub origins: Arc<Origins>,
    /// The allowed redirect targets.
    pub destinations: Arc<Destinations>,
    /// What browsers delete at sign-out; `None` if nothing.
    pub clear_site_data: Option<HeaderValue>,
    /// Issues and verifies CSRF tokens.
    pub csrf_tokens: Arc<CsrfTokens>,
    /// The tokens of sessions that are issued under a key.
    pub idempotency_keys: Arc<IdempotencyKeys>,
    /// The cookie that may hold an old token, empty if none does; none if no token is exchanged.
    pub old_token_cookie: Option<Arc<str>>,
    /// Which of the requests that gateways ask about need a CSRF token.
    pub forwarded_method: Arc<ForwardedMethod>,
    /// The header of a gateway's answer that has a token for services.
    pub token_header: Option<HeaderName>,
    /// The proxies that may report a client's address.
    pub proxies: Arc<ProxyTrust>,
    /// The headers of every answer.
    pub headers: Arc<AnswerHeaders>,
    /// Ids for requests.
    pub request_ids: Arc<RequestIds>,
    /// Where the routes begin: empty, or a path such as `/auth`.
    pub base_path: Arc<str>,
    random: Arc<dyn Random>,
}

impl Site {
    /// Prepares everything that can fail, before the first worker starts.
    pub fn new(app: &App, config: &Config, random: Arc<dyn Random>) -> Result<Self, InvalidCookie> {
        let cookie = SessionCookie::new(config, random.as_ref())?;
        Ok(Self {
            app: app.clone(),
            csrf_tokens: Arc::new(CsrfTokens::new(cookie.key(), Arc::clone(&random))),
            idempotency_keys: Arc::new(IdempotencyKeys::new(cookie.key())),
            old_token_cookie: config.exchange.as_ref().map(|it| it.cookie.as_deref().unwrap_or_default().into()),
            forwarded_method: Arc::new(ForwardedMethod::new(config)),
            token_header: config.jwt.as_ref().and_then(|jwt| HeaderName::try_from(jwt.header.as_deref()?).ok()),
            cookie: Arc::new(cookie),
            origins: Arc::new(Origins::new(config)),
            destinations: Arc::new(Destinations::new(config)),
            clear_site_data: clearing(config),
            proxies: Arc::new(ProxyTrust::new(config)),
            headers: Arc::new(AnswerHeaders::new(config)),
            request_ids: Arc::new(RequestIds::new(random.as_ref())),
            base_path: config.base_path.as_str().into(),
            random,
        })
    }

    /// The same for one worker, with connections and request ids of its own.
    #[must_use]
    pub fn for_worker(&self) -> Self {
        let app = self.app.for_worker();
        let request_ids = Arc::new(RequestIds::new(self.random.as_ref()));
        Self { app, request_ids, ..self.clone() }
    }

    /// The client that sent these headers from this peer.
    pub fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Client {
        Client {
            ip: self.proxies.client_address(peer, headers),
            user_agent: user_agent(headers).map(Cow::into_owned),
            request_id: self.request_id(),
        }
    }

    /// The key of a cookie's copy; none when the near cache is off.
    pub fn copy_key(&self, cookie: &DecodedCookie) -> Option<CopyKey> {
        self.app.check.copy_key(cookie.as_bytes())
    }

    /// Headers that remove the session cookies which the request may carry and this configuration does not set.
    pub fn stale_cookies(&self, head: &RequestHead) -> Vec<HeaderValue> {
        self.stale_cookies_at(head, head.uri.path())
    }

    /// Removes such cookies where a browser sends them to this page of an application but to none of our own routes.
    pub fn stale_cookies_at(&self, head: &RequestHead, path: &str) -> Vec<HeaderValue> {
        self.cookie.stale_removals(forwarded_request::host(&self.proxies, head).as_deref(), path)
    }

    /// Refuses a request with several session cookies. Removes all of them if another party may have set one: otherwise
    /// the user could not sign in.
    pub fn several_cookies(&self, head: &RequestHead) -> Problem {
        let stale = self.stale_cookies(head);
        let ours = (!stale.is_empty()).then(|| self.cookie.removal());
        let refusal = Problem::unauthenticated();
        stale.into_iter().chain(ours).fold(refusal, |refusal, line| refusal.with_header(SET_COOKIE, line))
    }

    /// The refusal of a session cookie that opens no session: always 401. There is no limit; the number is reported.
    pub fn unknown_token(&self, headers: &HeaderMap, from: IpAddr) -> Problem {
        self.app.check.note_unknown_token(from, self.cookie.fingerprint(headers));
        Problem::unauthenticated()
    }

    /// The problem that tells a client about this failure, with this server's own paths.
    pub fn refusal(&self, error: impl Into<Problem>) -> Problem {
        error.into().under(&self.base_path)
    }

    /// The current request's id, or a new one if the request has none (inside another application).
    pub fn request_id(&self) -> Uuid {
        request_id::current().unwrap_or_else(|| self.request_ids.next())
    }
}

/// The User-Agent header. A byte that is not text (device names come in any encoding) hides only itself.
pub fn user_agent(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let bytes = headers.get(USER_AGENT)?.as_bytes();
    Some(match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(device::cut(text)),
        Err(_) => Cow::Owned(device::cut(&String::from_utf8_lossy(bytes)).to_owned()),
    })
}
