//! Cookies that are not exactly one, signed by us: all are 401, with the same problem, and nothing is set or cleared.

use crate::api::tools::{browser_with, fingerprint, problem_of, send};
use crate::support::client::{COOKIE, PASSWORD, SignedIn};
use crate::support::issue::signed;
use crate::support::raw::{RawResponse, get_with};
use crate::support::requests::Requests;
use crate::support::server::{TestServer, on_each_backend};

const PROTECTED: [&str; 3] = ["/me", "/sessions", "/auth/forward"];

async fn ask(server: &TestServer, path: &str, lines: &[&[u8]]) -> RawResponse {
    get_with(&server.url(), path, lines).await
}

async fn assert_refused(server: &TestServer, what: &str, lines: &[&[u8]]) {
    for path in PROTECTED {
        let answer = ask(server, path, lines).await;
        assert_eq!(answer.status, Some(401), "{what} at {path}: {answer:?}");
        assert_eq!(problem_of(&answer).as_deref(), Some("unauthenticated"), "{what} at {path}: {answer:?}");
        assert!(answer.header("set-cookie").is_empty(), "{what} at {path}: {answer:?}");
    }
}

async fn assert_accepted(server: &TestServer, what: &str, lines: &[&[u8]]) {
    for path in PROTECTED {
        assert_eq!(ask(server, path, lines).await.status, Some(200), "{what} at {path}");
    }
}

fn line(cookies: &str) -> Vec<u8> {
    format!("Cookie: {cookies}").into_bytes()
}

/// The pair as a browser sends it.
fn pair(who: &SignedIn) -> String {
    format!("{COOKIE}={}", who.cookie())
}

on_each_backend! {
    async fn malformed_values_are_refused(server: TestServer) {
        let values: [&[u8]; 22] = [
            b"", b"x", b"\"\"", b"%00", b"%", b"%zz", b"..", b"*", b"{", b"$1\\r\\nDEL x", b"=", b"===", b"a b",
            b"\x80\x81\xfe\xff", "🦀".as_bytes(), b"\xff\xfex\0y", b"null", b"undefined", b"deleted", b"[object Object]",
            b"01937c5e-7b1a-7c3d-8e4f-001122334455", b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D01937c5e-7b1a-7c3d-8e4f-001122334455",
        ];
        for value in values {
            // Where the parser itself refuses a byte (a NUL), that is a 400 and not ours to answer.
            let line = [b"Cookie: ", COOKIE.as_bytes(), b"=", value].concat();
            if value.contains(&0) {
                assert_eq!(ask(&server, "/me", &[&line]).await.status, Some(400));
            } else {
                assert_refused(&server, &String::from_utf8_lossy(value), &[&line]).await;
            }
        }
    }

    async fn a_truncated_or_lengthened_cookie_is_refused(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = owner.cookie();
        assert_accepted(&server, "whole", &[&line(&pair(&owner))]).await;
        for length in [0, 1, 20, 43, 44, 45, 46, 47, 60, cookie.len() - 1] {
            let cut = cookie.get(..length).expect("ASCII");
            assert_refused(&server, &format!("cut to {length}"), &[&line(&format!("{COOKIE}={cut}"))]).await;
        }
        for longer in [format!("{cookie}0"), format!("0{cookie}"), format!("{cookie}%00"), format!("{cookie},{cookie}")] {
            assert_refused(&server, &longer, &[&line(&format!("{COOKIE}={longer}"))]).await;
        }
    }

    async fn a_cookie_with_one_byte_changed_is_refused(server: TestServer) {
        let owner = server.signed_in().await;
        let cookie = owner.cookie();
        let holder = browser_with(&server, &cookie);
        assert_eq!(holder.get("/auth/forward").await.status, 200);
        for place in 0..cookie.len() {
            let mut bytes = cookie.clone().into_bytes();
            bytes[place] ^= 1;
            let flipped = String::from_utf8(bytes).expect("ASCII");
            let answer = browser_with(&server, &flipped).get("/auth/forward").await;
            answer.assert_problem(401, "unauthenticated");
        }
        assert!(owner.is_signed_in().await);
    }

    async fn a_signature_of_ours_under_anything_but_a_token_is_refused(server: TestServer) {
        let owner = server.signed_in().await;
        let token = owner.token();
        assert_accepted(&server, "signed by this test", &[&line(&format!("{COOKIE}={}", signed(&server.settings, &token)))]).await;
        let (simple, spaced) = (token.replace('-', ""), format!(" {token}"));
        let spellings = [
            "", "not a token", &token.to_uppercase(), &simple, &format!("{{{token}}}"), &format!("urn:uuid:{token}"),
            &spaced, &owner.session_id, &owner.user_id, "00000000-0000-0000-0000-000000000000",
        ];
        for text in spellings {
            if text == token {
                continue;
            }
            assert_refused(&server, text, &[&line(&format!("{COOKIE}={}", signed(&server.settings, text)))]).await;
        }
    }

    async fn a_cookie_signed_with_another_key_is_refused(server: TestServer) {
        let owner = server.signed_in().await;
        let other = server.settings.clone().with("SESSIOND_COOKIE_KEY", &"QUFB".repeat(24));
        let resigned = format!("{COOKIE}={}", signed(&other, &owner.token()));
        assert_refused(&server, "re-signed", &[&line(&resigned)]).await;
        // What other servers put under such names.
        for foreign in ["s%3Aabcdef.c2lnbmF0dXJl", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", "BAh7B0kiD3Nlc3Npb25faWQG--deadbeef"] {
            assert_refused(&server, foreign, &[&line(&format!("{COOKIE}={foreign}"))]).await;
        }
    }

    async fn two_cookies_of_the_name_are_refused_in_either_order(server: TestServer) {
        let owner = server.signed_in().await;
        let second = server.issue(&owner).await;
        let (good, evil) = (pair(&owner), format!("{COOKIE}=evil"));
        let cases = [
            vec![format!("{good}; {evil}")],
            vec![format!("{evil}; {good}")],
            vec![format!("{good}; {good}")],
            vec![format!("{good}; {}", pair(&second))],
            vec![format!("{good}; theme=dark; {COOKIE}=")],
            vec![good.clone(), evil.clone()],
            vec![evil.clone(), good.clone()],
        ];
        for lines in cases {
            let what = lines.join(" | ");
            let lines: Vec<Vec<u8>> = lines.iter().map(|cookies| line(cookies)).collect();
            assert_refused(&server, &what, &lines.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
        }
        assert!(owner.is_signed_in().await && second.is_signed_in().await);
    }

    /// Whoever holds a token may end its session. So a cookie that a sibling host has planted opens nothing and keeps
    /// nothing alive.
    async fn a_sign_out_with_several_cookies_ends_every_session_that_they_belong_to(server: TestServer) {
        let (owner, stranger) = (server.signed_in().await, server.signed_in().await);
        let evil = format!("{COOKIE}=evil");
        for case in ["evil last", "evil first", "twice", "a stranger's", "two lines", "old ones", "one is over", "very many"] {
            let (one, other, planted) = (server.issue(&owner).await, server.issue(&owner).await, server.issue(&stranger).await);
            let old = one.copy_at(&server.url());
            let over = server.issue(&owner).await;
            over.copy_at(&server.url()).sign_out().await.assert_status(204);
            one.reauthenticate(PASSWORD).await.assert_status(200);
            let (first, second) = (pair(&one), pair(&other));
            let (lines, ended): (Vec<String>, Vec<&SignedIn>) = match case {
                "evil last" => (vec![format!("{first}; {evil}")], vec![&one]),
                "evil first" => (vec![format!("{evil}; theme=dark; {first}")], vec![&one]),
                "twice" => (vec![format!("{first}; {first}")], vec![&one]),
                "a stranger's" => (vec![format!("{first}; {}; {second}", pair(&planted))], vec![&one, &other, &planted]),
                "two lines" => (vec![second, first], vec![&one, &other]),
                // The one that lives is no repetition.
                "one is over" => (vec![format!("{}; {second}", pair(&over))], vec![&other]),
                "old ones" => (vec![format!("{}; {}", pair(&old), pair(&planted))], vec![&one, &planted]),
                _ => (vec![format!("{first}{}; {second}", "; a=b; __Host-session=x".repeat(190))], vec![&one, &other]),
            };
            let mut request: Vec<String> = lines.iter().map(|cookies| format!("Cookie: {cookies}")).collect();
            request.push("X-Requested-With: x".to_owned());
            let request: Vec<&str> = request.iter().map(String::as_str).collect();
            // Nothing is left of it, so it may be repeated.
            for attempt in ["first", "second"] {
                let answer = send(&server, "POST", "/logout", &request, b"").await;
                assert_eq!((answer.status, answer.header("set-cookie").len()), (Some(204), 1), "{case}, {attempt}: {answer:?}");
                assert!(answer.head.contains("__Host-session=;"), "{case}: {answer:?}");
            }
            for who in [&one, &other, &planted] {
                let is_over = ended.iter().any(|over| over.session_id == who.session_id);
                assert_eq!(who.is_signed_in().await, !is_over, "{case}: {}", who.session_id);
                let of = format!("event = 'session_revoked' AND session_id = '{}'", who.session_id);
                assert_eq!(server.stores.database.count("audit", &of), usize::from(is_over), "{case}: one line for each");
            }
        }
        assert!(owner.is_signed_in().await && stranger.is_signed_in().await, "what was not shown goes on");
        assert_eq!(server.stores.database.count("pending_invalidations", "1 = 1"), 0);
    }

    async fn a_sign_in_with_several_cookies_ends_every_session_that_they_belong_to(server: TestServer)
    with { "SESSIOND_MAX_SESSIONS": "3", "SESSIOND_MAX_SESSIONS_POLICY": "refuse" } {
        let (owner, stranger) = (server.signed_in().await, server.signed_in().await);
        let (one, other) = (server.issue(&owner).await, server.issue(&owner).await);
        // Their places are free: three sessions are allowed, and there are three.
        let cookies = format!("Cookie: {}; {COOKIE}=x; {}; {}", pair(&one), pair(&stranger), pair(&other));
        let body = format!(r#"{{"email":"{}","password":"{PASSWORD}"}}"#, owner.email);
        let answer = send(&server, "POST", "/login", &[&cookies, "Content-Type: application/json"], body.as_bytes()).await;
        assert_eq!(answer.status, Some(200), "{answer:?}");
        for who in [&one, &other, &stranger] {
            assert!(!who.is_signed_in().await, "{}", who.session_id);
        }
        assert!(owner.is_signed_in().await);
    }

    /// The page that signs out has read its CSRF token while there was one cookie.
    async fn a_csrf_token_of_one_of_several_cookies_is_right(server: TestServer) {
        let (owner, stranger) = (server.signed_in().await, server.signed_in().await);
        let token_of = async |who: &SignedIn| who.me().await.json()["csrf_token"].as_str().expect("a token").to_owned();
        let (right, foreign) = (token_of(&owner).await, token_of(&stranger).await);
        let cookies = format!("Cookie: {COOKIE}=x; {}", pair(&owner));
        for (token, status) in [(&foreign, 403), (&right, 204)] {
            let shown = format!("X-CSRF-Token: {token}");
            let answer = send(&server, "POST", "/logout", &[&cookies, &shown, "X-Requested-With: x"], b"").await;
            assert_eq!(answer.status, Some(status), "{answer:?}");
        }
        assert!(!owner.is_signed_in().await && stranger.is_signed_in().await);
    }

    async fn more_cookies_than_a_browser_sends_end_nothing_and_open_nothing(server: TestServer) {
        let owner = server.signed_in().await;
        let before = fingerprint(&server.stores.database);
        let cookies = format!("Cookie: {}{}", pair(&owner), format!("; {COOKIE}=x").repeat(200));
        for (method, path) in [("POST", "/logout"), ("GET", "/me"), ("GET", "/auth/forward")] {
            let answer = send(&server, method, path, &[&cookies, "X-Requested-With: x"], b"").await;
            assert_eq!((answer.status, answer.header("set-cookie").len()), (Some(401), 0), "{path}: {answer:?}");
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(owner.is_signed_in().await);
    }

    async fn other_names_and_quotes_are_refused(server: TestServer) {
        let owner = server.signed_in().await;
        let (good, value) = (pair(&owner), owner.cookie());
        for cookies in [
            format!("__host-session={value}"),
            format!("__HOST-SESSION={value}"),
            format!("__Host%2Dsession={value}"),
            format!("__Secure-session={value}"),
            format!("session={value}"),
            format!("{COOKIE}=\"{value}\""),
            format!("{COOKIE}x={value}"),
            format!("x{good}"),
            COOKIE.to_owned(),
            format!("{COOKIE}={value} x"),
        ] {
            assert_refused(&server, &cookies, &[&line(&cookies)]).await;
        }
    }

    async fn neighbours_of_any_kind_do_not_matter(server: TestServer) {
        let owner = server.signed_in().await;
        let good = pair(&owner);
        for cookies in [
            format!("a=b; {good};c=d"),
            format!("__host-session=x; __HOST-session=y; {good}"),
            format!("__Host%2Dsession=evil; {good}"),
            format!("$Version=1; {good}; $Path=/"),
            format!(";;; =; x; {good};"),
            format!("{}{good}", "x=y; ".repeat(1_000)),
        ] {
            assert_accepted(&server, &cookies, &[&line(&cookies)]).await;
        }
        let bad_byte = [b"Cookie: bad=\xff\xfe; ".as_slice(), good.as_bytes(), b"; more=\x80"].concat();
        assert_accepted(&server, "a neighbour that is not UTF-8", &[&bad_byte]).await;
        assert_accepted(&server, "a line of its own", &[b"Cookie: bad=\xff", &line(&good)]).await;
        let bad_value = [b"Cookie: ".as_slice(), good.as_bytes(), b"\xff"].concat();
        assert_refused(&server, "a byte that is not UTF-8 in ours", &[&bad_value]).await;
    }

    async fn oversized_cookies_are_refused(server: TestServer) {
        let owner = server.signed_in().await;
        let padded = |length: usize| line(&format!("{}{}", pair(&owner), "a".repeat(length)));
        for length in [4_096, 10_000, 100_000] {
            assert_refused(&server, &format!("{length} bytes"), &[&padded(length)]).await;
        }
        // Beyond what the parser takes as one head: a refusal of its own, before any route.
        let status = ask(&server, "/me", &[&padded(200_000)]).await.status;
        assert!(status.is_none_or(|status| [400, 413, 431].contains(&status)), "{status:?}");
        assert!(owner.is_signed_in().await, "and the server goes on");
    }
}
