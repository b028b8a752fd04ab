//! What several files here need: the routes as the server describes them, and what is stored as one text.
//!
//! Owns nothing that is about one test. Must never hide an assertion that a test's name promises.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::support::client::{COOKIE, SignedIn};
use crate::support::database::Database;
use crate::support::raw::{RawResponse, raw};
use crate::support::requests::{Browser, Requests, Response};
use crate::support::server::TestServer;

/// An id that is well formed and nobody's.
pub const NOBODY: &str = "01937c5e-7b1a-7c3d-8e4f-001122334455";

/// One line of the interface's table.
#[derive(Clone, Debug)]
pub struct Operation {
    /// `POST`.
    pub method: Method,
    /// `/sessions/{id}`.
    pub template: String,
    /// Whether it takes a body.
    pub has_body: bool,
}

impl Operation {
    /// The path with [`NOBODY`] for every id, and a page.
    pub fn path(&self) -> String {
        self.template.replace("{id}", NOBODY).replace("{page}", "a/page")
    }

    /// Whether a browser may change anything with it.
    pub fn mutates(&self) -> bool {
        self.method != Method::GET && !self.is_for_services()
    }

    /// Whether only a service may call it, with a secret.
    pub fn is_for_services(&self) -> bool {
        ["/issue", "/introspect"].contains(&self.template.as_str()) || self.template.starts_with("/subjects/")
    }
}

/// Every operation of `/openapi.json`.
pub async fn operations(server: &TestServer) -> Vec<Operation> {
    let document = server.anonymous().get("/openapi.json").await.json();
    let paths = document.get("paths").and_then(Value::as_object).expect("paths");
    let mut found = Vec::new();
    for (template, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            found.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                template: template.clone(),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    assert!(found.len() >= 16, "the document shows only {}", found.len());
    found
}

/// What matters of everything that is stored; equal before and after means that nothing was changed. Last-seen times
/// may move at any time and are left out.
pub fn fingerprint(database: &Database) -> String {
    let mut rows: Vec<String> = [
        "SELECT 'user ' || id || ' ' || email || ' ' || coalesce(name, '-') || ' ' || password_hash || ' ' || roles \
         || ' ' || CAST(epoch AS TEXT) || ' ' || coalesce(CAST(disabled_at AS TEXT), '-') AS value FROM users",
        "SELECT 'session ' || id || ' ' || user_id || ' ' || coalesce(data, '-') || ' ' \
         || coalesce(end_reason, 'live') AS value FROM sessions",
        // What was refused is written there; it changes nothing.
        "SELECT 'audit ' || id || ' ' || event AS value FROM audit WHERE event NOT LIKE '%\\_fail%' ESCAPE '\\'",
        "SELECT 'reset ' || user_id || ' ' || coalesce(CAST(used_at AS TEXT), '-') AS value FROM password_resets",
        "SELECT 'unconfirmed ' || session_id AS value FROM pending_invalidations",
    ]
    .iter()
    .flat_map(|sql| database.values(sql))
    .flatten()
    .collect();
    rows.sort();
    rows.join("\n")
}

/// A browser with this session cookie and nothing else.
pub fn browser_with(server: &TestServer, cookie: &str) -> Holder {
    let browser = Browser::at(&server.url());
    browser.set_cookie(COOKIE, cookie);
    Holder(browser)
}

/// Whoever sits at this browser.
pub fn holder(browser: Browser) -> Holder {
    Holder(browser)
}

/// Whoever has a cookie, rightly or not.
pub struct Holder(Browser);

impl Requests for Holder {
    fn browser(&self) -> &Browser {
        &self.0
    }
}

/// `METHOD path` with exactly these header lines besides `Host` and `Connection: close`, and a body.
pub async fn send(server: &TestServer, method: &str, path: &str, lines: &[&str], body: &[u8]) -> RawResponse {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    raw(&server.url(), &[request.as_bytes(), body].concat()).await
}

/// The `Cookie` line of somebody's session.
pub fn cookie_line(who: &SignedIn) -> String {
    format!("Cookie: {COOKIE}={}", who.cookie())
}

/// The one `Set-Cookie` line of an answer, other than the device's.
pub fn only_cookie(answer: &Response) -> String {
    let mut cookies = answer.set_cookies();
    cookies.retain(|line| !line.starts_with("__Host-device="));
    assert_eq!(cookies.len(), 1, "one cookie: {answer}");
    cookies.into_iter().next().unwrap_or_default()
}

/// The answer without what differs between two answers to one question: the request's id, the date, and whether the
/// connection goes on (it does when the request's body had arrived by then).
pub fn without_ids(answer: &Response) -> String {
    let mut lines: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date", "connection"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    let id = answer.header("x-request-id").expect("a request id");
    format!("{}\n{}\n\n{}", answer.status, lines.join("\n"), answer.text().replace(id, "ID"))
}

/// The slug of a problem in a raw answer.
pub fn problem_of(answer: &RawResponse) -> Option<String> {
    if answer.header("content-type") != ["application/problem+json"] {
        return None;
    }
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    Some(body.get("type")?.as_str()?.rsplit(':').next()?.to_owned())
}

/// Milliseconds in a column of a session's row.
pub fn column(server: &TestServer, name: &str, who: &SignedIn) -> i64 {
    let sql = format!("SELECT CAST({name} AS TEXT) AS value FROM sessions WHERE id = '{}'", who.session_id);
    server.stores.database.value(&sql).parse().expect("a number")
}

/// Moves the clock so that it shows this moment, give or take what passes meanwhile.
pub fn set_clock(server: &TestServer, ms: i64) {
    let now = server.node().app().core.clock().now().ms();
    let by = Duration::from_millis(now.abs_diff(ms));
    if ms >= now { server.clock.advance(by) } else { server.clock.rewind(by) }
}
