//! Whether the request that a gateway asks about changes something or only reads.
//!
//! Gateways ask with a request of their own, mostly a GET, and send the original method in a header. Owns the reading
//! of that header. Must never take doubt for a safe method: a method that is missing, doubled or misspelt counts as
//! changing.

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName};

use crate::config::Config;

/// The methods that change nothing (RFC 9110 §9.2.1), in their exact spelling; without TRACE, which is unused.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// The header with the original method; `None` if the application itself judges CSRF tokens.
#[derive(Clone, Debug)]
pub struct ForwardedMethod(Option<HeaderName>);

impl ForwardedMethod {
    /// The configured header.
    pub fn new(config: &Config) -> Self {
        Self(config.csrf_method_header.as_deref().and_then(|name| HeaderName::try_from(name).ok()))
    }

    /// Whether the original request must show a CSRF token. `own` is the method of the gateway's question: if it is
    /// unsafe, the header cannot make it safe. `told` are the headers of a gateway that sends the method there; `None`
    /// for a gateway that asks with the original method.
    pub fn wants_csrf_token(&self, own: &Method, told: Option<&HeaderMap>) -> bool {
        let Some(name) = &self.0 else { return false };
        let told_safe = told.is_none_or(|headers| {
            let mut lines = headers.get_all(name);
            match (lines.next(), lines.next()) {
                (Some(line), None) => SAFE.iter().any(|method| line == method),
                _ => false,
            }
        });
        !(told_safe && SAFE.contains(&own.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn wanted(own: &str, lines: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let header = Some(HeaderName::from_static("x-forwarded-method"));
        ForwardedMethod(header).wants_csrf_token(&Method::from_bytes(own.as_bytes()).unwrap(), Some(&headers))
    }

    #[test]
    fn only_one_plain_safe_method_needs_none() {
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(!wanted("GET", &[("x-forwarded-method", method)]), "{method}");
            assert!(wanted("POST", &[("x-forwarded-method", method)]), "{method}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "GET, POST", "GET ", "", "é"] {
            assert!(wanted("GET", &[("x-forwarded-method", method)]), "{method}");
        }
    }

    #[test]
    fn what_is_missing_doubled_or_under_another_name_is_no_safe_method() {
        assert!(wanted("GET", &[]));
        assert!(wanted("GET", &[("x-forwarded-method", "GET"), ("x-forwarded-method", "GET")]));
        for name in ["x_forwarded_method", "x-original-method", "x-http-method-override", "x-http-method"] {
            assert!(wanted("GET", &[(name, "GET")]), "{name}");
            assert!(wanted("GET", &[(name, "GET"), ("x-forwarded-method", "POST")]), "{name}");
        }
    }

    #[test]
    fn a_gateway_that_asks_with_the_method_itself_tells_it_nowhere_else() {
        let forwarded = ForwardedMethod(Some(HeaderName::from_static("x-forwarded-method")));
        for (method, wanted) in
            [(Method::GET, false), (Method::HEAD, false), (Method::POST, true), (Method::DELETE, true)]
        {
            assert_eq!(forwarded.wants_csrf_token(&method, None), wanted, "{method}");
        }
    }

    #[test]
    fn without_the_setting_nothing_is_judged_here() {
        assert!(!ForwardedMethod(None).wants_csrf_token(&Method::POST, Some(&HeaderMap::new())));
    }
}
