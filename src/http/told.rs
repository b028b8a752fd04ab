//! What is told of the request that was made: the host that a browser opened, and the page that a gateway asks about.
//!
//! Owns the reading of `X-Forwarded-…`. Must never take the word of a peer that is not a trusted proxy, nor one of two
//! words.

use actix_web::HttpRequest;
use actix_web::dev::RequestHead;
use actix_web::http::header::{HOST, HeaderMap};

use super::client_address::ProxyTrust;
use super::next::host_of;

/// The route by which gateways ask who a request is from.
pub const FORWARD: &str = "/auth/forward";

/// Where gateways tell the address of the request that they ask about: nobody else sends it.
pub const URI: &str = "x-forwarded-uri";

/// The host at which a browser has opened this server.
pub fn host(proxies: &ProxyTrust, head: &RequestHead) -> Option<String> {
    let told = forwarded(&head.headers, "x-forwarded-host").filter(|_| proxies.believes(head.peer_addr));
    host_of(told.or_else(|| only(&head.headers, HOST.as_str()))?)
}

/// The address of the page that a gateway asks about, not judged. Most tell it in headers; Envoy asks below the route
/// with the page's own path and host.
pub fn page(head: &RequestHead, below: Option<&str>) -> Option<String> {
    let headers = &head.headers;
    let scheme = forwarded(headers, "x-forwarded-proto")?;
    let (host, uri) = match below {
        Some(uri) => (only(headers, HOST.as_str()), Some(uri.to_owned())),
        None => (forwarded(headers, "x-forwarded-host"), uri(headers)),
    };
    let uri = uri.filter(|uri| uri.starts_with('/'))?;
    Some(format!("{scheme}://{}{uri}", host?))
}

/// The address of the page when a gateway asks below the route, as Envoy does: it puts its prefix before the page's own path
/// and query, and asks with the page's own method.
pub fn asked_below<'a>(base_path: &str, request: &'a HttpRequest) -> Option<&'a str> {
    let asked = request.uri().path_and_query()?.as_str().strip_prefix(base_path)?;
    asked.strip_prefix(FORWARD).filter(|page| page.starts_with('/'))
}

/// As it was sent. Bytes that are no ASCII are escaped, as browsers do.
fn uri(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(URI);
    let (first, second) = (lines.next()?, lines.next());
    let escaped = |&byte: &u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    second.is_none().then(|| first.as_bytes().iter().map(escaped).collect())
}

/// A header that a proxy sets: told once, by one proxy.
fn forwarded<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    only(headers, name).filter(|value| !value.contains(','))
}

/// The one line of this name.
pub fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(name);
    let (first, second) = (lines.next(), lines.next());
    first.filter(|_| second.is_none()).and_then(|line| line.to_str().ok())
}
