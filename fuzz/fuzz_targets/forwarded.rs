//! Forwarding headers of any bytes: the walk never panics, is believed from a trusted peer alone, and finds one canonical
//! address. The first byte says which lines the rest is cut into.
#![no_main]

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sessiond::config::Config;
use sessiond::http::client_address::ProxyTrust;
use sessiond::http::forwarded_method::ForwardedMethod;

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let pairs = [
        ("SESSIOND_TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"),
        ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For"),
        ("SESSIOND_CSRF_METHOD_HEADER", "X-Forwarded-Method"),
    ];
    Config::from_pairs(pairs).expect("settings")
});
static TRUST: LazyLock<ProxyTrust> = LazyLock::new(|| ProxyTrust::new(&CONFIG));
static METHOD: LazyLock<ForwardedMethod> = LazyLock::new(|| ForwardedMethod::new(&CONFIG));

fn peer(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

fn lines(name: &'static str, data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), line);
        }
    }
    headers
}

fuzz_target!(|data: &[u8]| {
    let headers = lines("x-forwarded-for", data);
    let found = TRUST.client_address(peer("10.0.0.1:1"), &headers);
    assert_eq!(found, found.to_canonical(), "one address has one form");
    let stranger = TRUST.client_address(peer("192.0.2.1:1"), &headers);
    assert_eq!(stranger, IpAddr::from([192, 0, 2, 1]), "a stranger chose its address");
    let by_another_name = TRUST.client_address(peer("10.0.0.1:1"), &lines("x-real-ip", data));
    assert_eq!(by_another_name, IpAddr::from([10, 0, 0, 1]), "a header that nobody configured was believed");
    // What the last hop wrote decides, whatever stands before it.
    let mut chain = data.to_vec();
    chain.retain(|byte| *byte != b'\n');
    chain.extend_from_slice(b", 203.0.113.9");
    let after = TRUST.client_address(peer("10.0.0.1:1"), &lines("x-forwarded-for", &chain));
    if HeaderValue::from_bytes(&chain).is_ok() {
        assert_eq!(after, IpAddr::from([203, 0, 113, 9]), "what stands to the left was believed");
    }
    let asked = lines("x-forwarded-method", data);
    let safe = [b"GET".as_slice(), b"HEAD", b"OPTIONS"];
    let plain = asked.iter().count() == 1 && asked.iter().all(|(_, line)| safe.contains(&line.as_bytes()));
    assert_eq!(METHOD.wants_csrf_token(&Method::GET, &asked), !plain);
    assert!(METHOD.wants_csrf_token(&Method::POST, &asked));
});
