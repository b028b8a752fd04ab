//! A browser, as far as the tests need one: it keeps the session cookie, which a real one shows over https alone.
//!
//! Owns the cookie. Must never look into it.

use std::error::Error;

use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Client, Method};

/// What came back.
pub struct Answer {
    pub status: u16,
    pub text: String,
    headers: HeaderMap,
}

impl Answer {
    /// The line that sets or removes the session cookie, if there is one.
    pub fn set_cookie(&self) -> Option<&str> {
        self.headers.get(SET_COOKIE)?.to_str().ok()
    }
}

/// One browser.
pub struct Browser {
    client: Client,
    url: String,
    cookie: Option<String>,
}

impl Browser {
    /// A browser without a cookie.
    pub fn at(url: &str) -> Self {
        Self { client: Client::new(), url: url.to_owned(), cookie: None }
    }

    /// Another browser with the same cookie: stolen, if one likes.
    pub fn copy(&self) -> Self {
        Self { client: self.client.clone(), url: self.url.clone(), cookie: self.cookie.clone() }
    }

    /// Whether it has a session cookie.
    pub fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// Opens a page.
    pub async fn get(&mut self, path: &str) -> Result<Answer, Box<dyn Error>> {
        self.send(Method::GET, path, None).await
    }

    /// Sends a form of the application's own page, or of another site's.
    pub async fn post(&mut self, path: &str, origin: &str) -> Result<Answer, Box<dyn Error>> {
        self.send(Method::POST, path, Some(origin)).await
    }

    /// Keeps its cookie from what the application answers.
    async fn send(&mut self, method: Method, path: &str, origin: Option<&str>) -> Result<Answer, Box<dyn Error>> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in [("Origin", origin), ("Cookie", self.cookie.as_deref())] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let answer = Answer { status, text: answer.text().await?, headers };
        if let Some((cookie, attributes)) = answer.set_cookie().and_then(|line| line.split_once("; ")) {
            self.cookie = Some(cookie.to_owned()).filter(|_| !attributes.contains("Max-Age=0"));
        }
        Ok(answer)
    }
}
