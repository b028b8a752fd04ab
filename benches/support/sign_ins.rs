//! Sign-ins from any address: the server trusts what a proxy on this machine says.

use std::net::Ipv4Addr;

use sessiond::domain::{Random, SystemRandom, random};

/// What a server has to be told so that [`sign_in`] can come from anywhere.
pub const BEHIND_A_PROXY: [(&str, &str); 2] =
    [("SESSIOND_TRUSTED_PROXIES", "127.0.0.1"), ("SESSIOND_CLIENT_IP_HEADER", "X-Forwarded-For")];

/// An address that was hardly used before.
pub fn some_address() -> Ipv4Addr {
    let random: &dyn Random = &SystemRandom;
    Ipv4Addr::from(random::bytes::<4>(random))
}

/// `POST /login`.
pub fn sign_in(email: &str, password: &str, from: Ipv4Addr) -> Vec<u8> {
    let body = format!(r#"{{"email":"{email}","password":"{password}"}}"#);
    let lines = [
        "POST /login HTTP/1.1".to_owned(),
        "Host: localhost:8080".to_owned(),
        "Content-Type: application/json".to_owned(),
        format!("X-Forwarded-For: {from}"),
        format!("Content-Length: {}", body.len()),
    ];
    (lines.join("\r\n") + "\r\n\r\n" + &body).into_bytes()
}
