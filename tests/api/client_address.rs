//! The client's address, by the row of the requirement: what counts, and what nobody may say.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::api::tools::{cookie_line, send};
use crate::support::client::{PASSWORD, SignedIn};
use crate::support::raw::RawResponse;
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

/// Waits until the list shows this address for the session, asked with exactly these header lines; the last that it
/// showed. A change is noted off the request's own latency.
async fn shows(server: &TestServer, owner: &SignedIn, lines: &[&str], expected: &str) -> String {
    let cookie = cookie_line(owner);
    let lines: Vec<&str> = [cookie.as_str()].into_iter().chain(lines.iter().copied()).collect();
    let mut shown = String::new();
    for _ in 0..300 {
        let answer = send(server, "GET", "/sessions", &lines, b"").await;
        assert_eq!(answer.status, Some(200), "{answer:?}");
        shown = address_in(&answer);
        if shown == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shown
}

/// The same after it showed another one: what was there before is no answer.
async fn assert_shown(server: &TestServer, owner: &SignedIn, lines: &[&str], expected: &str) {
    assert_eq!(shows(server, owner, &["X-Forwarded-For: 203.0.113.77"], "203.0.113.77").await, "203.0.113.77");
    assert_eq!(shows(server, owner, lines, expected).await, expected, "{lines:?}");
}

fn address_in(answer: &RawResponse) -> String {
    let list: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    list["sessions"][0]["ip"].as_str().expect("an address").to_owned()
}

const LIES: [&str; 8] = [
    "X-Forwarded-For: 9.9.9.9",
    "Forwarded: for=9.9.9.9",
    "X-Real-IP: 9.9.9.9",
    "CF-Connecting-IP: 9.9.9.9",
    "True-Client-IP: 9.9.9.9",
    "X-Client-IP: 9.9.9.9",
    "X_Forwarded_For: 9.9.9.9",
    "Via: 1.1 9.9.9.9",
];

/// Settings with a proxy in front, which is this machine, and another one behind it.
macro_rules! behind_proxies {
    ($(
        $(#[$attribute:meta])*
        async fn $name:ident($server:ident: TestServer) $body:block
    )+) => {
        on_each_backend! {$(
            $(#[$attribute])*
            async fn $name($server: TestServer) with {
                "SESSIOND_TRUSTED_PROXIES": "::ffff:127.0.0.1, 10.0.0.0/8, fd00::/8",
                "SESSIOND_CLIENT_IP_HEADER": "X-Forwarded-For"
            } $body
        )+}
    };
}

on_each_backend! {
    async fn i_01_by_itself_only_the_connection_tells_the_address(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        let lines: Vec<&str> = LIES.into_iter().chain([cookie.as_str()]).collect();
        for _ in 0..30 {
            // A change would show within some tens of milliseconds.
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert_eq!(address_in(&send(&server, "GET", "/sessions", &lines, b"").await), "127.0.0.1");
        }
        let answer = owner.change(Method::POST, "/login").header("X-Forwarded-For", "9.9.9.9");
        answer.json(&json!({ "email": owner.email, "password": PASSWORD })).send().await.assert_status(200);
        assert_eq!(owner.sessions().await[0]["ip"], "127.0.0.1");
    }

    /// V-17, V-18.
    async fn i_10_scheme_host_and_path_are_not_taken_from_headers(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = cookie_line(&owner);
        let lies = [
            "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443",
            "X-Forwarded-Uri: /health/live", "X-Original-URL: /health/live", "X-Rewrite-URL: /health/live",
            "X-Forwarded-User: admin", "X_Forwarded_User: admin", "X-Session-User: admin",
            "X-HTTP-Method-Override: GET",
        ];
        // No header makes a private route a public one.
        for path in ["/me", "/sessions", "/auth/forward"] {
            assert_eq!(send(&server, "GET", path, &lies, b"").await.status, Some(401), "{path}");
        }
        // An origin that only the forwarded host would make the own one is a foreign one.
        for origin in ["Origin: https://evil.example", "Origin: http://evil.example"] {
            let lines: Vec<&str> = lies.into_iter().chain([origin, cookie.as_str(), "X-Requested-With: x"]).collect();
            assert_eq!(send(&server, "POST", "/logout", &lines, b"").await.status, Some(403), "{origin}");
        }
        let lines: Vec<&str> = lies.into_iter().chain([cookie.as_str()]).collect();
        let answer = send(&server, "GET", "/auth/forward", &lines, b"").await;
        assert_eq!((answer.status, answer.header("x-session-user")), (Some(200), vec![owner.user_id.as_str()]));
    }
}

behind_proxies! {
    async fn i_02_the_chain_is_walked_from_the_right_to_the_first_who_is_not_trusted(server: TestServer) {
        let owner = server.signed_in().await;
        assert_shown(&server, &owner, &["X-Forwarded-For: 6.6.6.6, 1.2.3.4"], "1.2.3.4").await;
        assert_shown(&server, &owner, &["X-Forwarded-For: 6.6.6.6, 1.2.3.5, 10.0.0.2,10.9.9.9"], "1.2.3.5").await;
    }

    async fn i_03_exactly_the_configured_header_counts(server: TestServer) {
        let owner = server.signed_in().await;
        let lines: Vec<&str> = LIES[1..].iter().copied().chain(["X-Forwarded-For: 1.2.3.4"]).collect();
        assert_shown(&server, &owner, &lines, "1.2.3.4").await;
        assert_shown(&server, &owner, &LIES[1..], "127.0.0.1").await;
    }

    async fn i_04_several_lines_are_one_chain_in_their_order(server: TestServer) {
        let owner = server.signed_in().await;
        let lines = ["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 1.2.3.4", "X-FORWARDED-FOR: 10.0.0.2"];
        assert_shown(&server, &owner, &lines, "1.2.3.4").await;
        let turned = [lines[1], lines[0], lines[2]];
        assert_shown(&server, &owner, &turned, "6.6.6.6").await;
    }

    async fn i_05_what_cannot_be_read_ends_the_walk_at_the_last_that_could(server: TestServer) {
        let owner = server.signed_in().await;
        let long = format!("X-Forwarded-For: 6.6.6.6{}", ", 10.0.0.5".repeat(1_000));
        let noise = format!("X-Forwarded-For: {}", "x".repeat(10_000));
        for (line, expected) in [
            ("X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.7", "10.0.0.7"),
            ("X-Forwarded-For: 6.6.6.6, _hidden", "127.0.0.1"),
            ("X-Forwarded-For: 6.6.6.6,,", "127.0.0.1"),
            ("X-Forwarded-For: 6.6.6.6, 300.1.1.1", "127.0.0.1"),
            ("X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.0.0.9 evil", "127.0.0.1"),
            ("X-Forwarded-For: 6.6.6.6, \u{ff}\u{fe}", "127.0.0.1"),
            ("X-Forwarded-For: 6.6.6.6, 0x7f.1", "127.0.0.1"),
            ("X-Forwarded-For:", "127.0.0.1"),
            (long.as_str(), "10.0.0.5"),
            (noise.as_str(), "127.0.0.1"),
        ] {
            assert_shown(&server, &owner, &[line], expected).await;
        }
    }

    async fn i_06_one_address_has_one_form(server: TestServer) {
        let owner = server.signed_in().await;
        for spelling in ["1.2.3.4", "1.2.3.4:443", "\"1.2.3.4:443\"", "::ffff:1.2.3.4", "[::FFFF:102:304]:8080"] {
            assert_shown(&server, &owner, &[&format!("X-Forwarded-For: {spelling}")], "1.2.3.4").await;
        }
        for spelling in ["2001:DB8:0:0::1", "[2001:db8::1]:443", "\"[2001:db8::1]\"", "2001:db8::1%eth0", "[2001:db8::1%25eth0]"] {
            assert_shown(&server, &owner, &[&format!("X-Forwarded-For: {spelling}")], "2001:db8::1").await;
        }
    }

    async fn i_08_a_chain_of_nobody_but_proxies_ends_at_the_leftmost(server: TestServer) {
        let owner = server.signed_in().await;
        assert_shown(&server, &owner, &["X-Forwarded-For: fd00::9, 10.0.0.3, 10.0.0.2"], "fd00::9").await;
    }

    /// V-19.
    async fn i_09_a_header_that_is_named_hop_by_hop_stays(server: TestServer) {
        let owner = server.signed_in().await;
        for line in ["Connection: X-Forwarded-For", "Connection: close, x-forwarded-for", "Proxy-Connection: X-Forwarded-For"] {
            assert_shown(&server, &owner, &[line, "X-Forwarded-For: 6.6.6.6, 1.2.3.4"], "1.2.3.4").await;
        }
    }

    async fn i_11_where_the_sign_in_came_from_is_kept_beside_the_last_address(server: TestServer) {
        let visitor = server.anonymous();
        let owner = server.signed_in().await;
        let call = visitor.call(Method::POST, "/login").header("X-Forwarded-For", "6.6.6.6, 1.2.3.4");
        let answer = call.json(&json!({ "email": owner.email, "password": PASSWORD })).send().await;
        let owner = visitor.into_signed_in(&owner.email, PASSWORD, answer.assert_status(200));
        let kept = |column: &str| {
            let sql = format!("SELECT {column} AS value FROM sessions WHERE id = '{}'", owner.session_id);
            server.stores.database.value(&sql)
        };
        assert_eq!((kept("sign_in_ip").as_str(), kept("last_ip").as_str()), ("1.2.3.4", "1.2.3.4"));
        let audit = format!("event = 'authn_login_success' AND session_id = '{}' AND ip = '1.2.3.4'", owner.session_id);
        assert_eq!(server.stores.database.count("audit", &audit), 1);
        assert_eq!(server.stores.database.count("audit", "ip = '6.6.6.6'"), 0, "what the client made up is nowhere");
    }

    async fn i_12_a_session_goes_on_under_another_address_and_shows_it(server: TestServer) {
        let owner = server.signed_in().await;
        for address in ["1.2.3.4", "2001:db8::1", "198.51.100.7"] {
            assert_shown(&server, &owner, &[&format!("X-Forwarded-For: {address}")], address).await;
            assert!(owner.is_signed_in().await);
        }
    }
}
