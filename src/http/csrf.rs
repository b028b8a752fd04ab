//! Cross-site request forgery: whether another site's page may have made a changing request in the user's browser.
//!
//! Complements the cookie's SameSite=Strict, which still counts every port and sibling host as the same site. Owns
//! the rule. Must never look at Host or X-Forwarded headers, which the client chooses.

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, TRANSFER_ENCODING};

use super::media_type::is_media_type;
use crate::config::Config;

/// Most characters of an origin that are shown; few host names have a hundred.
const LONGEST: usize = 120;

/// The check against forged requests: the origins whose pages may make changes here.
///
/// [`SessionLayer`](super::SessionLayer) does not judge where a request comes from, so an application must: it refuses a
/// request that [`Origins::allow`] does not allow. sessiond's own routes use the same check. A client that is no browser
/// sends a JSON body, or no body and the header `X-Requested-With`.
///
/// ```
/// use actix_web::test::TestRequest;
/// use sessiond::{Config, Origins};
///
/// let config = Config::from_pairs([("SESSIOND_ORIGIN", "https://shop.example.org")])?;
/// let origins = Origins::new(&config);
/// for (origin, allowed) in [("https://shop.example.org", true), ("https://evil.example", false)] {
///     let request = TestRequest::post().insert_header(("Origin", origin)).to_http_request();
///     assert_eq!(origins.allow(request.method(), request.headers()), allowed);
/// }
/// # Ok::<(), sessiond::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Origins(Vec<String>);

impl Origins {
    /// The origins in `SESSIOND_ORIGIN`.
    pub fn new(config: &Config) -> Self {
        Self(config.origins.iter().map(ToString::to_string).collect())
    }

    /// Whether the request may proceed. Safe methods change nothing and always may.
    pub fn allow(&self, method: &Method, headers: &HeaderMap) -> bool {
        if method.is_safe() || self.known(headers).is_some() {
            return true;
        }
        let mut sites = headers.get_all("sec-fetch-site").peekable();
        if sites.peek().is_some() {
            // No browser sends two; of two that differ, the worse counts.
            return sites.all(|site| site == "same-origin");
        }
        // A browser that sends an Origin but no Sec-Fetch-Site is judged by its Origin alone.
        !headers.contains_key(ORIGIN) && could_not_be_a_form(headers)
    }

    /// Exactly one Origin header, equal byte for byte to a configured one.
    pub(super) fn known<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let mut lines = headers.get_all(ORIGIN);
        let (first, second) = (lines.next(), lines.next());
        first.filter(|origin| second.is_none() && self.0.iter().any(|known| *origin == known.as_str()))
    }
}

/// The origin that a refused request names, for display: escaped, and cut to 120 characters.
pub fn shown(headers: &HeaderMap) -> Option<String> {
    let mut escaped = headers.get(ORIGIN)?.as_bytes().escape_ascii().map(char::from);
    let shown: String = escaped.by_ref().take(LONGEST).collect();
    Some(if escaped.next().is_some() { shown + "…" } else { shown })
}

/// Neither header: no current browser. An old browser could still send what a form can send, so the request must carry
/// something that a form cannot: a JSON body or a header of its own.
fn could_not_be_a_form(headers: &HeaderMap) -> bool {
    let has_body =
        headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    is_json(headers.get(CONTENT_TYPE)) || (!has_body && headers.contains_key("x-requested-with"))
}

/// Whether a Content-Type is `application/json`, with parameters or without.
pub fn is_json(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| is_media_type(value.as_bytes(), "application/json"))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    const HOME: (&str, &str) = ("origin", "https://app.example.org");
    const EVIL: (&str, &str) = ("origin", "https://evil.example");
    const NULL: (&str, &str) = ("origin", "null");
    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
    const LENGTH: (&str, &str) = ("content-length", "2");
    const ASKED: (&str, &str) = ("x-requested-with", "sessiond");

    fn site(value: &'static str) -> (&'static str, &'static str) {
        ("sec-fetch-site", value)
    }

    fn allowed(method: &Method, lines: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Origins(vec!["https://app.example.org".to_owned(), "http://localhost:8080".to_owned()]).allow(method, &headers)
    }

    #[test]
    fn the_decision_table_of_unsafe_methods() {
        let table: [(bool, &[(&str, &str)]); 26] = [
            (true, &[HOME]),
            (true, &[HOME, site("same-origin")]),
            (true, &[HOME, site("cross-site")]),
            (true, &[EVIL, site("same-origin")]),
            (false, &[EVIL]),
            (false, &[EVIL, JSON]),
            (false, &[EVIL, ASKED]),
            (false, &[EVIL, site("same-site")]),
            (false, &[EVIL, site("cross-site")]),
            (false, &[NULL]),
            (false, &[NULL, site("cross-site"), JSON]),
            (false, &[HOME, EVIL]),
            (false, &[("origin", "https://app.example.org.evil.example")]),
            (false, &[("origin", "https://app.example.org:8443")]),
            (false, &[("origin", "http://app.example.org")]),
            (true, &[site("same-origin")]),
            (false, &[site("same-origin"), site("cross-site")]),
            (false, &[site("cross-site"), site("same-origin"), JSON]),
            (false, &[site("same-site"), JSON]),
            (false, &[site("cross-site"), ASKED]),
            (false, &[site("none"), JSON]),
            (true, &[JSON, LENGTH]),
            (true, &[ASKED]),
            (false, &[ASKED, LENGTH, ("content-type", "text/plain")]),
            (false, &[LENGTH, ("content-type", "application/x-www-form-urlencoded")]),
            (false, &[]),
        ];
        for (expected, lines) in table {
            assert_eq!(allowed(&Method::POST, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_origin_is_shown_bounded_and_escaped() {
        for (origin, expected) in [
            (&b"https://evil.example"[..], "https://evil.example".to_owned()),
            (b"null", "null".to_owned()),
            (b"x\" forged=\"1\xff\t", r#"x\" forged=\"1\xff\t"#.to_owned()),
            (&[b'a'; 8_000], "a".repeat(LONGEST) + "…"),
            (&[0xe4; 90], r"\xe4".repeat(LONGEST / 4) + "…"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_bytes(origin).unwrap());
            assert_eq!(shown(&headers), Some(expected));
        }
        assert_eq!(shown(&HeaderMap::new()), None);
    }

    #[test]
    fn safe_methods_change_nothing_and_always_may() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(allowed(&method, &[EVIL, site("cross-site")]));
        }
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!allowed(&method, &[EVIL, site("cross-site")]));
        }
    }
}
