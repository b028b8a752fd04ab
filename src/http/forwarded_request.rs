//! Forwarded request: the original request, as proxies report it: the host that a browser opened, and the page that a
//! gateway asks about.
//!
//! Owns the reading of `X-Forwarded-…`. Must never trust a peer that is not a trusted proxy, nor choose between two
//! values of one header.

use actix_web::HttpRequest;
use actix_web::dev::RequestHead;
use actix_web::http::header::{HOST, HeaderMap};

use super::client_address::ProxyTrust;
use super::next::host_of;

/// The route on which gateways ask who sent a request.
pub const FORWARD: &str = "/auth/forward";

/// The header in which gateways send the address of the original request; only gateways send it.
pub const URI: &str = "x-forwarded-uri";

/// The host at which a browser has opened this server.
pub fn host(proxies: &ProxyTrust, head: &RequestHead) -> Option<String> {
    let told = proxy_header(&head.headers, "x-forwarded-host").filter(|_| proxies.trusts(head.peer_addr));
    host_of(told.or_else(|| only(&head.headers, HOST.as_str()))?)
}

/// The address of the page that a gateway asks about, not yet judged. Most gateways send it in headers; Envoy appends
/// the page's path to the route and keeps the page's host.
pub fn page(head: &RequestHead, below: Option<&str>) -> Option<String> {
    let headers = &head.headers;
    let scheme = proxy_header(headers, "x-forwarded-proto")?;
    let (host, uri) = match below {
        Some(uri) => (only(headers, HOST.as_str()), Some(uri.to_owned())),
        None => (proxy_header(headers, "x-forwarded-host"), uri(headers)),
    };
    let uri = uri.filter(|uri| uri.starts_with('/'))?;
    Some(format!("{scheme}://{}{uri}", host?))
}

/// Whether this is the path of the route, or below it.
pub fn is_route(base_path: &str, path: &str) -> bool {
    let below = path.strip_prefix(base_path).and_then(|path| path.strip_prefix(FORWARD));
    below.is_some_and(|page| page.is_empty() || page.starts_with('/'))
}

/// The path and query of the page if the gateway asks below the route, as Envoy does: Envoy puts its prefix before the
/// page's own path and query, and asks with the page's own method.
pub fn asked_below<'a>(base_path: &str, request: &'a HttpRequest) -> Option<&'a str> {
    let asked = request.uri().path_and_query()?.as_str().strip_prefix(base_path)?;
    asked.strip_prefix(FORWARD).filter(|page| page.starts_with('/'))
}

/// The address as it was sent. Escapes bytes that are not ASCII, as browsers do.
fn uri(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(URI);
    let (first, second) = (lines.next()?, lines.next());
    let escaped = |&byte: &u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    second.is_none().then(|| first.as_bytes().iter().map(escaped).collect())
}

/// A header that a proxy sets: sent once, by one proxy.
fn proxy_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    only(headers, name).filter(|value| !value.contains(','))
}

/// The single line of this name.
pub fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(name);
    let (first, second) = (lines.next(), lines.next());
    first.filter(|_| second.is_none()).and_then(|line| line.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_is_one_path_and_what_lies_below_it() {
        for path in ["/auth/forward", "/auth/forward/", "/auth/forward/a/page", "/auth/forward/%2F"] {
            assert!(is_route("", path) && is_route("/base", &format!("/base{path}")), "{path}");
        }
        for path in ["", "/", "/auth", "/auth/forwarded", "/auth/forward%2Fa", "/Auth/forward", "/x/auth/forward"] {
            assert!(!is_route("", path) && !is_route("/base", &format!("/base{path}")), "{path}");
        }
        assert!(!is_route("/base", "/auth/forward") && !is_route("", "/base/auth/forward"));
    }
}
