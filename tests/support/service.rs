//! A service: an application with users of its own, which has their sessions here.
//!
//! Owns its secret, made at the command line, and its requests, as its server would send them.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Anonymous, COOKIE};
use super::process::command_line_ok;
use super::requests::{Browser, Call, Requests, Response};
use super::settings::Settings;

/// One service at one node.
pub struct Service {
    browser: Browser,
    /// What it shows.
    pub secret: String,
}

impl Requests for Service {
    fn browser(&self) -> &Browser {
        &self.browser
    }
}

/// A session that was issued to a service.
pub struct IssuedSession {
    /// The user's id here.
    pub user_id: String,
    /// The session's id.
    pub session_id: String,
    /// The cookie's value.
    pub cookie: String,
}

impl Service {
    /// Adds one with these scopes.
    pub fn add(settings: &Settings, base: &str, name: &str, scopes: &str) -> Self {
        let printed = command_line_ok(settings, &["service", "add", name, "--scope", scopes], "");
        Self::with(base, printed.trim())
    }

    /// One that shows this secret.
    pub fn with(base: &str, secret: &str) -> Self {
        Self { browser: Browser::at(base), secret: secret.to_owned() }
    }

    /// A request with its secret.
    pub fn ask(&self, method: Method, path: &str) -> Call<'_> {
        self.call(method, path).header("Authorization", &format!("Bearer {}", self.secret))
    }

    /// `POST /issue`.
    pub async fn issue(&self, body: &Value) -> Response {
        self.ask(Method::POST, "/issue").json(body).send().await
    }

    /// A session of this subject; panics when there is none.
    pub async fn session_of(&self, subject: &str) -> IssuedSession {
        IssuedSession::of(&self.issue(&user(subject)).await)
    }

    /// `POST /introspect` of a cookie's value.
    pub async fn introspect(&self, cookie: &str, more: &str) -> Response {
        self.ask(Method::POST, "/introspect").body(FORM, format!("{}{more}", token(cookie))).send().await
    }
}

/// The media type of what `/introspect` takes.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The field of a form with a cookie's value.
pub fn token(cookie: &str) -> String {
    let escaped = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    format!("token={}", cookie.bytes().map(escaped).collect::<String>())
}

/// A body of `/issue`.
pub fn user(subject: &str) -> Value {
    json!({ "subject": subject, "ip": "192.0.2.7", "user_agent": "curl/8.5.0" })
}

impl IssuedSession {
    /// That of an answer; panics when it is none.
    pub fn of(answer: &Response) -> Self {
        let body = answer.assert_status(201).json();
        let text =
            |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{at}: {body}")).to_owned();
        assert_eq!(text("/cookie/name"), COOKIE);
        Self { user_id: text("/user/id"), session_id: text("/session/id"), cookie: text("/cookie/value") }
    }

    /// The user's browser at the server with this base URL.
    pub fn at(&self, base: &str) -> Anonymous {
        let browser = Anonymous::at(base);
        browser.browser().set_cookie(COOKIE, &self.cookie);
        browser
    }

    /// Whether it opens anything there.
    pub async fn status(&self, base: &str) -> u16 {
        self.at(base).get("/auth/forward").await.status
    }
}
