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

/// Whether a query has a `next`, wherever it leads.
pub fn has_next(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "next")
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
mod tests {
    use proptest::prelude::{ProptestConfig, Strategy, prop};
    use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    fn destinations() -> Destinations {
        Destinations {
            origins: vec!["https://app.example.org".to_owned(), "http://localhost:8080".to_owned()],
            shares_cookie: false,
            public_url: "https://app.example.org/auth".to_owned(),
            base_path: "/auth".to_owned(),
            has_complained: Arc::default(),
        }
    }

    fn location(text: &str) -> Option<String> {
        destinations().judge(text).map(|next| next.location)
    }

    #[test]
    fn v3_7_2_what_may_be_followed_is_written_anew() {
        for (text, expected) in [
            ("/", "/"),
            ("/account", "/account"),
            ("/deep/page?x=1&y=%2F%2Fz#part", "/deep/page?x=1&y=%2F%2Fz#part"),
            ("/a/../b/./c", "/b/c"),
            ("/a//b", "/a//b"),
            ("/a?to=https://evil.example", "/a?to=https://evil.example"),
            ("/a@evil.example", "/a@evil.example"),
            ("/é/ç", "/%C3%A9/%C3%A7"),
            ("/%0d%0aSet-Cookie:x", "/%0d%0aSet-Cookie:x"),
            ("/%5cevil.example", "/%5cevil.example"),
            ("/list?ids=1,2", "/list?ids=1,2"),
            ("/a b?c d#e f", "/a%20b?c%20d#e%20f"),
            ("/a?b=\\c#\\", "/a?b=\\c#\\"),
            ("/\u{2028}\u{a0}x\u{fffd}", "/%E2%80%A8%C2%A0x%EF%BF%BD"),
            ("HTTPS://app.example.org//x", "https://app.example.org//x"),
            ("https://app.example.org:/x", "https://app.example.org/x"),
            ("https://app.example.org", "https://app.example.org/"),
            ("https://app.example.org:443/x?y#z", "https://app.example.org/x?y#z"),
            ("https://APP.Example.org/x", "https://app.example.org/x"),
            ("https://app.example.org/../x", "https://app.example.org/x"),
            ("https://app.example.org?x", "https://app.example.org/?x"),
            ("http://localhost:8080/x", "http://localhost:8080/x"),
        ] {
            assert_eq!(location(text).as_deref(), Some(expected), "{text}");
        }
    }

    /// What parsers disagree about, what only looks like an origin of ours, and what leads nowhere at all.
    const NOWHERE: &[&str] = &[
        "",
        "account",
        "./account",
        "?x",
        "#x",
        ":",
        "http:",
        "https://",
        "//",
        "//evil.example",
        "///evil.example",
        "//app.example.org/x",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/x\\..\\y",
        "/.//evil.example",
        "/..//evil.example",
        "/a/..//evil.example",
        "/%2e//evil.example",
        "/./%2e%2E//evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\nLocation: https://evil.example",
        " /x",
        "/x ",
        "\u{a0}/x",
        "\0/x",
        "/\u{7f}",
        "/\u{85}",
        "\u{feff}/x",
        "https:/app.example.org/x",
        "https:app.example.org/x",
        "https:///app.example.org/x",
        "https://evil.example",
        "https://app.example.org.evil.example/",
        "https://app.example.orgevil.example",
        "https://evil.example/app.example.org",
        "https://evil.example?https://app.example.org",
        "https://evil.example#https://app.example.org",
        "https://app.example.org@evil.example/",
        "https://app.example.org:x@evil.example/",
        "https://user@app.example.org/",
        "https://:pass@app.example.org/",
        "https://@app.example.org/",
        "https://app.example.org\\@evil.example/",
        "https://evil.example\\.app.example.org/",
        "https://app.example.org./",
        "https://app.example.org:8443/",
        "http://app.example.org/",
        "http://localhost/",
        "http://localhost:8081/",
        "http://127.0.0.1:8080/",
        "https://localhost:8080/",
        "ws://app.example.org/",
        "ftp://app.example.org/",
        "javascript:alert(1)",
        "javascript://app.example.org/%0aalert(1)",
        "data:text/html,x",
        "blob:https://app.example.org/x",
        "view-source:https://app.example.org/",
        "https://app%2eexample.org%2f@evil.example",
        "https://app.example.org%00.evil.example/",
        "https://[::1]/",
    ];

    #[test]
    fn v3_7_2_nothing_else_leads_anywhere() {
        for text in NOWHERE {
            assert_eq!(location(text), None, "{text:?}");
        }
        assert!(location(&format!("/{}", "a".repeat(LONGEST - "next=%2F".len()))).is_some());
        assert_eq!(location(&format!("/{}", "a".repeat(LONGEST - "next=%2F".len() + 1))), None);
    }

    #[test]
    fn one_next_is_read_out_of_a_query_and_comes_out_as_it_went_in() {
        let read = |query: &str| destinations().in_query(query).map(|next| next.location);
        assert_eq!(read("next=/a").as_deref(), Some("/a"));
        assert_eq!(read("x=1&next=%2Fa%3Fb%3D1%26c%3D2%2B3%23d&y").as_deref(), Some("/a?b=1&c=2+3#d"));
        for query in [
            "",
            "next",
            "next=",
            "next=/a&next=/a",
            "next=/a&next=//evil.example",
            "Next=/a",
            "next=%FF",
            "next=%00/a",
            "next=+/a",
        ] {
            assert_eq!(read(query), None, "{query}");
        }
        for text in ["/a?b=1&c=2+3%20#d", "https://app.example.org/x?next=%2Fy&a=%26", "/%C3%A9?=&&"] {
            let next = destinations().judge(text).unwrap();
            assert_eq!(destinations().in_query(&next.query()), Some(next), "{text}");
        }
    }

    #[test]
    fn people_are_sent_to_sign_in_where_the_cookie_comes_back_from() {
        let bounce = |destinations: &Destinations, text: &str| destinations.way_in(destinations.judge(text).as_ref());
        let alone = destinations();
        assert_eq!(
            bounce(&alone, "https://app.example.org/x?y=1"),
            "https://app.example.org/auth/bounce?next=https%3A%2F%2Fapp.example.org%2Fx%3Fy%3D1"
        );
        assert!(bounce(&alone, "http://localhost:8080/x").starts_with("http://localhost:8080/auth/bounce?next="));
        assert_eq!(bounce(&alone, "https://evil.example/"), "https://app.example.org/auth/");
        let shared = Destinations { shares_cookie: true, ..destinations() };
        assert!(bounce(&shared, "http://localhost:8080/x").starts_with("https://app.example.org/auth/bounce?next="));

        let page = alone.judge("http://localhost:8080/x").unwrap();
        for (host, reaches) in [(Some("localhost"), true), (Some("app.example.org"), false), (None, false)] {
            assert_eq!(alone.cookie_reaches(&page, host), reaches, "{host:?}");
        }
        assert!(shared.cookie_reaches(&page, None) && alone.cookie_reaches(&alone.judge("/x").unwrap(), None));
    }

    /// Texts out of what parsers disagree about, most of them of the kind that looks like a path or an origin of ours.
    fn hostile() -> impl Strategy<Value = String> {
        let first = prop::sample::select(vec![
            "/",
            "/.",
            "/a/..",
            "https://app.example.org",
            "http://localhost:8080",
            "https:",
            "",
        ]);
        let often = ["/", "//", "\\", ".", "..", "%2e", "@", ":", "evil.example"];
        let seldom = [
            "/\\",
            "%2f",
            "%5c",
            "?",
            "#",
            ";",
            "&",
            "\t",
            "\n",
            " ",
            "\0",
            "http://",
            "https://",
            "app.example.org",
            "javascript:",
            "next=",
            "é",
            "\u{2f}\u{338}",
            "\u{ff0f}",
            "\u{3002}",
            "%00",
            "%0d%0a",
            "[::1]",
            "a",
            "x:y@",
            "0x7f.1",
        ];
        let part = prop_oneof![3 => prop::sample::select(often.to_vec()), 1 => prop::sample::select(seldom.to_vec())];
        (first, prop::collection::vec(part, 0..6)).prop_map(|(first, rest)| format!("{first}{}", rest.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// As a browser at either origin, below either path, would follow it.
        #[test]
        fn v3_7_2_whatever_is_let_through_stays_at_the_configured_origins(text in hostile()) {
            if let Some(next) = destinations().judge(&text) {
                prop_assert!(next.location.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", next);
                prop_assert!(!next.location.contains('\\') || next.location.contains(['?', '#']), "{:?}", next);
                for at in ["https://app.example.org/auth/continue?next=x", "http://localhost:8080/continue", "https://third.example/continue"] {
                    let at = Url::parse(at).unwrap();
                    let to = at.join(&next.location).unwrap();
                    let origin = to.origin().ascii_serialization();
                    prop_assert!(to.origin() == at.origin() || destinations().origins.contains(&origin), "{:?} leads to {}", text, to);
                    prop_assert!(to.username().is_empty() && to.password().is_none(), "{}", to);
                }
            }
        }

        /// Whatever a URL may contain (RFC 3986 and the WHATWG's URL code points) passes, and leads a browser where it says.
        #[test]
        fn v3_7_2_every_page_of_a_configured_origin_can_be_gone_on_to(
            origin in prop::sample::select(vec!["https://app.example.org", "http://localhost:8080"]),
            page in "(/([-A-Za-z0-9._~!$&'()*+,;=:@\u{a0}-\u{d7ff}\u{10000}-\u{1fffd}]|%[0-9A-Fa-f]{2}){0,12}){1,4}",
            query in "(\\?([-A-Za-z0-9._~!$&'()*+,;=:@/?|\\[\\]{}^`\"<>\\\\ \u{e9}]|%[0-9A-Fa-f]{2}){0,20}[a-z])?",
        ) {
            let text = format!("{origin}{page}{query}");
            let next = destinations().judge(&text);
            let expected = Url::parse(&text).unwrap();
            prop_assert_eq!(next.as_ref().map(Next::location), Some(expected.as_str()), "{}", text);
            let path = format!("{page}{query}");
            let browser = Url::parse(origin).unwrap().join(&path);
            let stays = browser.as_ref().is_ok_and(|to| to.origin() == expected.origin() && !to.path().starts_with("//"));
            prop_assert_eq!(destinations().judge(&path).is_some(), stays, "{} leads to {:?}", path, browser);
        }

        #[test]
        fn any_text_at_all_is_judged_without_harm(text in ".{0,60}") {
            if let Some(next) = destinations().judge(&text) {
                prop_assert!(next.location.starts_with('/') || next.location.starts_with("http"));
            }
        }
    }
}
