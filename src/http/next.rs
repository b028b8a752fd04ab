//! Where somebody may be sent when they are signed in: a path of this origin, or a page of a configured one.
//!
//! The only judge of `next`. What it lets through is written anew from what it has read, so that no browser can read
//! something else there. Must never guess what was meant: whatever is in doubt leads nowhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use url::{Position, Url, form_urlencoded};

use crate::config::Config;

/// Longest query with a `next`, in bytes: the addresses that have it must fit into the 8 KiB that nginx reads of one line.
const LONGEST: usize = 7_000;

/// Stands for this origin, whatever its name is; reserved, so that it is nobody's (RFC 2606).
const HERE: &str = "http://here.invalid";

/// A place that somebody may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    location: String,
    page_of: Option<PageOf>,
}

/// Whose page it is, when its address says so.
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

    /// As the query of an address of ours.
    pub fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).append_pair("next", &self.location).finish()
    }
}

/// The pages that people may be sent to.
#[derive(Clone, Debug)]
pub struct Destinations {
    origins: Vec<String>,
    shares_cookie: bool,
    public_url: String,
    base_path: String,
    /// Once is enough: who asks chooses how often.
    has_complained: Arc<AtomicBool>,
}

impl Destinations {
    /// Those of the configured origins.
    pub fn new(config: &Config) -> Self {
        Self {
            origins: config.origins.iter().map(ToString::to_string).collect(),
            shares_cookie: config.cookie_domain.is_some(),
            public_url: config.public_url(),
            base_path: config.base_path.clone(),
            has_complained: Arc::default(),
        }
    }

    /// The `next` of a query, if there is exactly one and it may be followed.
    pub fn in_query(&self, query: &str) -> Option<Next> {
        if query.is_empty() {
            return None;
        }
        let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "next");
        let (first, second) = (found.next(), found.next());
        first.filter(|_| second.is_none()).and_then(|(_, text)| self.judge(&text))
    }

    /// The place that this text names, if people may be sent there.
    pub fn judge(&self, text: &str) -> Option<Next> {
        // Parsers take control characters and blanks at the ends away, and read a backslash in a path as a slash.
        let path = text.split(['?', '#']).next().unwrap_or_default();
        if text.contains(char::is_control) || text.trim_matches(' ') != text || path.contains('\\') {
            return None;
        }
        let next = if text.starts_with('/') { own_path(text) } else { self.page(text) };
        next.filter(|next| next.query().len() <= LONGEST)
    }

    /// The same for a page that a trusted gateway asks about. The log names the setting where that is why nobody comes back.
    pub fn judge_asked(&self, page: &str) -> Option<Next> {
        let next = self.judge(page);
        let origin = || Url::parse(page).ok().map(|url| url.origin().ascii_serialization());
        if next.is_none()
            && let Some(origin) = origin().filter(|origin| !self.origins.contains(origin))
            && !self.has_complained.swap(true, Ordering::Relaxed)
        {
            log::warn!(
                "A gateway asks about a page of {origin:.100?}, which is not in SESSIOND_ORIGIN: people who sign in do not get back to it."
            );
        }
        next
    }

    /// An absolute address, without a name or a password in it.
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

    /// Whether the session cookie of whoever opened sessiond at `host` goes along to that page. Where it does not, nobody
    /// is sent there without having said so: that page would send them back, and so on.
    pub fn cookie_reaches(&self, next: &Next, host: Option<&str>) -> bool {
        next.page_of.as_ref().is_none_or(|page| self.shares_cookie || host == Some(&page.host))
    }

    /// Where whoever asked for this page without a session is sent: to sessiond at its first origin, if its cookie goes
    /// along to the page; else to the page's own origin, which has sessiond at the same path. Where nobody may be sent on to
    /// the page, only to sign in.
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

/// Whether a query has this parameter, whatever its value is.
pub fn has_parameter(query: &str, name: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(found, _)| found == name)
}

/// The path of a page's address or of a path with a query, as a browser compares it with that of a cookie.
pub fn path_of(page: &str) -> &str {
    let from_path = match page.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => page,
    };
    from_path.split(['?', '#']).next().unwrap_or("/")
}

/// The host of a `Host` header, as addresses spell it, without its port.
pub fn host_of(authority: &str) -> Option<String> {
    Url::parse(&format!("http://{authority}")).ok()?.host_str().map(ToOwned::to_owned)
}

/// A path of this origin: it begins with one slash, and with no more when its dots are taken out.
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
