//! The context of one request, shared by every part that helps to answer it.
//!
//! actix-session calls its store without the request, so [`Context`] travels beside it in a task-local value. Owns
//! [`Context`]. Must never outlive the request or be written to a log: it holds the token.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use super::cookie::{CookieAnswer, Presented};
use super::problem::Problem;
use crate::domain::{Client, DeviceCookie, SessionId, Token, TokenHash};
use crate::service::{Activity, Caller, Checked, SessionView};

tokio::task_local! {
    static CONTEXT: Rc<Context>;
}

/// Runs `work` with `context` around it.
pub async fn with_context<T>(context: Rc<Context>, work: impl Future<Output = T>) -> T {
    CONTEXT.scope(context, work).await
}

/// The context of the current request; `None` on routes without sessions.
pub fn current() -> Option<Rc<Context>> {
    CONTEXT.try_with(Rc::clone).ok()
}

/// Makes the session that this request begins outlive the browser; call it in the handler that calls `Identity::login`.
/// The cookie gets the lifetime of `SESSIOND_REMEMBER_ABSOLUTE_TIMEOUT`. Outside of a request behind the session layer,
/// it does nothing.
pub fn remember_me() {
    if let Some(context) = current() {
        context.remember.set(true);
    }
}

/// The live session of the current request, if there is one.
pub(crate) fn current_session() -> Option<SessionId> {
    Some(current()?.checked()?.session)
}

/// One request on a route that uses sessions.
#[derive(Debug)]
pub struct Context {
    client: Client,
    presented: Presented,
    device: Option<DeviceCookie>,
    service: Option<Caller>,
    activity: Activity,
    checked: RefCell<Option<Checked>>,
    handed_over: RefCell<Option<Token>>,
    ending: Cell<Option<TokenHash>>,
    refusal: RefCell<Option<Problem>>,
    cookie: Cell<CookieAnswer>,
    remember: Cell<bool>,
    unconfirmed: Cell<bool>,
}

impl Context {
    /// A request of `client` that carried this cookie; `checked` is its live session if a check has already found it.
    pub fn new(client: Client, presented: Presented, checked: Option<Checked>) -> Self {
        Self {
            client,
            presented,
            device: None,
            service: None,
            activity: Activity::Active,
            checked: RefCell::new(checked),
            handed_over: RefCell::new(None),
            ending: Cell::new(None),
            refusal: RefCell::new(None),
            cookie: Cell::new(CookieAnswer::AsSet),
            remember: Cell::new(false),
            unconfirmed: Cell::new(false),
        }
    }

    /// The same request with the device cookie of an earlier sign-in.
    #[must_use]
    pub fn with_device(self, device: Option<DeviceCookie>) -> Self {
        Self { device, ..self }
    }

    /// The same request, sent by this service.
    #[must_use]
    pub fn by_service(self, service: Caller) -> Self {
        Self { service: Some(service), ..self }
    }

    /// The service that sent the request with its secret; none for a browser.
    pub fn service(&self) -> Option<&Caller> {
        self.service.as_ref()
    }

    /// The same request, counted as this activity.
    #[must_use]
    pub fn with_activity(self, activity: Activity) -> Self {
        Self { activity, ..self }
    }

    /// Whether the request counts as a use of the session.
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// The device cookie of an earlier sign-in, not yet verified; only on routes where users sign in.
    pub fn device(&self) -> Option<&DeviceCookie> {
        self.device.as_ref()
    }

    /// The client that sent the request.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the request carried as its session cookie.
    pub fn presented(&self) -> &Presented {
        &self.presented
    }

    /// The hashes of the tokens that the request carried, live or not.
    pub fn presented_hashes(&self) -> Vec<TokenHash> {
        self.presented.hashes()
    }

    /// The live session that the request belongs to.
    pub fn checked(&self) -> Option<Checked> {
        self.checked.borrow().clone()
    }

    /// Stores the result of a check.
    pub fn set_checked(&self, checked: Option<Checked>) {
        self.checked.replace(checked);
    }

    /// Leaves the token of a session that was just issued or renewed, for the session store to put into the cookie. The
    /// session's state never holds the token, because every handler can read the state.
    pub fn hand_over(&self, token: Token, session: &SessionView) {
        self.handed_over.replace(Some(token));
        self.new_cookie(session);
    }

    /// Records that a new cookie is set for this session: kept until the session expires if it is remembered, else
    /// until the browser is closed.
    pub fn new_cookie(&self, session: &SessionView) {
        let lasts = CookieAnswer::Lasts(session.expires_at.since(session.last_seen_at));
        self.cookie.set(if session.remember { lasts } else { CookieAnswer::AsSet });
    }

    /// Takes the token, once.
    pub fn take_handed_over(&self) -> Option<Token> {
        self.handed_over.take()
    }

    /// Marks the session of this token to end when the answer leaves.
    pub fn sign_out_later(&self, hash: TokenHash) {
        self.ending.set(Some(hash));
    }

    /// Takes the session that is to end, once.
    pub fn take_ending(&self) -> Option<TokenHash> {
        self.ending.take()
    }

    /// Stores why the session store refuses: actix-session hides the cause of its own error.
    pub fn refuse(&self, problem: Problem) {
        self.refusal.replace(Some(problem));
    }

    /// Takes the stored refusal.
    pub fn take_refusal(&self) -> Option<Problem> {
        self.refusal.take()
    }

    /// Records that the token was renewed but a record of the old one may remain.
    pub fn leave_unconfirmed(&self) {
        self.unconfirmed.set(true);
    }

    /// Whether a renewal is still unconfirmed.
    pub fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.get()
    }

    /// Whether the browser is to keep the new session after it is closed.
    pub fn remembers(&self) -> bool {
        self.remember.get()
    }

    /// What the answer does with the session cookie.
    pub fn cookie_answer(&self) -> CookieAnswer {
        self.cookie.get()
    }

    /// Leaves the cookie out of the answer: it would only repeat what the client has.
    pub fn leave_cookie(&self) {
        self.cookie.set(CookieAnswer::Left);
    }
}
