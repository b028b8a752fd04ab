//! People: one type for each rank, so that a test says in its types who is asking.
//!
//! Owns what each rank can do in one line. Must never check more than that the line worked: what an answer
//! looks like is the business of the test that is about it.

use serde_json::{Value, json};

use super::ports::random;
use super::process::command_line_ok;
use super::requests::{Browser, Requests, Response};
use super::service::IssuedSession;
use super::settings::Settings;

/// A password that no rule refuses.
pub const PASSWORD: &str = "four plain words, unlikely";

/// The name of the session cookie of a host of its own.
pub const COOKIE: &str = "__Host-session";

/// The length of a token's text form, which ends the cookie; the signature comes first.
const TOKEN_LENGTH: usize = 36;

/// An address that no other test has.
pub fn new_email() -> String {
    format!("someone-{:016x}@example.com", random())
}

/// Somebody who is not signed in.
pub struct Anonymous {
    browser: Browser,
}

impl Anonymous {
    /// At the server with this base URL.
    pub fn at(base: &str) -> Self {
        Self { browser: Browser::at(base) }
    }

    /// `POST /register` with the usual password.
    pub async fn register(&self, email: &str) -> Response {
        self.register_as(email, PASSWORD).await
    }

    /// `POST /register`.
    pub async fn register_as(&self, email: &str, password: &str) -> Response {
        self.post_json("/register", &json!({ "email": email, "password": password })).await
    }

    /// `POST /login`, whatever the answer; a cookie that it sets is kept.
    pub async fn login(&self, email: &str, password: &str) -> Response {
        self.post_json("/login", &json!({ "email": email, "password": password })).await
    }

    /// Signs in, and is somebody; panics when refused.
    pub async fn sign_in(self, email: &str, password: &str) -> SignedIn {
        let answer = self.login(email, password).await;
        answer.assert_status(200);
        SignedIn::new(self.browser, email, password, &answer)
    }

    /// The person whom [`Anonymous::login`] has signed in with this answer.
    pub fn into_signed_in(self, email: &str, password: &str, answer: &Response) -> SignedIn {
        SignedIn::new(self.browser, email, password, answer)
    }

    /// Registers somebody new and signs in.
    pub async fn sign_up(self) -> SignedIn {
        let email = new_email();
        let registered = self.register(&email).await;
        if registered.status == 429 {
            // So many accounts are made from one address, and a soak needs more.
            Self { browser: Browser::elsewhere(self.browser.base()) }.register(&email).await.assert_status(201);
        } else {
            registered.assert_status(201);
        }
        self.sign_in(&email, PASSWORD).await
    }
}

/// Somebody who has signed in.
pub struct SignedIn {
    browser: Browser,
    /// The e-mail address.
    pub email: String,
    /// The password at the time of the sign-in.
    pub password: String,
    /// The public id of the user.
    pub user_id: String,
    /// The public id of the session.
    pub session_id: String,
}

impl SignedIn {
    fn new(browser: Browser, email: &str, password: &str, answer: &Response) -> Self {
        let body = answer.json();
        let id = |of: &str| text(&body, &format!("/{of}/id"));
        let (user_id, session_id) = (id("user"), id("session"));
        Self { browser, email: email.to_owned(), password: password.to_owned(), user_id, session_id }
    }

    /// A user of an application, which has had this session issued: known by the subject, and without a password.
    pub fn issued(base: &str, subject: &str, session: &IssuedSession) -> Self {
        let browser = Browser::at(base);
        browser.set_cookie(COOKIE, &session.cookie);
        let (user_id, session_id) = (session.user_id.clone(), session.session_id.clone());
        Self { browser, email: subject.to_owned(), password: String::new(), user_id, session_id }
    }

    /// The same person on another device: a second session.
    pub async fn sign_in_again(&self) -> Self {
        Anonymous::at(self.browser.base()).sign_in(&self.email, &self.password).await
    }

    /// The same session, copied cookie and all, at the server with this base URL.
    pub fn copy_at(&self, base: &str) -> Self {
        Self {
            browser: self.browser.copy_at(base),
            email: self.email.clone(),
            password: self.password.clone(),
            user_id: self.user_id.clone(),
            session_id: self.session_id.clone(),
        }
    }

    /// The same person in another session, given its public id and its cookie.
    pub fn with_session(&self, base: &str, session_id: &str, cookie: &str) -> Self {
        let browser = Browser::at(base);
        browser.set_cookie(COOKIE, cookie);
        Self {
            browser,
            email: self.email.clone(),
            password: self.password.clone(),
            user_id: self.user_id.clone(),
            session_id: session_id.to_owned(),
        }
    }

    /// The session cookie's value; panics when there is none.
    pub fn cookie(&self) -> String {
        self.browser.cookie(COOKIE).expect("a session cookie")
    }

    /// The token inside of the cookie: what must appear nowhere else.
    pub fn token(&self) -> String {
        let cookie = self.cookie();
        let start = cookie.len().checked_sub(TOKEN_LENGTH).expect("a cookie holds a token");
        cookie.get(start..).expect("a cookie is ASCII").to_owned()
    }

    /// `GET /me`.
    pub async fn me(&self) -> Response {
        self.get("/me").await
    }

    /// True if the session is answered yes, false if it is answered 401; panics on anything else. `GET /me` is answered by
    /// SQL as well, and a gateway's question, after it, by the record alone: once SQL has said no, no record may say yes.
    pub async fn is_signed_in(&self) -> bool {
        let (by_ledger, by_record) = (self.me().await, self.get("/auth/forward").await);
        match (by_ledger.status, by_record.status) {
            (200, 200) => true,
            // It may have ended in between.
            (200 | 401, 401) => false,
            _ => panic!("neither yes nor no: the ledger says {by_ledger}, and then the record says {by_record}"),
        }
    }

    /// The sessions of `GET /sessions`; panics when refused.
    pub async fn sessions(&self) -> Vec<Value> {
        let answer = self.get("/sessions").await;
        answer.assert_status(200);
        let list = answer.json().get("sessions").and_then(Value::as_array).cloned();
        list.unwrap_or_else(|| panic!("no list of sessions: {answer}"))
    }

    /// `DELETE /sessions/{id}`.
    pub async fn end_session(&self, id: &str) -> Response {
        self.delete(&format!("/sessions/{id}")).await
    }

    /// `DELETE /sessions`: all others.
    pub async fn end_others(&self) -> Response {
        self.delete("/sessions").await
    }

    /// `DELETE /sessions?include_current=true`.
    pub async fn end_all(&self) -> Response {
        self.delete("/sessions?include_current=true").await
    }

    /// `POST /logout`.
    pub async fn sign_out(&self) -> Response {
        self.post("/logout").await
    }

    /// `PATCH /me`.
    pub async fn rename(&self, name: Option<&str>) -> Response {
        self.patch_json("/me", &json!({ "name": name })).await
    }

    /// `POST /reauthenticate`.
    pub async fn reauthenticate(&self, password: &str) -> Response {
        self.post_json("/reauthenticate", &json!({ "password": password })).await
    }

    /// `PUT /me/password`.
    pub async fn change_password(&self, current: &str, new: &str) -> Response {
        self.put_json("/me/password", &json!({ "current_password": current, "new_password": new })).await
    }
}

/// Somebody who has signed in and is an administrator.
pub struct Admin {
    person: SignedIn,
}

impl Admin {
    /// Makes one on the command line, on the stores of these settings, and signs in at `base`.
    pub async fn create(settings: &Settings, base: &str) -> Self {
        let email = new_email();
        let arguments = ["user", "add", email.as_str(), "--role", "admin"];
        command_line_ok(settings, &arguments, &format!("{PASSWORD}\n"));
        Self { person: Anonymous::at(base).sign_in(&email, PASSWORD).await }
    }

    /// What an administrator can do like everybody else.
    pub fn person(&self) -> &SignedIn {
        &self.person
    }

    /// `POST /admin/users/{id}/disable`.
    pub async fn disable(&self, user_id: &str) -> Response {
        self.post(&format!("/admin/users/{user_id}/disable")).await
    }

    /// `POST /admin/users/{id}/enable`.
    pub async fn enable(&self, user_id: &str) -> Response {
        self.post(&format!("/admin/users/{user_id}/enable")).await
    }
}

impl Requests for Anonymous {
    fn browser(&self) -> &Browser {
        &self.browser
    }
}

impl Requests for SignedIn {
    fn browser(&self) -> &Browser {
        &self.browser
    }
}

impl Requests for Admin {
    fn browser(&self) -> &Browser {
        self.person.browser()
    }
}

fn text(body: &Value, pointer: &str) -> String {
    let found = body.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer}: {body}")).to_owned()
}
