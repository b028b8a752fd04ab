//! Requests: what a browser would send, and what came back.
//!
//! Owns the cookies of one browser, because the client library would not send a `Secure` cookie over plain
//! HTTP, as browsers do to localhost. Must never follow a redirect or repeat a request.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde_json::Value;

use super::ports::random;

const PATIENCE: Duration = Duration::from_secs(30);

/// One browser (or program) with its cookies.
pub struct Browser {
    http: reqwest::Client,
    base: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    /// A new one without cookies, for the server at `base`.
    pub fn at(base: &str) -> Self {
        Self::from(base, None)
    }

    /// The same at another address of this machine.
    pub fn elsewhere(base: &str) -> Self {
        let [a, b, ..] = random().to_be_bytes();
        Self::from(base, Some(IpAddr::from([127, 77, a, b])))
    }

    fn from(base: &str, address: Option<IpAddr>) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
        let http = http.local_address(address).build().expect("a client");
        Self { http, base: base.to_owned(), cookies: Mutex::default() }
    }

    /// The same cookies in another browser, perhaps at another node: what a thief of the cookie would have.
    pub fn copy_at(&self, base: &str) -> Self {
        let copy = Self::at(base);
        copy.cookies.lock().clone_from(&self.cookies.lock());
        copy
    }

    /// Where requests go.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().get(name).cloned()
    }

    /// Sets a cookie by hand.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().insert(name.to_owned(), value.to_owned());
    }

    /// The `Cookie` header that is sent now.
    pub fn cookie_header(&self) -> Option<String> {
        let pairs: Vec<String> = self.cookies.lock().iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn record(&self, set_cookie: &str) {
        let (pair, attributes) = set_cookie.split_once(';').unwrap_or((set_cookie, ""));
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let attributes = attributes.to_ascii_lowercase();
        if attributes.contains("max-age=0") || attributes.contains("expires=thu, 01 jan 1970") {
            self.cookies.lock().remove(name.trim());
        } else {
            self.set_cookie(name.trim(), value.trim());
        }
    }
}

/// One request that is being put together. Cookies go along; nothing else does unless it is asked for.
pub struct Call<'a> {
    browser: &'a Browser,
    request: RequestBuilder,
}

impl Call<'_> {
    /// One more header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.header_of_bytes(name, value.as_bytes())
    }

    /// One more header, of bytes that need not be text.
    pub fn header_of_bytes(self, name: &str, value: &[u8]) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// A body in JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    /// Any body of any type.
    pub fn body(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.header("Content-Type", content_type).body(body), ..self }
    }

    /// Sends it; panics when there is no answer.
    pub async fn send(self) -> Response {
        self.try_send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends it; no answer is an error. Cookies that the answer sets are kept. Of a stream of events only what comes
    /// first is read: it has no end to wait for.
    pub async fn try_send(self) -> Result<Response, reqwest::Error> {
        let request = match self.browser.cookie_header() {
            Some(cookies) => self.request.header(COOKIE, cookies),
            None => self.request,
        };
        let mut answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = match headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
            true => answer.chunk().await?.unwrap_or_default(),
            false => answer.bytes().await?,
        };
        let response = Response { status, headers, body: body.to_vec() };
        response.set_cookies().iter().for_each(|cookie| self.browser.record(cookie));
        Ok(response)
    }
}

/// What every rank can do.
pub trait Requests {
    /// The browser that it sits at.
    fn browser(&self) -> &Browser;

    /// A bare request with the cookies and nothing else.
    fn call(&self, method: Method, path: &str) -> Call<'_> {
        let browser = self.browser();
        Call { browser, request: browser.http.request(method, format!("{}{path}", browser.base)) }
    }

    /// `GET`.
    async fn get(&self, path: &str) -> Response {
        self.call(Method::GET, path).send().await
    }

    /// `POST` without a body.
    async fn post(&self, path: &str) -> Response {
        self.change(Method::POST, path).send().await
    }

    /// `POST` with a body in JSON.
    async fn post_json(&self, path: &str, body: &Value) -> Response {
        self.change(Method::POST, path).json(body).send().await
    }

    /// `PUT` with a body in JSON.
    async fn put_json(&self, path: &str, body: &Value) -> Response {
        self.change(Method::PUT, path).json(body).send().await
    }

    /// `PATCH` with a body in JSON.
    async fn patch_json(&self, path: &str, body: &Value) -> Response {
        self.change(Method::PATCH, path).json(body).send().await
    }

    /// `DELETE`.
    async fn delete(&self, path: &str) -> Response {
        self.change(Method::DELETE, path).send().await
    }

    /// A request that changes something, with the header that tells it from a forged one.
    fn change(&self, method: Method, path: &str) -> Call<'_> {
        self.call(method, path).header("X-Requested-With", "sessiond-tests")
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// A header, if there is exactly one of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        values.next().is_none().then(|| first.to_str().ok())?
    }

    /// All `Set-Cookie` headers.
    pub fn set_cookies(&self) -> Vec<String> {
        let headers = self.headers.get_all(SET_COOKIE).iter();
        headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// The slug of an RFC 9457 problem: the last part of its `type`; panics when it is no problem.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "no problem: {self}");
        let kind = self.json().get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        kind.rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// Panics unless it has this status; gives itself back.
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Panics unless it is this problem with this status; gives itself back.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, slug: &str) -> &Self {
        assert_eq!((self.status, self.problem().as_str()), (status, slug), "{self}");
        let told = self.json().get("status").and_then(Value::as_u64);
        assert_eq!(told, Some(u64::from(status)), "the body tells another status: {self}");
        self
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        write!(f, "\n{}", self.text())
    }
}
