//! Where a signed-in user may be redirected: a path of this origin, or a page of a configured one.
//!
//! The only judge of `next`. It rebuilds an allowed target from its parsed form, so that no browser can read the target
//! differently. Must never guess the intent: a doubtful target leads nowhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use url::{Position, Url, form_urlencoded};

use crate::config::Config;

/// Longest query with a `next`, in bytes: addresses that contain it must fit into the 8 KiB that nginx reads of a line.
const LONGEST: usize = 7_000;

/// Stands for this origin under any name; the name is reserved, so no host has it (RFC 2606).
const HERE: &str = "http://here.invalid";

/// An allowed redirect target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    location: String,
    page_of: Option<PageOf>,
}

/// The page's origin and host, if its address names them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PageOf {
    origin: String,
    host: String,
}

impl Next {
    /// As a `Location`: ASCII without white space, relative to this origin or absolute.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// As the query of one of our own addresses.
    pub fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).append_pair("next", &self.location).finish()
    }
}

/// The allowed redirect targets.
#[derive(Clone, Debug)]
pub struct Destinations {
    origins: Vec<String>,
    shares_cookie: bool,
    public_url: String,
    base_path: String,
    /// Warn only once: the client controls how often it asks.
    has_complained: Arc<AtomicBool>,
}

impl Destinations {
    /// The pages of the configured origins.
    pub fn new(config: &Config) -> Self {
        Self {
            origins: config.origins.iter().map(ToString::to_string).collect(),
            shares_cookie: config.cookie_domain.is_some(),
            public_url: config.public_url(),
            base_path: config.base_path.clone(),
            has_complained: Arc::default(),
        }
    }

    /// The `next` of a query, if there is exactly one and it is allowed.
    pub fn in_query(&self, query: &str) -> Option<Next> {
        if query.is_empty() {
            return None;
        }
        let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "next");
        let (first, second) = (found.next(), found.next());
        first.filter(|_| second.is_none()).and_then(|(_, text)| self.judge(&text))
    }

    /// The target that this text names, if it is allowed.
    pub fn judge(&self, text: &str) -> Option<Next> {
        // Parsers strip control characters and blanks at the ends, and read a backslash in a path as a slash.
        let path = text.split(['?', '#']).next().unwrap_or_default();
        if text.contains(char::is_control) || text.trim_matches(' ') != text || path.contains('\\') {
            return None;
        }
        let next = if text.starts_with('/') { own_path(text) } else { self.page(text) };
        next.filter(|next| next.query().len() <= LONGEST)
    }

    /// The same for a page that a trusted gateway asks about. Warns which setting to change if the page's origin is
    /// missing.
    pub fn judge_asked(&self, page: &str) -> Option<Next> {
        let next = self.judge(page);
        let origin = || Url::parse(page).ok().map(|url| url.origin().ascii_serialization());
        if next.is_none()
            && let Some(origin) = origin().filter(|origin| !self.origins.contains(origin))
            && !self.has_complained.swap(true, Ordering::Relaxed)
        {
            log::warn!(
                "a gateway asked about a page of {origin:.100?}, which SESSIOND_ORIGIN does not list: users do not \
                    return to it after signing in"
            );
        }
        next
    }

    /// An absolute address without a user name or a password in it.
    fn page(&self, text: &str) -> Option<Next> {
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
        let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
        if !is_web || authority.contains('@') {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let origin = url.origin().ascii_serialization();
        let host = url.host_str()?.to_owned();
        self.origins.contains(&origin).then(|| Next { location: url.into(), page_of: Some(PageOf { origin, host }) })
    }

    /// Whether a browser that opened sessiond at `host` sends the session cookie to that page. If not, the redirect
    /// needs the user's own click: the page would send the user straight back, in a loop.
    pub fn cookie_reaches(&self, next: &Next, host: Option<&str>) -> bool {
        next.page_of.as_ref().is_none_or(|page| self.shares_cookie || host == Some(&page.host))
    }

    /// Where to send a request for this page without a session: to sessiond at its first origin, if its cookie reaches
    /// the page; else to the page's own origin, which has sessiond at the same path. Without an allowed target, only to
    /// sign in.
    pub fn way_in(&self, next: Option<&Next>) -> String {
        let Some(next) = next else { return format!("{}/", self.public_url) };
        let first = Url::parse(&self.public_url).ok();
        let first_host = first.as_ref().and_then(Url::host_str);
        let query = next.query();
        match &next.page_of {
            Some(page) if !self.cookie_reaches(next, first_host) => {
                format!("{}{}/bounce?{query}", page.origin, self.base_path)
            }
            _ => format!("{}/bounce?{query}", self.public_url),
        }
    }
}

/// Whether a query has this parameter, with any value.
pub fn has_parameter(query: &str, name: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(found, _)| found == name)
}

/// The path of a page's address, or of a path with a query, as a browser compares it with a cookie's path.
pub fn path_of(page: &str) -> &str {
    let from_path = match page.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => page,
    };
    from_path.split(['?', '#']).next().unwrap_or("/")
}

/// The host of a `Host` header without its port, as addresses spell it.
pub fn host_of(authority: &str) -> Option<String> {
    Url::parse(&format!("http://{authority}")).ok()?.host_str().map(ToOwned::to_owned)
}

/// A path of this origin: it begins with one slash, and still with one after its dot segments are resolved.
fn own_path(text: &str) -> Option<Next> {
    if text.starts_with("//") {
        return None;
    }
    let here = Url::parse(HERE).ok()?;
    let url = here.join(text).ok().filter(|url| url.origin() == here.origin())?;
    let location = url.as_str().get(url[..Position::BeforePath].len()..)?.to_owned();
    (!location.starts_with("//")).then_some(Next { location, page_of: None })
}

#[cfg(test)]
mod tests;
