//! What is known about the request that is being answered, for everybody who takes part in answering it.
//!
//! actix-session calls its store without the request, so this travels beside it, in a task-local value. Owns
//! [`Context`]. Must never outlive the request, and never be written to a log: it holds
//! the token.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use super::cookie::{CookieAnswer, Presented};
use super::problem::Problem;
use crate::domain::{Client, DeviceCookie, Token, TokenHash};
use crate::service::{Activity, Checked, SessionView};

tokio::task_local! {
    static CONTEXT: Rc<Context>;
}

/// Runs `work` with `context` around it.
pub async fn with_context<T>(context: Rc<Context>, work: impl Future<Output = T>) -> T {
    CONTEXT.scope(context, work).await
}

/// The context of the request that is being answered; none on routes that know no sessions.
pub fn current() -> Option<Rc<Context>> {
    CONTEXT.try_with(Rc::clone).ok()
}

/// For an application of its own, beside `Identity::login`: the session that this request begins is kept when
/// the browser is closed.
pub fn remember_me() {
    if let Some(context) = current() {
        context.remember.set(true);
    }
}

/// One request on a route that knows sessions.
#[derive(Debug)]
pub struct Context {
    client: Client,
    presented: Presented,
    device: Option<DeviceCookie>,
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
    /// A request of `client` that carried this cookie; `checked` is the live session that it belongs to, when
    /// that was found out already.
    pub fn new(client: Client, presented: Presented, checked: Option<Checked>) -> Self {
        Self {
            client,
            presented,
            device: None,
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

    /// The same request with what its browser keeps of an earlier sign-in.
    #[must_use]
    pub fn with_device(self, device: Option<DeviceCookie>) -> Self {
        Self { device, ..self }
    }

    /// The same request, as the use of the session that it counts as.
    #[must_use]
    pub fn with_activity(self, activity: Activity) -> Self {
        Self { activity, ..self }
    }

    /// Whether the request counts as a use of the session.
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// What the browser keeps of an earlier sign-in; not yet judged, and only on routes where people sign in.
    pub fn device(&self) -> Option<&DeviceCookie> {
        self.device.as_ref()
    }

    /// Who is asking.
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

    /// Remembers what a check found.
    pub fn set_checked(&self, checked: Option<Checked>) {
        self.checked.replace(checked);
    }

    /// Leaves the token of a session that was just issued or renewed for the session store to put into the
    /// cookie. It does not travel in the session's state, where everybody could read it.
    pub fn hand_over(&self, token: Token, session: &SessionView) {
        self.handed_over.replace(Some(token));
        self.new_cookie(session);
    }

    /// A new cookie is set for this session: kept until the session expires if it is remembered, else until the
    /// browser is closed.
    pub fn new_cookie(&self, session: &SessionView) {
        let lasts = CookieAnswer::Lasts(session.expires_at.since(session.last_seen_at));
        self.cookie.set(if session.remember { lasts } else { CookieAnswer::AsSet });
    }

    /// Takes the token that was left, once.
    pub fn take_handed_over(&self) -> Option<Token> {
        self.handed_over.take()
    }

    /// The session of this token is to end when the answer leaves.
    pub fn end_later(&self, hash: TokenHash) {
        self.ending.set(Some(hash));
    }

    /// Takes the session that is to end, once.
    pub fn take_ending(&self) -> Option<TokenHash> {
        self.ending.take()
    }

    /// Keeps why the session store refuses: actix-session hides the cause of its own error.
    pub fn refuse(&self, problem: Problem) {
        self.refusal.replace(Some(problem));
    }

    /// Takes the reason that was kept.
    pub fn take_refusal(&self) -> Option<Problem> {
        self.refusal.take()
    }

    /// The token was renewed, but a record of the old one may still stand.
    pub fn leave_unconfirmed(&self) {
        self.unconfirmed.set(true);
    }

    /// Whether a renewal is not confirmed yet.
    pub fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.get()
    }

    /// Whether the session that begins here is to be kept when the browser is closed.
    pub fn remembers(&self) -> bool {
        self.remember.get()
    }

    /// What is to become of the session cookie in the answer.
    pub fn cookie_answer(&self) -> CookieAnswer {
        self.cookie.get()
    }

    /// The answer's session cookie would only repeat what the client has.
    pub fn leave_cookie(&self) {
        self.cookie.set(CookieAnswer::Left);
    }
}
